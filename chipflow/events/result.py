"""What a run reports, the same from the emulator and from a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError
from chipflow.events.array import EventArray, events_to_raster
from chipflow.events.readings import CoreLoad, ReadoutOutput, SensorOutput
from chipflow.tables import table

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class CoreCounters:
    """What one core did during a run.

    Attributes:
        events_in: events that arrived, dropped ones included.
        dropped_outside: of these, outside the core's input map.
        dropped_remainder: of these, from the incomplete rows and columns at the edge of a pooled map.
        synops: taps inside the map, zero weights included.
        updates: taps with a non-zero weight.
        leak_updates: neurons updated by clock ticks.
        spikes: before the decimator.
        spikes_out: after the decimator.
        lower_clamped: updates whose result was raised to the lower bound.
        upper_clamped: updates whose result was cut at the largest state.
    """

    events_in: int = 0
    dropped_outside: int = 0
    dropped_remainder: int = 0
    synops: int = 0
    updates: int = 0
    leak_updates: int = 0
    spikes: int = 0
    spikes_out: int = 0
    lower_clamped: int = 0
    upper_clamped: int = 0

    @property
    def dropped(self) -> int:
        """Events that arrived and were dropped."""
        return self.dropped_outside + self.dropped_remainder


@dataclass(frozen=True)
class Accounting:
    """Where the events of a run went.

    Attributes:
        sent: input events.
        received: reported events.
        late: input events handed to the board after their time, by the host's clock (a board only).
        lost: packets known to be missing between host and board, at least so many (a board only).
        dropped: dropped on the way to a core or to the readout block.
        dropped_at_readout: of these, sent to the readout block while it was disabled.
    """

    sent: int = 0
    received: int = 0
    late: int = 0
    lost: int = 0
    dropped: int = 0
    dropped_at_readout: int = 0

    def __str__(self) -> str:
        troubles = [("late", self.late), ("lost", self.lost), ("dropped on the way", self.dropped)]
        found = "".join(f", {number:,} {what}" for what, number in troubles if number)
        return f"{self.sent:,} events sent{found}, {self.received:,} spikes reported"


@dataclass(frozen=True)
class LayerPart:
    """A core that computes some features of a layer: its feature n is the layer's (first + n) / step, where that is whole.

    Attributes:
        core: its id.
        first: above 0 in the later parts of a layer that is split over several cores.
        step: above 1 where the readout block reads every step-th feature, and the others never fire.
    """

    core: int
    first: int = 0
    step: int = 1

    def kept(self, features: int) -> slice:
        """The core's features, of so many, that are features of the layer."""
        return slice(-self.first % self.step, features, self.step)


Parts = Mapping[str, tuple[LayerPart, ...]]
"""Layer name -> its parts, in the order of the features."""


@dataclass(frozen=True)
class RunResult:
    """Events, counters and states of one run.

    Attributes:
        events: reported spikes with fields x, y, t, p, layer; by t, then layer in the order of the network.
        counters: per core id, cores in the order of the network.
        states: per core id, int16 [feature, y, x], after the run.
        accounting: totals.
        monitored: ids of the monitored cores, in the order of the network.
        shapes: per core id, (features, y, x) of its neuron map.
        names: per core id, the user's layer name; where known, layers can be given by it.
        parts: layers that are more or less than one core's features.
        notes: what the device has to say of this run.
        duration: in microseconds; None: the run ended with its last event.
        load: per core id, an estimate of how much it was asked to do.
        traces: per core id with traced neurons, every update of them, of dtype `chipflow.events.TRACE_DTYPE`.
        sensor: of a run in which the sensor took part.
        readout: of a run with the readout block enabled.
    """

    events: EventArray
    counters: Mapping[int, CoreCounters]
    states: Mapping[int, npt.NDArray[np.int16]]
    accounting: Accounting
    monitored: tuple[int, ...] = ()
    shapes: Mapping[int, Shape] = field(default_factory=dict[int, Shape])
    names: Mapping[int, str] = field(default_factory=dict[int, str])
    duration: int | None = None
    load: Mapping[int, CoreLoad] = field(default_factory=dict[int, CoreLoad])
    traces: Mapping[int, EventArray] = field(default_factory=dict[int, EventArray])
    sensor: SensorOutput | None = None
    readout: ReadoutOutput | None = None
    parts: Parts = field(default_factory=dict[str, tuple[LayerPart, ...]])
    notes: tuple[str, ...] = ()

    def with_names(self, names: Mapping[int, str], parts: Parts | None = None) -> RunResult:
        """The same result, in which layers are also known by these names.

        Args:
            names: per core id.
            parts: of layers; where only every step-th feature of a core is one of the layer's, events, states and traces have
                the layer's features afterwards, and no others.
        """
        named = replace(self, names=dict(names), parts=dict(parts or {}))
        for part in (part for found in named.parts.values() for part in found if part.step > 1):
            named = named._without_unused_features(part)
        return named

    def _without_unused_features(self, part: LayerPart) -> RunResult:
        kept = part.kept(self.shapes[part.core][0])
        features, height, width = self.shapes[part.core]
        states, shapes, traces = dict(self.states), dict(self.shapes), dict(self.traces)
        if part.core in states:  # a board's are not in the result
            states[part.core] = self.states[part.core][kept]
        shapes[part.core] = (len(range(features)[kept]), height, width)
        if part.core in traces:
            traces[part.core] = _renumbered(traces[part.core], kept, slice(None))
        events = _renumbered(self.events, kept, self.events["layer"] == part.core)
        return replace(self, events=events, states=states, shapes=shapes, traces=traces)

    def warnings(self) -> tuple[str, ...]:
        """What a user should know of this run: the device's notes, and cores that were asked for more than their rating."""
        return self.notes + tuple(
            f"core {core}{f' ({self.names[core]})' if core in self.names else ''} is overloaded: {load}"
            for core, load in self.load.items()
            if load.overloaded
        )

    def summary(self) -> str:
        """What every core did, how much it was asked to do, and where the events went, as text; of a board, what was reported."""
        blocks = (
            [str(block) for block in (self.sensor, self.readout) if block is not None]
            if self.counters
            else self._reported_blocks()
        )
        cores = self._counted_table() if self.counters else self._reported_table()
        return "\n".join([cores, str(self.accounting), *blocks, *(f"warning: {text}" for text in self.warnings())])

    def _reported_table(self) -> str:
        rows = [[str(core), self.names.get(core, ""), f"{int(self._counts(core).sum()):,}"] for core in self.monitored]
        return table("run", ["core", "layer", "spikes reported"], rows)

    def _reported_blocks(self) -> list[str]:
        """Without counters: what came, and no word of what went on inside."""
        sensor = [] if self.sensor is None else [f"sensor: {len(self.sensor.raw):,} events reported before the pre-processing"]
        block = self.readout
        return sensor + ([] if block is None else [str(block) if block.events_in else f"readout: {block.reported}"])

    def _counted_table(self) -> str:
        header = [
            "core",
            "layer",
            "events in",
            "dropped",
            "synaptic operations",
            "spikes",
            "at the lower bound",
            "load, estimated",
        ]
        rows = [
            [str(core), self.names.get(core, "")]
            + [f"{count:,}" for count in (c.events_in, c.dropped, c.synops, c.spikes, c.lower_clamped)]
            + [f"{self.load[core].share:.1%}" if core in self.load else ""]
            for core, c in self.counters.items()
        ]
        return table("run", header, rows)

    def cores_of(self, layer: int | str | None = None) -> tuple[int, ...]:
        """The monitored cores that a layer name means, in the order of its features; one core, except where a layer is split.

        Args:
            layer: a layer's name, a core id, or None: the last monitored core, with the other parts of its layer.

        Raises:
            EventError: unknown or not monitored.
        """
        if isinstance(layer, str) and layer in self.parts:
            return tuple(self.core_of(part.core) for part in self.parts[layer])
        core = self.core_of(layer)
        whole = next((found for found in self.parts.values() if core in {part.core for part in found}), ())
        return tuple(part.core for part in whole) if layer is None and whole else (core,)

    def core_of(self, layer: int | str | None = None) -> int:
        """The monitored core that a layer name, a core id, or None (the last monitored core) means.

        Raises:
            EventError: unknown or not monitored.
        """
        known = ", ".join(f"{core} ({self.names[core]})" if core in self.names else str(core) for core in self.monitored)
        if layer is None:
            if not self.monitored:
                raise EventError("no layer is monitored, so no spikes were reported: set monitor_enable on a core")
            return self.monitored[-1]
        core = next((core for core, name in self.names.items() if name == layer), layer)
        if not isinstance(core, str) and core in self.monitored:
            return int(core)
        raise EventError(f"layer {layer!r} is not monitored; monitored layers are: {known or 'none'}")

    def spikes(self, layer: int | str | None = None) -> EventArray:
        """Reported spikes of one layer, by time; p is the layer's feature, also where the layer is split over several cores."""
        found: list[EventArray] = []
        first = 0
        for core in self.cores_of(layer):
            mine = self.events[self.events["layer"] == core].copy()
            mine["p"] += first
            first += self.shapes[core][0]
            found.append(mine)
        joined = np.concatenate(found)
        return joined[np.argsort(joined["t"], kind="stable")] if len(found) > 1 else joined

    def counts(self, layer: int | str | None = None) -> npt.NDArray[np.int64]:
        """Spikes of every neuron of a monitored layer, int64 [feature, y, x]; None: the last monitored layer."""
        return np.concatenate([self._counts(core) for core in self.cores_of(layer)])

    def _counts(self, core: int) -> npt.NDArray[np.int64]:
        p, y, x = (self.events[name].astype(np.int64) for name in "pyx")
        features, height, width = self.shapes[core]
        flat = (p * height + y) * width + x
        mine = flat if self._reports_only(core) else flat[self.events["layer"] == core]
        return np.bincount(mine, minlength=features * height * width).reshape(features, height, width)

    def _reports_only(self, core: int) -> bool:
        """Whether all reported events are spikes of this core."""
        return self.monitored == (core,) and self.sensor is None

    def prediction(self, layer: int | str | None = None) -> int:
        """The feature with most spikes, the lowest of equals."""
        return int(np.argmax(self.counts(layer).sum(axis=(1, 2))))

    def raster(self, dt_us: int = 1000, layer: int | str | None = None) -> npt.NDArray[np.int32]:
        """Spikes of a monitored layer in steps of `dt_us`, int32 [time, feature, y, x]."""
        cores = self.cores_of(layer)
        mine = [self.events[self.events["layer"] == core] for core in cores]
        end = max(int(events["t"][-1]) // dt_us + 1 if events.size else 0 for events in mine)
        if self.duration is not None:
            end = max(end, -(-self.duration // dt_us))
        rasters = [
            events_to_raster(events, self.shapes[core], dt_us, end * dt_us) for core, events in zip(cores, mine, strict=True)
        ]
        return np.concatenate(rasters, axis=1)


def _renumbered(events: EventArray, kept: slice, mine: npt.NDArray[np.bool_] | slice) -> EventArray:
    """Events whose features count only the kept ones."""
    renumbered = events.copy()
    renumbered["p"][mine] = (events["p"][mine] - kept.start) // kept.step
    return renumbered
