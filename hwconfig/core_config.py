"""One core's part of a configuration, named as the vendor names it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from hwconfig.arrays import MOST_ELEMENTS, BiasBits, Biases, BitArray, NeuronBits, States, WeightBits, Weights
from hwconfig.destinations import Destination, enabled, without_unused
from hwconfig.memory import MemoryNeed, map_size, memory_need
from hwconfig.parts import ConfigPart, Flag, Integer, Label, Pair, Shape


class Dimensions(ConfigPart):
    """Shapes of a core's convolution."""

    kernel_size: Integer = Field(description="side of the square kernel, in pixels")
    stride: Pair = Field(default=(1, 1), description="(y, x), in pixels")
    padding: Pair = Field(default=(0, 0), description="(y, x), zeros on both sides, in pixels")
    input_shape: Shape = Field(description="(features, y, x) of the events that arrive")
    output_shape: Shape = Field(description="(features, y, x) of the neuron map, before pooling")

    @classmethod
    def convolution(
        cls,
        input_shape: tuple[int, int, int],
        features: int,
        kernel_size: int,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
    ) -> Dimensions:
        """The shapes of a convolution from `input_shape` (features, y, x) to `features`; its neuron map follows."""
        fields: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "input_shape": input_shape}
        height, width = cls(**fields, output_shape=(features, 1, 1)).expected_map()
        return cls(**fields, output_shape=(features, height, width))

    def expected_map(self) -> tuple[int, int]:
        """(y, x) of the neuron map that input, kernel, stride and padding give; floor as on the chip."""
        y, x = (
            map_size(size, self.kernel_size, max(stride, 1), padding)
            for size, stride, padding in zip(self.input_shape[1:], self.stride, self.padding, strict=True)
        )
        return y, x


class CoreConfig(ConfigPart):
    """One core. Weights, thresholds, biases and states share one unit: that of the membrane potential on the chip."""

    layer_name: Label = Field(default="", description="dotted name of the user's layer; nothing of the chip")
    dimensions: Dimensions = Field(description="shapes of the convolution")
    weights: Weights = Field(description="int8 [feature out][feature in][y][x], added to the potential at an event")
    biases: Biases = Field(
        default_factory=lambda: np.zeros(0, np.int16),
        description="int16 [feature out], added at each slow-clock tick; zeros where left out",
    )
    neurons_initial_value: States = Field(
        default_factory=lambda: np.zeros((0, 0, 0), np.int16),
        description="int16 [feature][y][x], membrane potentials after a reset; zeros where left out",
    )
    weights_kill_bit: WeightBits | None = Field(default=None, description="shape of weights, true: no synapse; None: none killed")
    biases_kill_bit: BiasBits | None = Field(default=None, description="shape of biases, true: no bias; None: none killed")
    neurons_value_kill_bit: NeuronBits | None = Field(
        default=None, description="[feature][y][x], true: the neuron never updates; None: none killed"
    )
    threshold_high: Integer = Field(description="a neuron at or above it spikes")
    threshold_low: Integer = Field(description="lower bound of the membrane potential")
    return_to_zero: Flag = Field(default=False, description="after a spike the potential is 0 instead of less by threshold_high")
    leak_enable: Flag = Field(default=False, description="add the biases at each slow-clock tick")
    leak_internal_slow_clk_enable: Flag = Field(default=False, description="take the ticks from the chip's own slow clock")
    monitor_enable: Flag = Field(default=False, description="report all spikes of this core, unpooled and unshifted")
    destinations: tuple[Destination, ...] = Field(
        default=(), strict=False, description="targets in index order; unused ones at the end do not count"
    )
    input_congestion_balancer_enable: Flag = Field(default=False, description="drop input events while the core is busy")
    output_decimator_enable: Flag = Field(default=False, description="let only every n-th spike pass")
    output_decimator_interval: Integer = Field(default=0, description="index into the chip's decimator ratios, which gives n")

    @model_validator(mode="before")
    @classmethod
    def _fill_zeros(cls, data: Any) -> Any:
        """Biases and initial values left out are zeros of the right shape."""
        if not isinstance(data, Mapping) or "dimensions" not in data:
            return cast("Any", data)
        data = cast("Mapping[str, Any]", data)
        try:
            dimensions = Dimensions.model_validate(data["dimensions"])
        except ValidationError:
            return data  # the field says what is wrong, in its place
        shape = tuple(max(size, 0) for size in dimensions.output_shape)
        missing = {name: size for name, size in (("biases", shape[:1]), ("neurons_initial_value", shape)) if name not in data}
        if missing and math.prod(shape) > MOST_ELEMENTS:
            raise ValueError(f"output_shape {shape} has more neurons than any chip; correct it, or give every array")
        zeros = {name: np.zeros(size, np.int16) for name, size in missing.items()}
        return {**zeros, **data, "dimensions": dimensions}

    @field_validator("weights_kill_bit", "biases_kill_bit", "neurons_value_kill_bit")
    @classmethod
    def _without_idle(cls, value: BitArray | None) -> BitArray | None:
        """Bits of which none is set kill nothing, as if there were none."""
        return value if value is not None and value.any() else None

    @field_validator("destinations")
    @classmethod
    def _without_unused(cls, value: tuple[Destination, ...]) -> tuple[Destination, ...]:
        return without_unused(value)

    @property
    def has_bias(self) -> bool:
        """Whether bias memory is needed: leaking, or any bias not zero."""
        return self.leak_enable or bool(np.any(self.biases))

    @property
    def enabled_destinations(self) -> tuple[Destination, ...]:
        """Destinations in use, in index order."""
        return enabled(self.destinations)

    @property
    def kill_bits(self) -> dict[str, BitArray]:
        """The arrays of kill bits that are set, by field name."""
        names = ("weights_kill_bit", "biases_kill_bit", "neurons_value_kill_bit")
        return {name: bits for name in names if (bits := getattr(self, name)) is not None}

    def memory_need(self) -> MemoryNeed:
        """Words of each memory that this core's layer takes."""
        size = self.dimensions
        return memory_need(size.input_shape, size.output_shape, size.kernel_size, has_bias=self.has_bias)

    def __repr__(self) -> str:
        size = self.dimensions
        name = f"{self.layer_name!r}, " if self.layer_name else ""
        return (
            f"CoreConfig({name}{size.input_shape} -> {size.output_shape}, kernel {size.kernel_size}, "
            f"threshold {self.threshold_high}, to {[d.layer for d in self.enabled_destinations]})"
        )
