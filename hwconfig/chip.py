"""What a chip is: its cores, memories, limits, blocks and errata. `hwconfig.chip_files` reads one from a TOML file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hwconfig.errata import KnownOrOwn

Sizes = Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(strict=False)]


class Description(BaseModel):
    """A part of a chip's description: frozen, compared by content, without fields that do not exist."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CoreSpec(Description):
    """One core: memory sizes in words, and how fast it is said to be."""

    id: int = Field(ge=0)
    kernel_words: int = Field(ge=0, description="8-bit words for weights")
    neuron_words: int = Field(ge=0, description="16-bit words for membrane potentials")
    bias_words: int = Field(ge=0, description="16-bit words for biases")
    synops_per_second: int = Field(gt=0, description="rated synaptic operations per second; second-hand figure")


class DeviceSpec(Description):
    """A board that carries the chip."""

    name: str = Field(min_length=1, description="as users of the boards call it, without its number")
    vendor_name: str = Field(default="", description="the vendor's device_type_name; empty where it is not public")


class Limits(Description):
    """What any core of the chip accepts, whatever its memories."""

    input_size: int = Field(gt=0, description="largest input map, per axis")
    output_size: int = Field(gt=0, description="largest neuron map before pooling, per axis")
    features: int = Field(gt=0, description="most features, in or out")
    kernel_size: int = Field(gt=0, description="largest kernel side")
    strides: Sizes = Field(min_length=1, description="per axis")
    padding: int = Field(ge=0, description="largest padding, per axis")
    poolings: Sizes = Field(min_length=1, description="sum pooling of a destination")
    destinations: int = Field(gt=0, description="most destinations of a core, and of the sensor")
    feature_shift: int = Field(ge=0, description="largest number that a destination adds to the feature")
    weight_bits: int = Field(gt=1, le=8, description="signed")
    state_bits: int = Field(gt=1, le=16, description="signed: membrane potentials, thresholds, biases")
    neuron_address_bits: int = Field(gt=0, description="width of the address by which a neuron's state is read and written")
    decimator_ratios: Sizes = Field(description="1 of N spikes passes, by interval setting")
    internal_clock_dividers: Sizes = Field(description="the internal slow clock ticks once per 2^n sensor events")

    @property
    def weight_range(self) -> tuple[int, int]:
        """Smallest and largest weight."""
        return _signed_range(self.weight_bits)

    @property
    def state_range(self) -> tuple[int, int]:
        """Smallest and largest membrane potential, threshold and bias."""
        return _signed_range(self.state_bits)


class Features(Description):
    """Which optional blocks the chip has."""

    kill_bits: bool = Field(description="single synapses, biases and neurons can be disabled")
    internal_slow_clock: bool = Field(description="a slow clock made from sensor events, beside the one on the pin")
    congestion_balancer: bool = Field(description="a core can drop input events while it is busy")
    decimator: bool = Field(description="a core can drop all but every n-th of its spikes")
    pixels: bool = Field(description="a sensor on the die; without it sensor events come from outside")
    event_filter: bool = Field(description="noise, hot pixel and flicker filter of sensor events")
    readout: bool = Field(description="a readout block that counts spikes per class")


class LayerIds(Description):
    """Addresses that are not cores: destination of the readout block, source id of sensor events."""

    readout: int = Field(ge=0, description="layer id of the readout block, as a core's destination")
    sensor: int = Field(ge=0, description="layer id of monitored sensor events")


class SensorSpec(Description):
    """The event sensor: square, `size` pixels per axis."""

    size: int = Field(gt=0, description="pixels per axis")
    poolings: Sizes = Field(min_length=1, description="per axis")
    filter_half_width: int = Field(ge=0, description="largest half width of the event filter's window, in pixels")
    filter_threshold_bits: int = Field(gt=0, description="unsigned")

    @property
    def most_filter_threshold(self) -> int:
        """Largest age in slow-clock ticks that the event filter can be set to."""
        return (1 << self.filter_threshold_bits) - 1


class ReadoutSpec(Description):
    """The readout block: how many classes, and which features reach them."""

    classes: int = Field(gt=0, description="numbered from 1")
    feature_stride: int = Field(gt=0, description="feature stride * (n - 1) reaches class n; 1 on chips without the erratum")
    counter_bits: int = Field(gt=0, description="unsigned: spikes per period, averages and threshold")

    @property
    def most_count(self) -> int:
        """Largest count, average and threshold."""
        return (1 << self.counter_bits) - 1

    def class_of(self, feature: int) -> int | None:
        """The class, from 1, that a spike of this feature counts for; None if it counts for none."""
        number, rest = divmod(feature, self.feature_stride)
        return number + 1 if rest == 0 and 0 <= number < self.classes else None


class VendorSpec(Description):
    """Where the vendor's package has this chip."""

    module: str = Field(description="the chip's module inside the vendor's package")
    configuration: str = Field(description="the class of a whole configuration, in `<module>.configuration`")
    source_node: str = Field(default="", description="the class, in the package, of the node that events are written to")
    sink_node: str = Field(default="", description="the class, in the package, of the node that events are read from")


class RailSpec(Description):
    """A supply rail whose power the board measures."""

    channel: int = Field(ge=0, description="of the power monitor")
    name: str = Field(min_length=1, description="of the rail")
    volts: float = Field(gt=0, description="nominal")


class PowerSpec(Description):
    """What the power monitor on the chip's boards measures; without rails: nothing is public."""

    rails: tuple[RailSpec, ...] = Field(default=(), strict=False, description="one per channel")
    shortest_period_s: float = Field(gt=0, description="least time between two samples of a rail")
    offset_w: float = Field(ge=0, description="what a rail's reading may be off by, either way, in watts")
    source: str = Field(description="where this is known from")

    @property
    def highest_rate_hz(self) -> float:
        """Most samples a second."""
        return 1 / self.shortest_period_s


class ChipSpec(Description):
    """A chip as the compiler, the design rules and the emulator see it."""

    name: str = Field(min_length=1)
    family: str
    description: str
    devices: tuple[DeviceSpec, ...] = Field(default=(), strict=False, description="boards that carry it")
    errata: tuple[KnownOrOwn, ...] = Field(default=(), strict=False, description="known faults; by name if in `hwconfig.ERRATA`")
    notes: tuple[str, ...] = Field(default=(), strict=False, description="what is not public, and what is assumed in its place")
    synops_source: str = Field(description="where the rated synaptic operations per second are known from")
    parallel_cores: tuple[int, ...] = Field(
        default=(), strict=False, description="ids of the cores with parallel computing, meant for input layers"
    )
    limits: Limits
    features: Features
    layers: LayerIds
    sensor: SensorSpec
    readout: ReadoutSpec
    power: PowerSpec | None = Field(default=None, description="None where no board of the chip measures power")
    vendor: VendorSpec | None = Field(default=None, description="None for a chip that the vendor's package does not have")
    cores: tuple[CoreSpec, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _fits_together(self) -> ChipSpec:
        ids = [core.id for core in self.cores]
        if ids != sorted(set(ids)):
            raise ValueError(f"core ids must ascend without repeats, found {ids}")
        if len({self.layers.readout, self.layers.sensor, *ids}) < len(ids) + 2:
            raise ValueError(
                f"readout {self.layers.readout} and sensor {self.layers.sensor} must differ from each other and from the core ids {ids}"
            )
        if not set(self.parallel_cores) <= set(ids):
            raise ValueError(f"parallel_cores are {list(self.parallel_cores)}, the core ids are {ids}")
        if self.features.decimator and not self.limits.decimator_ratios:
            raise ValueError("features.decimator is true, but limits.decimator_ratios is empty")
        return self

    def has_erratum(self, name: str) -> bool:
        """Whether the chip has the fault of this name."""
        return any(erratum.name == name for erratum in self.errata)

    @property
    def core_ids(self) -> tuple[int, ...]:
        """Ids of the cores, ascending."""
        return tuple(core.id for core in self.cores)

    def core(self, core_id: int) -> CoreSpec:
        """The core with this id; KeyError names the ids that exist."""
        for core in self.cores:
            if core.id == core_id:
                return core
        raise KeyError(f"{self.name} has no core {core_id}; its cores are {list(self.core_ids)}")


def _signed_range(bits: int) -> tuple[int, int]:
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
