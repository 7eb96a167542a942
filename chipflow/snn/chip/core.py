"""One core: weights and neurons of the user's network, run as the chip runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from chipflow.errors import UnsupportedModelError
from chipflow.quantization import QuantizedLayer, quantize_layer
from chipflow.snn.chip.chain import Part, padding_of, pair, refused
from chipflow.snn.chip.gradient import Neurons, last_states, straight_through, with_gradient
from chipflow.snn.chip.simulate import STATE_MAX, STATE_MIN, simulate
from chipflow.snn.chip.streams import Stream
from chipflow.snn.chip.taps import Geometry, Shape
from chipflow.snn.stateful import StatefulLayer

Quantization = Literal["default", "sinabs"]


@dataclass(frozen=True, eq=False)
class Spikes:
    """What goes from core to core.

    Attributes:
        stream: the events in their order.
        counts: as many in each step, [batch, time, ...], with the graph of the cores before.
    """

    stream: Stream
    counts: Tensor


@dataclass(frozen=True, eq=False)
class CoreRun:
    """What a core did.

    Attributes:
        spikes: that leave it, counts [batch, time, *map].
        v_mem: states after the last step [batch, *map], in the units of the weights.
        clipped: updates whose result did not fit into 16 bits.
    """

    spikes: Spikes
    v_mem: Tensor
    clipped: int


class Core(StatefulLayer):
    """Pooling, synapses and neurons of one core. It has no parameters: it uses those of the user's layers, as they are when it runs.

    Args:
        part: what the core does.
        quantization: mode of `chipflow.quantization.quantize_layer`.
    """

    v_mem: Tensor | None

    def __init__(self, part: Part, quantization: Quantization) -> None:
        super().__init__(("v_mem",))
        self.name = part.name
        self.part = part
        self.quantization: Quantization = quantization

    def geometry(self, shape: tuple[int, ...]) -> Geometry:
        """The geometry for a map (channels, y, x) in front, or a vector (features,).

        Raises:
            UnsupportedModelError: for a shape that the layer does not take.
        """
        part, synapses = self.part, self.part.synapses
        flat, input_shape = len(shape) == 1, _as_map(shape)
        channels, height, width = (side // pool for side, pool in zip(input_shape, (1, *part.pool), strict=True))
        if isinstance(synapses, torch.nn.Linear):
            if not (flat or part.flattened):
                raise self._misfit(shape, "a map needs a Flatten in front of a Linear layer")
            if channels * height * width != synapses.in_features:
                raise self._misfit(shape, f"the layer has {synapses.in_features} inputs")
            return Geometry(input_shape, synapses.out_features, part.pool, (height, width), (1, 1), (0, 0))
        if flat or channels != synapses.in_channels:
            raise self._misfit(shape, f"the layer reads maps of {synapses.in_channels} channels")
        kernel, stride = pair(synapses.kernel_size), pair(synapses.stride)
        found = Geometry(input_shape, synapses.out_channels, part.pool, kernel, stride, padding_of(synapses))
        if min(*found.pooled_shape, *found.output_shape) < 1:
            raise self._misfit(shape, f"pool {part.pool} and kernel {kernel} (y, x) leave nothing of it")
        return found

    def quantised(self) -> QuantizedLayer:
        """The chip's integers for the parameters as they are now: those of `chipflow.compile`.

        Raises:
            QuantizationError: if the layer could not fire.
        """
        part, neurons = self.part, self.part.neurons
        weights, bias = _float64(part.synapses.weight), part.synapses.bias
        return quantize_layer(
            weights if part.factor == 1 else weights * part.factor,
            None if bias is None else _float64(bias),
            float(neurons.threshold),
            None if neurons.min_v_mem is None else float(neurons.min_v_mem),
            mode=self.quantization,
            name=part.name,
        )

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # events in their order, no raster
        self, input: Spikes, geometry: Geometry, numbers: QuantizedLayer, ticks_per_step: int
    ) -> CoreRun:
        """Run from the states as they are, which stay: the caller keeps those that the run ends with."""
        scale, to_zero = numbers.record.scale, self.part.neurons.reset == "zero"
        batch, sides = len(input.stream.positions), self.map_of(geometry)
        weight = self.part.synapses.weight
        like = torch.empty((batch, *sides), dtype=torch.promote_types(weight.dtype, torch.float32), device=weight.device)
        v_mem = self._zeros_or("v_mem", like)
        found = simulate(input.stream, geometry, numbers, to_zero, _integers(v_mem, scale).reshape(batch, -1), ticks_per_step)
        counts = torch.from_numpy(found.counts).unflatten(2, sides).to(like)
        after = torch.from_numpy(found.after).unflatten(2, sides).to(like.device)
        end = last_states(after, scale, like.dtype)
        if self._needs_gradient(input.counts, v_mem):
            neurons = Neurons(scale, numbers.threshold, numbers.lower_bound, not to_zero, self.part.neurons.surrogate)
            current = self._current(input.counts.to(like), geometry, numbers, ticks_per_step).to(like)
            counts, end = with_gradient(current, v_mem, counts, after, neurons)
        return CoreRun(Spikes(found.stream, counts), end, found.clipped)

    def map_of(self, geometry: Geometry) -> tuple[int, ...]:
        """Shape of the neurons: (features, y, x), or (features,) of a linear layer."""
        return geometry.output_shape[:1] if isinstance(self.part.synapses, torch.nn.Linear) else geometry.output_shape

    def integer_states(self) -> npt.NDArray[np.int16] | None:
        """The chip's states [batch, features, y, x], at the scale of the parameters as they are now; None before the first run."""
        if self.v_mem is None:
            return None
        states = _integers(self.v_mem, self.quantised().record.scale)
        return states if states.ndim == 4 else states[:, :, None, None]

    def _needs_gradient(self, counts: Tensor, v_mem: Tensor) -> bool:
        parameters = (self.part.synapses.weight, self.part.synapses.bias)
        return torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in (counts, v_mem, *parameters))

    def _current(self, counts: Tensor, geometry: Geometry, numbers: QuantizedLayer, ticks_per_step: int) -> Tensor:
        """What each step adds to the potentials, [batch, time, *map], with the graph of counts and parameters."""
        synapses, pool, scale = self.part.synapses, self.part.pool, numbers.record.scale
        weight = straight_through(synapses.weight.to(counts.dtype) * self.part.factor, numbers.weights / scale)
        bias = None
        if synapses.bias is not None and numbers.biases is not None:
            bias = ticks_per_step * straight_through(synapses.bias.to(counts.dtype), numbers.biases / scale)
        merged = counts.flatten(0, 1)
        if pool != (1, 1):
            merged = F.avg_pool2d(merged, pool, divisor_override=1)
        if isinstance(synapses, torch.nn.Linear):
            current = F.linear(merged.flatten(1), weight, bias)
        else:
            current = F.conv2d(merged, weight, bias, geometry.stride, geometry.padding)
        return current.unflatten(0, counts.shape[:2])

    def _misfit(self, shape: tuple[int, ...], problem: str) -> UnsupportedModelError:
        found = f"{shape[0]} values" if len(shape) == 1 else f"a map (channels, y, x) of {shape}"
        return refused(self.part.name, f"got {found}, {problem}")

    def extra_repr(self) -> str:
        """What the core does, for printing."""
        part = self.part
        pool = "" if part.pool == (1, 1) else f"pool {part.pool}, "
        return f"'{part.name}' ({pool}{type(part.synapses).__name__}, neurons '{part.neuron_name}')"


def _integers(v_mem: Tensor, scale: float) -> npt.NDArray[np.int16]:
    """States at a scale: exact at the scale they were left at, the nearest integers if training has changed it since."""
    states = np.rint(_float64(v_mem) * scale)
    return states.clip(STATE_MIN, STATE_MAX).astype(np.int16)


def _as_map(shape: tuple[int, ...]) -> Shape:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)


def _float64(values: Tensor) -> npt.NDArray[np.float64]:
    return values.detach().cpu().double().numpy()
