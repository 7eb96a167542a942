"""A network whose forward pass is the chip's, and whose backward pass trains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError
from chipflow.quantization import QuantizedLayer
from chipflow.snn.chip.chain import chain_of
from chipflow.snn.chip.core import Core, CoreRun, Quantization, Spikes
from chipflow.snn.chip.streams import (
    Stream,
    checked_recordings,
    clock_of,
    raster_of_stream,
    stream_of_raster,
    stream_of_recordings,
)
from chipflow.snn.chip.taps import Geometry, taps_of
from chipflow.snn.fan_out import exact
from chipflow.snn.firing import FiringRates, FiringSums, check_rating
from chipflow.snn.stateful import spiking_part


@dataclass(frozen=True, eq=False)
class ChipRun:
    """What the cores did; by name of the core, which is that of its convolution or linear layer.

    Attributes:
        output: spike counts of the last core [batch, time, ...], with graph.
        counts: spikes of every neuron in each step [batch, time, ...], with graph. A spike of the clock tick that ends a step is in it.
        clipped: updates whose result did not fit into 16 bits and was cut off; the emulator refuses them unless strict=False.
        arrived: events in each step at the core, before its pool [batch, time, ...], with graph.
        geometries: of the cores.
    """

    output: Tensor
    counts: dict[str, Tensor]
    clipped: dict[str, int]
    arrived: dict[str, Tensor]
    geometries: dict[str, Geometry]

    @property
    def synops(self) -> dict[str, Tensor]:
        """Synaptic operations [batch] of every core, float64, with graph: synapses that events reach, those of weight 0 included."""
        return {name: _synops(self.arrived[name], geometry) for name, geometry in self.geometries.items()}

    def firing_rates(self, dt_us: float = 1000, *, saturated_at: float = 0.95) -> dict[str, FiringRates]:
        """How often the neurons of every core fired; dead and saturated ones among them.

        Args:
            dt_us: length of a step in microseconds, for rates per second.
            saturated_at: what share of steps with a spike makes a neuron saturated.

        Raises:
            ChipflowError: for numbers out of range.
        """
        check_rating("firing_rates", dt_us, saturated_at)
        rates: dict[str, FiringRates] = {}
        for name, counts in self.counts.items():
            sums = FiringSums.of(counts, counts.detach().sum((0, 1), dtype=exact(counts.device)))
            rates[name] = sums.rates(name, dt_us, saturated_at)
        return rates


class ChipFaithful(nn.Module):
    """A spiking network that computes as the chip does: event by event, in integers, with the numbers that `chipflow.compile` gives it.

    Per event and synapse a core adds a weight, holds the state at its lower bound, and emits at most one spike; there are no time steps. All
    this is the forward pass, so that spikes and states of `chipflow.compile(model).run(...)` are those seen in training: of every layer, for
    the same events, where no layer is split over several cores (`compile(..., split=False)` refuses that). Backward, derivatives are those of
    time-stepped neurons with the `surrogate` of each IAF, see `chipflow.snn.chip.gradient`: steps fine enough for a few spikes of a neuron in
    each are best.

    The parameters are the model's own. Weights are quantised anew in every call, so that training knows what rounding does. States go on
    from one call to the next, gradients included, until `detach()` or `reset_states()`, as those of other layers with states.

    Biases are added by the slow clock: at the end of every step of a raster, as the compiler has it with `time_step_us` = microseconds of a step.

    Example:
        faithful = ChipFaithful(network.spiking_model, input_shape=(2, 34, 34))
        counts = faithful(recordings, dt_us=10_000, num_steps=30).sum(1)
        cross_entropy(counts, labels).backward()

    Args:
        model: a chain of [AvgPool2d, SumPool2d, Flatten, Dropout], Conv2d or Linear, IAF; or a Network, whose spiking model is taken.
            Dropout does nothing, as on the chip. Layers replaced later are not seen: make a new one.
        input_shape: (channels, y, x) of the input, or (features,) for a network that starts with a linear layer; needed for recordings.
        quantization: mode of the compiler: "default" or "sinabs".

    Raises:
        UnsupportedModelError: for what no core can do: branches, batch normalisation, leaky neurons, a limit of spikes per step, ...
    """

    def __init__(
        self, model: nn.Module, input_shape: tuple[int, ...] | None = None, *, quantization: Quantization = "default"
    ) -> None:
        super().__init__()
        if quantization not in ("default", "sinabs"):
            raise ChipflowError(f"quantization is {quantization!r}, it must be 'default' or 'sinabs' to train with.")
        self.model: nn.Module = spiking_part(model)
        shape = getattr(model, "input_shape", None) if input_shape is None else input_shape
        self.input_shape = None if shape is None else tuple(int(side) for side in shape)
        parts, self.flattens_output = chain_of(self.model)
        self.cores = nn.ModuleList(Core(part, quantization) for part in parts)
        if self.input_shape is not None:
            self._geometries(self.input_shape)

    def forward(
        self,
        input: Tensor | npt.NDArray[Any] | Sequence[Any],
        *,
        dt_us: int | None = None,
        num_steps: int | None = None,
        time_step_us: int | None = None,
    ) -> Tensor:
        """Spike counts of the output [batch, time, ...]; see `run`."""
        return self.run(input, dt_us=dt_us, num_steps=num_steps, time_step_us=time_step_us).output

    def run(
        self,
        input: Tensor | npt.NDArray[Any] | Sequence[Any],
        *,
        dt_us: int | None = None,
        num_steps: int | None = None,
        time_step_us: int | None = None,
    ) -> ChipRun:
        """Run all cores.

        Args:
            input: a raster of spike counts [batch, time, channels, y, x] (or [batch, time, features]), a tensor or an array, whose events come in the
                order of `chipflow.events.raster_to_events`; or a list of recordings, event arrays in their own order, for which `dt_us` is needed.
            dt_us: microseconds of a step of recordings. Steps say when spikes are counted, and what the gradient sees; nothing of the run.
            num_steps: steps of recordings; by default up to the last event of all.
            time_step_us: microseconds between two ticks of the slow clock, which `dt_us` is a multiple of; by default `dt_us`.

        Raises:
            ChipflowError: for a raster that holds no spike counts, or numbers that do not go together; nothing has changed then.
            EventError: for events outside of the map or after the last step.
            QuantizationError: for a layer that could not fire on the chip.
            UnsupportedModelError: for a shape that the layers do not take.
        """
        if _is_raster(input):
            if not (dt_us is None and num_steps is None and time_step_us is None):
                raise ChipflowError(
                    "dt_us, num_steps and time_step_us are for recordings; a raster has its steps, with a clock tick each."
                )
            spikes, shape, ticks_per_step = self._of_raster(_as_tensor(input))
        else:
            spikes, shape, ticks_per_step = self._of_recordings(input, dt_us, num_steps, time_step_us)
        geometries, numbers = self._geometries(shape), self.quantised()
        arrived: dict[str, Tensor] = {}
        runs: dict[str, CoreRun] = {}
        for core in self._cores():
            name = core.part.name
            arrived[name] = spikes.counts
            runs[name] = core(spikes, geometries[name], numbers[name], ticks_per_step)
            spikes = runs[name].spikes
        for core in self._cores():
            core.v_mem = runs[core.part.name].v_mem
        return ChipRun(
            output=spikes.counts.flatten(2) if self.flattens_output else spikes.counts,
            counts={name: run.spikes.counts for name, run in runs.items()},
            clipped={name: run.clipped for name, run in runs.items()},
            arrived=arrived,
            geometries=geometries,
        )

    def quantised(self) -> dict[str, QuantizedLayer]:
        """The chip's integers and scale of every core, for the parameters as they are now."""
        return {core.part.name: core.quantised() for core in self._cores()}

    @property
    def states(self) -> dict[str, Tensor]:
        """Membrane potentials [batch, ...] of the cores, in the units of the weights; empty before the first run."""
        return {core.part.name: core.v_mem for core in self._cores() if core.v_mem is not None}

    def integer_states(self) -> dict[str, npt.NDArray[np.int16]]:
        """The same as the chip has them, int16 [batch, features, y, x]."""
        found = {core.part.name: core.integer_states() for core in self._cores()}
        return {name: states for name, states in found.items() if states is not None}

    def reset_states(self) -> None:
        """Forget the states; the next call starts from zero."""
        for core in self._cores():
            core.reset_states()

    def detach(self) -> None:
        """Keep the states and cut their gradients: backpropagation ends here."""
        for core in self._cores():
            core.detach()

    def _cores(self) -> list[Core]:
        return [core for core in self.cores if isinstance(core, Core)]

    def _geometries(self, shape: tuple[int, ...]) -> dict[str, Geometry]:
        """Of all cores, for an input of this shape."""
        if len(shape) not in (1, 3):
            raise ChipflowError(f"The input's shape is {shape}, it must be (channels, y, x) or (features,).")
        geometries: dict[str, Geometry] = {}
        for core in self._cores():
            geometries[core.part.name] = found = core.geometry(shape)
            shape = core.map_of(found)
        return geometries

    def _of_raster(self, raster: Tensor) -> tuple[Spikes, tuple[int, ...], int]:
        shape = tuple(raster.shape[2:])
        if len(shape) not in (1, 3) or 0 in raster.shape or (self.input_shape is not None and shape != self.input_shape):
            sides = "channels, y, x" if self.input_shape is None else ", ".join(map(str, self.input_shape))
            raise ChipflowError(
                f"The raster has shape {list(raster.shape)}, expected [batch, time, {sides}] with at least one of each."
            )
        if raster.is_complex():
            raise ChipflowError(f"The raster is {raster.dtype}, expected spike counts.")
        counts = raster.to(torch.promote_types(raster.dtype, torch.float32))
        return Spikes(stream_of_raster(counts.detach().cpu().numpy()), counts), shape, 1

    def _of_recordings(
        self, recordings: Any, dt_us: int | None, num_steps: int | None, time_step_us: int | None
    ) -> tuple[Spikes, tuple[int, ...], int]:
        if not isinstance(recordings, list | tuple) or not recordings:
            raise ChipflowError(f"The input is {_described(recordings)}, expected a raster (a tensor) or a list of event arrays.")
        if any(_is_raster(each) for each in recordings):
            raise ChipflowError(
                "The input is a list of rasters, expected a single raster [batch, time, ...], which torch.stack makes of them, or a list of "
                "event arrays."
            )
        if self.input_shape is None:
            raise ChipflowError(
                "Recordings do not tell the size of the map: give ChipFaithful(model, input_shape=(channels, y, x))."
            )
        checked = checked_recordings(recordings)
        clock = clock_of(checked, dt_us, num_steps, time_step_us)
        sides = (*self.input_shape, 1, 1)[:3]
        stream = stream_of_recordings(checked, (sides[0], sides[1], sides[2]), clock)
        return Spikes(stream, self._counts(stream, clock.ticks_per_step)), self.input_shape, clock.ticks_per_step

    def _counts(self, stream: Stream, ticks_per_step: int) -> Tensor:
        assert self.input_shape is not None
        weight = self._cores()[0].part.synapses.weight
        return torch.from_numpy(raster_of_stream(stream, self.input_shape, ticks_per_step)).to(weight.device)


def _is_raster(value: Any) -> bool:
    """Rather than an event array, whose elements have fields."""
    return isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in "biuf")


def _as_tensor(raster: Any) -> Tensor:
    """An array as a copy: torch takes neither all of numpy's dtypes nor arrays that are read-only or run backwards."""
    if isinstance(raster, Tensor):
        return raster
    return torch.from_numpy(np.array(raster, np.float64 if raster.dtype.itemsize > 4 else np.float32, order="C"))


def _synops(arrived: Tensor, geometry: Geometry) -> Tensor:
    at_each_place = arrived.sum(1).flatten(1).double()
    return at_each_place @ torch.from_numpy(taps_of(geometry).fan_out).to(at_each_place)


def _described(value: Any) -> str:
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"{type(value).__name__}"
