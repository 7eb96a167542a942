"""How long an image has to be shown: accuracy and synaptic operations against the time window."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError
from chipflow.snn.analysis import Analysis
from chipflow.snn.checks import whole
from chipflow.snn.chip import ChipFaithful
from chipflow.snn.encoding.intensities import Images
from chipflow.snn.encoding.stochastic import bernoulli
from chipflow.snn.stateful import spiking_part, stateful_layers
from chipflow.snn.synops_counter import uncounted
from chipflow.tables import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Encoder = Callable[..., Tensor]
"""(images, num_steps) -> raster [batch, time, ...]; with a parameter `seed` where the spikes are random."""

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
"""(items, what they are) -> the same items: `chipflow.demo.progress`, `tqdm.tqdm`, `rich.progress.track`."""


@dataclass(frozen=True)
class WindowPoint:
    """What came out at one time window.

    Attributes:
        num_steps: the window.
        accuracy: percent of the samples whose class with most output spikes is their label; of several such classes the first counts.
        ties: percent of the samples with several classes that have most output spikes, samples without any output spike among them.
        layer_synops: synaptic operations per sample, by layer.
        analog: layers into which values other than whole spike counts went; these count by their size, 0.3 as 0.3 spikes.
    """

    num_steps: int
    accuracy: float
    ties: float
    layer_synops: Mapping[str, float]
    analog: tuple[str, ...] = ()

    @property
    def synops(self) -> float:
        """Synaptic operations per sample, all layers together."""
        return sum(self.layer_synops.values())


@dataclass(frozen=True)
class WindowSweep:
    """Accuracy and synaptic operations at several time windows.

    Attributes:
        points: one for each window, in ascending order.
        num_samples: how many samples each of them is about.
        encoding: name of the code.
    """

    points: tuple[WindowPoint, ...]
    num_samples: int
    encoding: str

    @property
    def title(self) -> str:
        """What was swept, in words."""
        return f"{self.num_samples:,} samples, {self.encoding}"

    def summary(self) -> str:
        """One row for each window, as text."""
        rows = [
            [f"{point.num_steps:,}", f"{point.accuracy:.2f} %", f"{point.ties:.2f} %", f"{point.synops:,.0f}"]
            for point in self.points
        ]
        notes = [
            "accuracy: the class with most output spikes, of several the first",
            "ties: samples with several such classes, or without output spikes",
        ]
        analog = dict.fromkeys(name for point in self.points for name in point.analog)
        if analog:
            notes.append(f"counted by the size of values that are no spikes: operations of {', '.join(analog)}")
        header = ["window (steps)", "accuracy", "ties", "synaptic operations / sample"]
        return "\n".join([table(f"time window: {self.title}", header, rows), *notes])

    def plot(self, path: str | Path | None = None, axes: Sequence[Axes] | None = None) -> Figure:
        """Two panels: accuracy against the window, and against synaptic operations per sample.

        Args:
            path: file to write; its suffix says the format (.png, .svg, .pdf).
            axes: two axes of your own to draw into.

        Returns:
            The figure.

        Raises:
            ChipflowError: if matplotlib is not installed, or `axes` are not two.
        """
        from chipflow.snn.sweep_plot import plot

        return plot(self, path, axes)


def sweep_time_windows(
    model: nn.Module,
    images: Images,
    labels: Tensor | npt.NDArray[Any] | Sequence[int],
    windows: Iterable[int] = (10, 20, 50, 100, 200),
    *,
    encode: Encoder = bernoulli,
    batch_size: int = 32,
    seed: int = 0,
    progress: Progress | None = None,
) -> WindowSweep:
    """Classify the images at each time window: encode, run from reset states, sum the output over time, take the largest.

    Runs in evaluation mode without gradients. Afterwards the model is in the modes it was in, and its states are reset; `get_synops` of a
    network knows nothing of the sweep.

    Sample i is encoded by itself, with the seed `seed + i`, whatever the batches are. With `bernoulli` and `poisson`, the spikes of a
    shorter window are the first ones of a longer window: windows are compared on the same spikes.

    Args:
        model: a spiking network that takes [batch, time, ...] and returns [batch, time, classes] (or more axes, flattened); a `ChipFaithful`, too,
            for codes that give spikes.
        images: samples [N, ...] as `encode` takes them, with intensities from 0 to 1.
        labels: class indices [N].
        windows: numbers of time steps, at least 1 each; sorted, each run once.
        encode: (images, num_steps) -> raster; called with `seed=` for one sample at a time if it has such a parameter. Options go in by
            `functools.partial(poisson, max_rate=0.5)`, but for `seed` and `generator`.
        batch_size: samples that run at a time; memory grows with batch_size * window.
        seed: of the first sample, 0 or more.
        progress: wraps the batches of each window, to show a progress bar.

    Raises:
        ChipflowError: for windows, labels or images that cannot be used, a code with a seed or generator of its own, a model without spiking
            neurons, or rasters or outputs without the axes [batch, time, ...].
    """
    steps, batch_size, seed = _checked_windows(windows), whole("batch_size", batch_size), whole("seed", seed, least=0)
    _check_code(encode)
    targets = _checked_labels(labels, len(images))
    spiking = spiking_part(model)
    starts = range(0, len(images), batch_size)
    points: list[WindowPoint] = []
    with _evaluation(spiking), uncounted(spiking):
        for num_steps in steps:
            batches: list[_Batch] = []
            for first in starts if progress is None else progress(starts, f"window of {num_steps} steps"):
                raster = _encoded(encode, images[first : first + batch_size], num_steps, seed + first)
                batches.append(_run(spiking, raster))
            points.append(_point(num_steps, batches, targets))
    return WindowSweep(tuple(points), len(images), _name_of(encode))


@dataclass(frozen=True)
class _Batch:
    """What a model did with a batch.

    Attributes:
        counts: output spikes [batch, classes], on the CPU.
        synops: of all samples together, by layer.
        analog: see WindowPoint.
    """

    counts: Tensor
    synops: Mapping[str, float]
    analog: Sequence[str]


def _checked_windows(windows: Any) -> list[int]:
    """In ascending order."""
    if not isinstance(windows, Iterable):
        raise ChipflowError(f"windows is {windows!r}, expected several numbers of time steps, or one in brackets: [20].")
    steps = sorted({whole("a window", window) for window in windows})
    if not steps:
        raise ChipflowError("windows is empty, give at least one number of time steps.")
    return steps


def _check_code(encode: Encoder) -> None:
    """Every sample has its own seed, which the sweep gives."""
    bound = encode.keywords if isinstance(encode, functools.partial) else {}
    for name in ("seed", "generator"):
        if name in bound:
            raise ChipflowError(
                f"encode is a functools.partial with a {name}: take it out, and give seed= to sweep_time_windows, so that sample i has seed + i."
            )


def _checked_labels(labels: Any, number: int) -> Tensor:
    found = labels.cpu() if isinstance(labels, Tensor) else torch.as_tensor(np.array(labels))
    if number == 0 or found.shape != (number,) or found.is_floating_point() or found.is_complex():
        raise ChipflowError(
            f"labels have shape {list(found.shape)} and dtype {found.dtype}, expected one class index for each of the {number} images."
        )
    return found.long()


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        _reset_states(model)
        for module, training in modes:
            module.training = training


def _reset_states(model: nn.Module) -> None:
    for _, layer in stateful_layers(model):
        layer.reset_states()


def _encoded(encode: Encoder, images: Images, num_steps: int, seed: int) -> Tensor:
    """The raster of a batch, whose first sample has this seed."""
    if "seed" in inspect.signature(encode).parameters:
        samples = range(len(images))
        raster = torch.cat([encode(images[i : i + 1], num_steps, seed=seed + i) for i in samples])
    else:
        raster = encode(images, num_steps)
    return _checked_axes(raster, "the raster of `encode`", len(images), num_steps)


def _run(model: nn.Module, raster: Tensor) -> _Batch:
    """A batch from reset states."""
    tensors = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
    like = next(tensors, torch.zeros(()))
    _reset_states(model)
    input = raster.to(dtype=like.dtype, device=like.device)
    if isinstance(model, ChipFaithful):
        run = model.run(input)
        return _Batch(_sums(run.output, raster), {name: synops.sum().item() for name, synops in run.synops.items()}, ())
    with Analysis(model) as analysis:
        counts = _sums(model(input), raster)
    layers = analysis.layers.values()
    return _Batch(counts, {layer.name: layer.total for layer in layers}, [layer.name for layer in layers if layer.analog])


def _sums(output: Any, raster: Tensor) -> Tensor:
    """Output spikes of each sample and class, on the CPU."""
    spikes = _checked_axes(output, "the output of the model", *raster.shape[:2]).cpu()
    return spikes.sum(1, dtype=torch.float64).flatten(1)  # half precision could not count beyond 2048


def _checked_axes(found: Any, what: str, batch: int, num_steps: int) -> Tensor:
    if not isinstance(found, Tensor) or found.ndim < 3 or found.shape[:2] != (batch, num_steps):
        shape = f"shape {list(found.shape)}" if isinstance(found, Tensor) else f"type {type(found).__name__}"
        raise ChipflowError(f"{what} has {shape}, expected [batch = {batch}, time = {num_steps}, ...].")
    return found


def _point(num_steps: int, batches: Sequence[_Batch], labels: Tensor) -> WindowPoint:
    """All batches against labels [N]."""
    counts = torch.cat([batch.counts for batch in batches])
    low, high, classes = int(labels.min()), int(labels.max()), counts.shape[1]
    if low < 0 or high >= classes:
        raise ChipflowError(f"labels run from {low} to {high}, but the model has the classes 0 to {classes - 1}.")
    right = counts.argmax(1) == labels
    tied = (counts == counts.amax(1, keepdim=True)).sum(1) > 1
    totals: Counter[str] = Counter()
    for batch in batches:
        totals.update(batch.synops)
    synops = {name: total / len(labels) for name, total in totals.items()}
    analog = tuple(dict.fromkeys(name for batch in batches for name in batch.analog))
    return WindowPoint(num_steps, _percent(right), _percent(tied), synops, analog)


def _percent(which: Tensor) -> float:
    return 100 * int(which.sum()) / len(which)


def _name_of(encode: Encoder) -> str:
    """Of a function, or of the function in a functools.partial, with its options."""
    if isinstance(encode, functools.partial):
        options = ", ".join(f"{name}={value}" for name, value in encode.keywords.items())
        return f"{_name_of(encode.func)}({options})"
    return getattr(encode, "__name__", type(encode).__name__)
