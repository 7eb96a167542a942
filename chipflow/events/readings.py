"""What a run reports beside spikes, counters and states: load of the cores, sensor, readout block, traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from chipflow.events.array import EVENT_DTYPE, EventArray

TRACE_DTYPE = np.dtype(
    [("t", np.int64), ("p", np.int16), ("y", np.int16), ("x", np.int16), ("v_mem", np.int16), ("spike", np.bool_)]
)
"""One update of a traced neuron: time in microseconds, feature, place, potential after it, whether the neuron spiked."""

READOUT_DTYPE = np.dtype([("t", np.int64), ("value", np.uint32)])
"""A ReadoutValue: time in microseconds, and its 21 bits."""

PIN_DTYPE = np.dtype([("t", np.int64), ("index", np.uint8)])
"""A ReadoutPinValue: time in microseconds, and the class, 0 for none."""

CLASS_AT, CLASS_BITS = 16, 4
"""Where the class is in a ReadoutValue, and its width."""

US_PER_S = 1_000_000


@dataclass(frozen=True)
class CoreLoad:
    """How much one core was asked to do, as an estimate: the chip model has no timing of its own (section 9).

    An operation is an update of a neuron, by an event or a clock tick.

    Attributes:
        operations: in the whole run.
        length_us: of the run: up to its duration or last event.
        rating: operations per second that the core is said to be capable of; second-hand figures, in the chip's description.
        window_us: length of a window; windows begin at multiples of it.
        worst_operations: in the busiest window.
        worst_start_us: when that window began, the earliest of equals.
    """

    operations: int
    length_us: int
    rating: int
    window_us: int
    worst_operations: int
    worst_start_us: int

    @property
    def mean_per_s(self) -> float:
        """Operations per second over the run; 0 for a run of no length."""
        return self.operations * US_PER_S / self.length_us if self.length_us else 0.0

    @property
    def worst_per_s(self) -> float:
        """Operations per second in the busiest window."""
        return self.worst_operations * US_PER_S / self.window_us

    @property
    def share(self) -> float:
        """Of the rating, in the busiest window."""
        return self.worst_per_s / self.rating

    @property
    def overloaded(self) -> bool:
        """Whether the core is asked for more than its rating: in a window, or over a run at least as long as one."""
        lasting = self.length_us >= self.window_us and self.mean_per_s > self.rating
        return lasting or self.worst_per_s > self.rating

    def __str__(self) -> str:
        return (
            f"estimated {self.worst_per_s:,.0f} operations/s in the {self.window_us / 1000:g} ms from {self.worst_start_us:,} us, "
            f"{self.mean_per_s:,.0f} over the run; rated at {self.rating:,} (second-hand)"
        )


@dataclass(frozen=True)
class SensorCounters:
    """What the sensor's pre-processing did with the events it got.

    Attributes:
        events_in: events of the sensor, all of them.
        dropped_outside: of these, outside the sensor's map, or of no polarity.
        dropped_polarity: of a polarity that is switched off.
        dropped_region: outside the region of interest.
        events_out: what went through all blocks.
    """

    events_in: int = 0
    dropped_outside: int = 0
    dropped_polarity: int = 0
    dropped_region: int = 0
    events_out: int = 0

    @property
    def dropped(self) -> int:
        """Events that went no further."""
        return self.dropped_outside + self.dropped_polarity + self.dropped_region


@dataclass(frozen=True)
class SensorOutput:
    """What the sensor reported.

    Attributes:
        counters: of all its events.
        raw: events before the pre-processing, where `raw_monitor_enable` is set; those after it are among the run's events.
    """

    counters: SensorCounters
    raw: EventArray

    def __str__(self) -> str:
        c = self.counters
        why = f"{c.dropped_outside:,} outside, {c.dropped_polarity:,} of a polarity that is off, {c.dropped_region:,} outside the region"
        return f"sensor: {c.events_in:,} events, {c.events_out:,} went on; dropped: {why}"


@dataclass(frozen=True)
class ReadoutOutput:
    """What the readout block did.

    Attributes:
        values: of dtype READOUT_DTYPE, one per clock tick, where `monitor_enable` is set.
        pins: of dtype PIN_DTYPE, where `readout_pin_monitor_enable` is set and the interrupt rose.
        events_in: spikes that arrived.
        counted: of these, some class counts them.
        without_class: of these, no class counts them.
    """

    values: EventArray
    pins: EventArray
    events_in: int = 0
    counted: int = 0
    without_class: int = 0

    def __str__(self) -> str:
        lost = f", {self.without_class:,} without a class" if self.without_class else ""
        return f"readout: {self.events_in:,} spikes{lost}; {self.reported}"

    @property
    def reported(self) -> str:
        """What came out of it, as text."""
        last = f", class {self.winners[-1]} at the last" if len(self.values) else ""
        return f"{len(self.values):,} values{last}, {len(self.pins):,} pin events"

    @property
    def winners(self) -> npt.NDArray[np.uint32]:
        """The class with the largest average at every tick, from `values`; 0 for none."""
        values: npt.NDArray[np.uint32] = self.values["value"]
        return (values >> np.uint32(CLASS_AT)) & np.uint32((1 << CLASS_BITS) - 1)


@dataclass(frozen=True)
class StreamChunk:
    """One window of a run under way.

    Attributes:
        start_us, end_us: of the window, in the chip's microseconds from the start of the run; the end is not in it.
        events: reported spikes in it, x, y, t, p, layer, ordered as in a run's result.
        sent: input events in it.
        late: of them, sent to a board after their time.
        lost: known to be missing (a board only).
        raw: sensor events in it before the pre-processing, x, y, t, p, where `raw_monitor_enable` is set.
        readout: what the readout block did in it, where it is enabled.
    """

    start_us: int
    end_us: int
    events: EventArray
    sent: int = 0
    late: int = 0
    lost: int = 0
    raw: EventArray = field(default_factory=lambda: np.empty(0, EVENT_DTYPE))
    readout: ReadoutOutput | None = None


@dataclass(frozen=True)
class RailPower:
    """Power drawn on one supply rail of the chip.

    Attributes:
        name: of the rail, as in the chip's description: "VDD_LOGIC".
        t: times of the samples, int64 microseconds.
        power_w: the samples in watts, float64.
    """

    name: str
    t: npt.NDArray[np.int64]
    power_w: npt.NDArray[np.float64]

    @property
    def mean_w(self) -> float:
        """Mean of the samples in watts; NaN of none."""
        return float(self.power_w.mean()) if len(self.power_w) else float("nan")


@dataclass
class PowerReadings:
    """What the power monitor measured, rail by rail; filled when the measurement ends.

    Attributes:
        rails: by name, in the order of the monitor's channels.
        seconds: how long it was measured, by the host's clock.
        rate_hz: samples a second that were asked for.
        offset_w: what each rail's reading may be off by, a constant of the monitor, in watts.
    """

    rails: Mapping[str, RailPower] = field(default_factory=dict[str, RailPower])
    seconds: float = 0.0
    rate_hz: float = 0.0
    offset_w: float = 0.0

    @property
    def total_w(self) -> float:
        """Sum of the rails' means, in watts."""
        return sum(rail.mean_w for rail in self.rails.values())
