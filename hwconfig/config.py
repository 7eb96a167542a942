"""A chip's configuration: what is written into its registers and memories, named as the vendor names it.

Shapes are (features, y, x), pairs are (y, x). Arrays are integers. Out-of-range values can be held, so that the design
rules (`hwconfig.rules`) can name every one of them; only what could not be read as a configuration at all is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

from hwconfig.arrays import Biases, States, Weights
from hwconfig.chip import ChipSpec, chip_names, get_chip
from hwconfig.memory import MemoryNeed, map_size, memory_need
from hwconfig.violations import Report

Pair = tuple[int, int]
Shape = tuple[int, int, int]
Part = TypeVar("Part", bound="ConfigPart")


class ConfigPart(BaseModel):
    """Frozen, compared by content (arrays included), copied with changes by `with_changes`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, strict=True)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(_same(getattr(self, name), getattr(other, name)) for name in self._compared())

    __hash__ = None  # type: ignore[assignment]  # the contents hold arrays; ChipConfig.hash is the content hash

    @classmethod
    def _compared(cls) -> tuple[str, ...]:
        return tuple(cls.model_fields)

    def with_changes(self: Part, **changes: Any) -> Part:
        """A validated copy in which the named fields are replaced."""
        return type(self).model_validate({name: getattr(self, name) for name in type(self).model_fields} | changes)


def _same(a: Any, b: Any) -> bool:
    return bool(np.all(np.array_equal(a, b) if hasattr(a, "dtype") else a == b))


class Dimensions(ConfigPart):
    """Shapes of a core's convolution."""

    kernel_size: int = Field(description="side of the square kernel")
    stride: Pair = Field(default=(1, 1), strict=False, description="(y, x)")
    padding: Pair = Field(default=(0, 0), strict=False, description="(y, x), zeros on both sides")
    input_shape: Shape = Field(strict=False, description="(features, y, x)")
    output_shape: Shape = Field(strict=False, description="(features, y, x) of the neuron map, before pooling")

    def expected_map(self) -> Pair:
        """(y, x) of the neuron map that input, kernel, stride and padding give; floor as on the chip."""
        y, x = (
            map_size(size, self.kernel_size, max(stride, 1), padding)
            for size, stride, padding in zip(self.input_shape[1:], self.stride, self.padding, strict=True)
        )
        return y, x


class Destination(ConfigPart):
    """Where a core's spikes go: coordinates // pooling, feature + feature_shift, into core `layer`."""

    layer: int
    enable: bool = True
    pooling: int = 1
    feature_shift: int = 0


class CoreConfig(ConfigPart):
    """One core. Thresholds, biases and states share the unit of the weights (they are all multiplied by the same scale)."""

    dimensions: Dimensions
    weights: Weights = Field(description="int8 [feature out][feature in][y][x]")
    biases: Biases = Field(
        default_factory=lambda: np.zeros(0, np.int16), description="int16 [feature out], added at each slow-clock tick"
    )
    neurons_initial_value: States = Field(
        default_factory=lambda: np.zeros((0, 0, 0), np.int16),
        description="int16 [feature][y][x], membrane potentials after a reset",
    )
    threshold_high: int = Field(description="a neuron at or above it spikes")
    threshold_low: int = Field(description="lower bound of the membrane potential")
    return_to_zero: bool = Field(default=False, description="after a spike: 0 instead of subtracting threshold_high")
    leak_enable: bool = Field(default=False, description="add the biases at each slow-clock tick")
    leak_internal_slow_clk_enable: bool = False
    monitor_enable: bool = Field(default=False, description="report all spikes of this core")
    destinations: tuple[Destination, ...] = Field(default=(), strict=False)
    input_congestion_balancer_enable: bool = False
    output_decimator_enable: bool = False
    output_decimator_interval: int = 0

    @model_validator(mode="before")
    @classmethod
    def _fill_zeros(cls, data: Any) -> Any:
        """Biases and initial values left out are zeros of the right shape."""
        if not isinstance(data, Mapping) or "dimensions" not in data:
            return cast("Any", data)
        data = cast("Mapping[str, Any]", data)
        dimensions = Dimensions.model_validate(data["dimensions"])
        shape = tuple(max(size, 0) for size in dimensions.output_shape)
        missing = {name: size for name, size in (("biases", shape[:1]), ("neurons_initial_value", shape)) if name not in data}
        try:
            zeros = {name: np.zeros(size, np.int16) for name, size in missing.items()}
        except MemoryError:
            raise ValueError(f"output_shape {shape} does not fit into memory") from None
        return {**zeros, **data, "dimensions": dimensions}

    @property
    def has_bias(self) -> bool:
        """Whether bias memory is needed: leaking, or any bias not zero."""
        return self.leak_enable or bool(np.any(self.biases))

    @property
    def enabled_destinations(self) -> tuple[Destination, ...]:
        """Destinations in use, in index order."""
        return tuple(destination for destination in self.destinations if destination.enable)

    def memory_need(self) -> MemoryNeed:
        """Words of each memory that this core's layer takes."""
        size = self.dimensions
        return memory_need(size.input_shape, size.output_shape, size.kernel_size, has_bias=self.has_bias)

    def __repr__(self) -> str:
        size = self.dimensions
        return (
            f"CoreConfig({size.input_shape} -> {size.output_shape}, kernel {size.kernel_size}, "
            f"threshold {self.threshold_high}, to {[d.layer for d in self.enabled_destinations]})"
        )


class DvsLayerConfig(ConfigPart):
    """The sensor's pre-processing: polarity, merge, pooling, region of interest, mirrors, destinations."""

    merge: bool = False
    on_channel: bool = True
    off_channel: bool = True
    pooling: Pair = Field(default=(1, 1), strict=False)
    origin: Pair = Field(default=(0, 0), strict=False, description="(y, x) of the region's first pixel, after pooling")
    cut: Pair | None = Field(default=None, strict=False, description="(y, x) of its last pixel, inclusive; None: the whole map")
    mirror: tuple[bool, bool] = Field(default=(False, False), strict=False, description="(y, x)")
    mirror_diagonal: bool = False
    pass_sensor_events: bool = False
    monitor_enable: bool = False
    raw_monitor_enable: bool = False
    destinations: tuple[Destination, ...] = Field(default=(), strict=False)

    @property
    def enabled_destinations(self) -> tuple[Destination, ...]:
        """Destinations in use, in index order."""
        return tuple(destination for destination in self.destinations if destination.enable)

    def output_shape(self, sensor_size: int) -> Shape:
        """(features, y, x) of the events after all blocks."""
        last = self.cut or tuple(sensor_size // pool - 1 for pool in self.pooling)
        height, width = (end - start + 1 for start, end in zip(self.origin, last, strict=True))
        return (1 if self.merge else 2, width, height) if self.mirror_diagonal else (1 if self.merge else 2, height, width)


class ReadoutConfig(ConfigPart):
    """The readout block (hardware names)."""

    enable: bool = False
    readout_configuration_sel: int = Field(default=3, ge=0, le=3)
    threshold: int = 0
    low_pass_filter_disable: bool = False
    low_pass_filter32_not16: bool = False
    output_mode_sel: int = Field(default=3, ge=0, le=3)
    output_neuron_num: int = 0
    override_threshold_max: bool = False
    monitor_enable: bool = False
    readout_pin_monitor_enable: bool = False
    internal_slow_clk: bool = False


class ChipConfig(ConfigPart):
    """A whole chip. Build by keyword, read with `core(i)`, judge with `violations()`, write with `to_json()`."""

    chip: ChipSpec = Field(description="a known chip's name, a TOML path, or a ChipSpec")
    cnn_layers: dict[int, CoreConfig] = Field(default_factory=dict[int, CoreConfig], strict=False)
    dvs_layer: DvsLayerConfig = Field(default_factory=DvsLayerConfig)
    readout: ReadoutConfig = Field(default_factory=ReadoutConfig)
    provenance: dict[str, Any] = Field(default_factory=dict, description="where it came from; no part of hash or equality")

    @field_validator("chip", mode="before")
    @classmethod
    def _find_chip(cls, value: Any) -> Any:
        return get_chip(value) if isinstance(value, str | Path) else value

    @field_serializer("chip")
    def _name_known_chip(self, chip: ChipSpec) -> Any:
        known = chip.name in chip_names() and get_chip(chip.name) == chip
        return chip.name if known else chip.model_dump(mode="json")

    @field_validator("cnn_layers")
    @classmethod
    def _sort_cores(cls, value: dict[int, CoreConfig]) -> dict[int, CoreConfig]:
        return dict(sorted(value.items()))

    @classmethod
    def _compared(cls) -> tuple[str, ...]:
        return tuple(name for name in cls.model_fields if name != "provenance")

    @property
    def active_cores(self) -> tuple[int, ...]:
        """Ids of the configured cores, ascending."""
        return tuple(self.cnn_layers)

    def core(self, core_id: int) -> CoreConfig:
        """The configuration of one core; KeyError names the cores there are."""
        if core_id not in self.cnn_layers:
            raise KeyError(f"core {core_id} is not configured; configured cores are {list(self.cnn_layers)}")
        return self.cnn_layers[core_id]

    def with_core(self, core_id: int, **changes: Any) -> ChipConfig:
        """A copy in which fields of one core are replaced."""
        return self.with_changes(cnn_layers=self.cnn_layers | {core_id: self.core(core_id).with_changes(**changes)})

    def violations(self) -> Report:
        """Every design rule that this configuration breaks."""
        from hwconfig.rules import check

        return check(self)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the contents, whatever their spelling in a file; provenance does not count."""
        from hwconfig.files import content_hash

        return content_hash(self)

    def to_json(self, *, readable: bool = False) -> str:
        """The file format: schema version, hash, contents. Arrays compact, or nested lists if `readable`."""
        from hwconfig.files import to_json

        return to_json(self, readable=readable)

    @staticmethod
    def from_json(text: str) -> ChipConfig:
        """What `to_json` wrote.

        Raises:
            ConfigFileError: truncated, foreign, of a newer schema, or with wrong fields.
            EditedConfigError: the contents do not match the hash that the text states.
        """
        from hwconfig.files import from_json

        return from_json(text)

    def __repr__(self) -> str:
        return f"ChipConfig({self.chip.name}, cores {list(self.cnn_layers)}, {self.hash[:15]})"
