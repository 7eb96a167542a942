"""What the user's layers sent in a run of `chipflow.emulator.time_steps`, and where two such runs part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipflow.emulator.time_steps import SteppedSpikes
from chipflow.events.result import LayerPart, Parts

Neuron = tuple[int, int, int]


def layer_spikes(parts: Parts, spikes: Mapping[int, SteppedSpikes]) -> dict[str, SteppedSpikes]:
    """By layer, neurons as the layer numbers them.

    Args:
        parts: the layers, as `Program.parts` has them.
        spikes: by core id.
    """
    return {name: _joined([_kept(part, spikes[part.core]) for part in found]) for name, found in parts.items()}


def _kept(part: LayerPart, sent: SteppedSpikes) -> SteppedSpikes:
    """Without features that are none of the layer's."""
    features, height, width = sent.shape
    kept = part.kept(features)
    if part.step == 1 and not kept.start:
        return sent
    feature, place = np.divmod(sent.neurons, height * width)
    mine = (feature >= kept.start) & ((feature - kept.start) % part.step == 0)
    neurons = (feature[mine] - kept.start) // part.step * (height * width) + place[mine]
    return SteppedSpikes(sent.keys[mine], neurons, (len(range(features)[kept]), height, width))


def _joined(parts: Sequence[SteppedSpikes]) -> SteppedSpikes:
    """Parts one behind the other, along the features."""
    if len(parts) == 1:
        return parts[0]
    _, height, width = parts[0].shape
    first = np.cumsum([0, *(part.shape[0] for part in parts)]) * height * width
    neurons = np.concatenate([part.neurons + at for part, at in zip(parts, first, strict=False)])
    keys = np.concatenate([part.keys for part in parts])
    return SteppedSpikes(keys, neurons, (sum(part.shape[0] for part in parts), height, width))


@dataclass(frozen=True)
class StepDifference:
    """Where two runs part: the first layer of the network that differs in any time step, and there the earliest step.

    Attributes:
        layer: the user's name.
        neuron: (feature, y, x), the first one that differs in this step.
        step: counted from 0.
        start_us: when the step begins.
        first, second: how many spikes the neuron sends in this step in each of the runs.
    """

    layer: str
    neuron: Neuron
    step: int
    start_us: int
    first: int
    second: int

    def __str__(self) -> str:
        return (
            f"layer {self.layer}, neuron (feature, y, x) = {self.neuron}, "
            f"time step {self.step} (from {self.start_us:,} us): {self.first} against {self.second} spikes"
        )


def step_difference(
    first: Mapping[str, SteppedSpikes], second: Mapping[str, SteppedSpikes], step_us: int
) -> StepDifference | None:
    """Where two runs of a recording part; None: every neuron sends as many spikes in every step.

    Args:
        first, second: by layer, in the order of the network.
        step_us: length of a step in microseconds.
    """
    for layer, sent in first.items():
        size = int(np.prod(sent.shape))
        cells = [_cells(run[layer], step_us, size) for run in (first, second)]
        places = np.concatenate(cells)
        balance = np.concatenate([np.ones(len(cells[0]), np.int64), -np.ones(len(cells[1]), np.int64)])
        known, inverse = np.unique(places, return_inverse=True)
        unequal = known[np.bincount(inverse, balance, len(known)) != 0]
        if unequal.size:
            step, number = divmod(int(unequal[0]), size)
            f, y, x = (int(i) for i in np.unravel_index(number, sent.shape))
            counts = [int(np.count_nonzero(found == unequal[0])) for found in cells]
            return StepDifference(layer, (f, y, x), step, step * step_us, counts[0], counts[1])
    return None


def _cells(sent: SteppedSpikes, step_us: int, neurons: int) -> npt.NDArray[np.int64]:
    """A number for each spike's step and neuron, which rises with the step."""
    return sent.steps(step_us) * neurons + sent.neurons
