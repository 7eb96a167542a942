"""The fast emulator: whole streams, core by core, for every network of cores without a loop."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator import paths, records, streams
from chipflow.emulator.core import Core, CoreMemory
from chipflow.emulator.inputs import Block, InputRules, blocks, checked_duration, checked_options, checked_period
from chipflow.emulator.network import Network, build_network
from chipflow.emulator.outcome import Outcome, checked_states
from chipflow.emulator.paths import NO_WAYS, Stream, Ways, cores_with_ways
from chipflow.emulator.records import Items
from chipflow.errors import EmulatorError
from chipflow.events.array import EVENT_DTYPE, EventArray, OnOutside
from chipflow.events.result import CoreCounters, RunResult
from hwconfig.config import ChipConfig

BLOCK = 1 << 16
Mask = npt.NDArray[np.bool_]


@dataclass
class _Run:
    """A run under way: its clock, and what it has counted and reported so far."""

    outcome: Outcome
    start: dict[int, npt.NDArray[np.int64]]
    last_t: int = 0
    ticks: int = 0
    index: int = 0
    fed: bool = False
    spikes: dict[int, list[Items]] = field(default_factory=dict[int, list[Items]])

    def copied(self) -> _Run:
        """Independent of later feeding; arrays, which are never changed, are shared."""
        spikes = {core: list(parts) for core, parts in self.spikes.items()}
        return _Run(copy.deepcopy(self.outcome), self.start, self.last_t, self.ticks, self.index, self.fed, spikes)


@dataclass(frozen=True)
class Snapshot:
    """All that an emulator remembers; made by `Emulator.snapshot`."""

    config: ChipConfig
    cores: dict[int, CoreMemory]
    run: _Run | None


class Emulator:
    """Runs a configuration as the chip does, bit for bit as the chip model says.

    Args:
        config: the configuration; refused if it breaks a design rule.
        entries: cores that events without a layer enter, in order; None: the only core without a source.
        slow_clock_period_us: period of the clock whose ticks add the biases; None: no clock.
        strict: raise StrictModeError when a state is clipped at the end of its int16 range, instead of only counting it.
        on_outside: what to do with input events outside the input map of the core they enter: "error" refuses them before
            the run, "drop" drops and counts them.
        order: "depth_first", the chip's.

    Raises:
        DesignRuleError: the configuration breaks design rules.
        UnsupportedConfigError: it uses the sensor, the event filter, the readout block or kill bits, which are not modelled yet.
        EmulatorError: entries or options that make no sense.
    """

    def __init__(
        self,
        config: ChipConfig,
        *,
        entries: Sequence[int] | None = None,
        slow_clock_period_us: int | None = None,
        strict: bool = True,
        on_outside: OnOutside = "error",
        order: str = "depth_first",
    ) -> None:
        checked_options(on_outside, order)
        self.config = config
        self._network: Network = build_network(config, entries)
        self._with_ways = cores_with_ways(self._network)
        self._rules = InputRules(config, self._network, checked_period(config, slow_clock_period_us), on_outside)
        self._cores = {core: Core(config, core, strict=strict) for core in self._network.order}
        self._run: _Run | None = None

    @property
    def entries(self) -> tuple[int, ...]:
        """Cores that events without a layer enter, in order."""
        return self._network.entries

    def run(self, events: Any, *, duration: int | None = None) -> RunResult:
        """One run from time 0, continuing from the states as they are.

        Args:
            events: structured array x, y, t, p, and perhaps layer; t ascending, in microseconds.
            duration: clock ticks go on up to this time, in microseconds; None: up to the last event.

        Raises:
            EventError: events that are refused, before anything has changed.
            StrictModeError: states are as before the run.
        """
        if self._run is not None:
            raise EmulatorError("a fed run is under way: call finish() or reset() before run()")
        duration = checked_duration(duration, 0)
        array = self._rules.check(events, duration=duration)
        before = self.snapshot()
        try:
            self._feed(array)
            return self._finish(duration)
        except BaseException:
            self.restore(before)
            raise

    def feed(self, events: Any) -> None:
        """The next chunk of a run; the first chunk starts it at time 0. `finish` gives its result.

        Raises:
            EventError: events that are refused; StrictModeError. Both leave everything as before this chunk.
        """
        run = self._run
        array = self._rules.check(events, after=run.last_t if run else 0, first=run is None or not run.fed)
        before = self.snapshot()
        try:
            self._feed(array)
        except BaseException:
            self.restore(before)
            raise

    def finish(self, duration: int | None = None) -> RunResult:
        """End the fed run, with clock ticks up to `duration` (microseconds from 0), and report it as `run` does."""
        checked = checked_duration(duration, self._run.last_t if self._run else 0)
        before = self.snapshot()
        try:
            return self._finish(checked)
        except BaseException:
            self.restore(before)
            raise

    def state(self, core: int) -> npt.NDArray[np.int16]:
        """A copy of a core's membrane potentials, int16 [feature, y, x]."""
        return self._core(core).read()

    def set_state(self, core: int, array: npt.ArrayLike) -> None:
        """Write a core's membrane potentials, integers [feature, y, x] in the int16 range.

        Raises:
            EmulatorError: unknown core, wrong shape or dtype, values out of range.
        """
        target = self._core(core)
        target.write(checked_states(array, target.shape, core))

    def reset(self) -> None:
        """Initial states, decimators at zero; a run under way is forgotten."""
        self._run = None
        for core in self._cores.values():
            core.reset()

    def snapshot(self) -> Snapshot:
        """A copy of all that the emulator remembers, a run under way included."""
        run = self._run.copied() if self._run else None
        return Snapshot(self.config, {core: machine.save() for core, machine in self._cores.items()}, run)

    def restore(self, s: Snapshot) -> None:
        """Back to a snapshot of an emulator of the same configuration.

        Raises:
            EmulatorError: the snapshot is of another configuration.
        """
        if s.config is not self.config and s.config != self.config:
            raise EmulatorError("the snapshot was taken with another configuration")
        self._run = s.run.copied() if s.run else None
        for core, memory in s.cores.items():
            self._cores[core].restore(memory)

    def _core(self, core: int) -> Core:
        if core not in self._cores:
            raise EmulatorError(f"core {core} is not configured; configured are {list(self.config.active_cores)}")
        return self._cores[core]

    def _begin(self) -> _Run:
        if self._run is None:
            monitored = [core for core in self._network.order if self.config.core(core).monitor_enable]
            start = {core: machine.totals.copy() for core, machine in self._cores.items()}
            self._run = _Run(Outcome(self.config, self._network), start, spikes={core: [] for core in monitored})
        return self._run

    def _feed(self, events: EventArray) -> None:
        run = self._begin()
        if not events.size:
            return
        run.fed = True
        run.outcome.sent += len(events)
        run.last_t = int(events["t"][-1])
        self._advance(run, events, run.last_t)

    def _finish(self, duration: int | None) -> RunResult:
        run = self._begin()
        if duration is not None:
            self._advance(run, np.empty(0, EVENT_DTYPE), duration)
        counted = {core: machine.totals - run.start[core] for core, machine in self._cores.items()}
        counters = {core: _counters(totals, run.outcome.arrivals[core]) for core, totals in counted.items()}
        handled = {core: int(totals[records.HANDLED]) for core, totals in counted.items()}
        states = {core: machine.read() for core, machine in self._cores.items()}
        result = run.outcome.result(streams.reported(run.spikes), counters, handled, states, duration)
        self._run = None
        return result

    def _advance(self, run: _Run, events: EventArray, end: int) -> None:
        """Handle events and the ticks up to `end`."""
        period = self._rules.period
        for block in blocks(events["t"], period, run.ticks, run.index, end, BLOCK):
            self._advance_block(run, events[block.lo : block.hi], block)
            run.ticks += len(block.tick_times)
            run.index += block.hi - block.lo + len(block.tick_times)

    def _advance_block(self, run: _Run, events: EventArray, block: Block) -> None:
        """Core by core, in the order in which they act at a tick: all sources of a core come before it."""
        inbox: dict[int, list[Stream]] = {core: [] for core in self._cores}
        addressed = dict(self._rules.addressed(events)) if events.size else {}
        for number, core in self._cores.items():
            begun = self._begun(run, events, block, number, addressed.get(number))
            if number in self._with_ways:
                stream = paths.merged([*inbox.pop(number), *(paths.begun(items, place) for items, place in begun)])
            else:
                pieces = [*(arrived.items for arrived in inbox.pop(number)), *(items for items, _ in begun)]
                stream = Stream(streams.merge(pieces), NO_WAYS)
            self._send(run, number, core.process(stream.items), stream.ways, inbox)

    def _begun(self, run: _Run, events: EventArray, block: Block, number: int, mine: Mask | None) -> list[tuple[Items, int]]:
        """What starts at this core: events addressed to it, and clock ticks with the core's place in the order (0 for events)."""
        core, ranks = self._cores[number], max(len(self._network.entries), 1)
        pieces: list[tuple[Items, int]] = []
        if mine is not None:
            rank = self._network.entries.index(number) if number in self._network.entries else 0
            keys = block.event_index[mine] * ranks + rank
            pieces.append((streams.addressed_items(events[mine], keys, core.input_shape, run.outcome.arrivals[number]), 0))
        if core.config.leak_enable and len(block.tick_times):
            ticks = streams.tick_items(block.tick_times, block.tick_index * ranks)
            pieces.append((ticks, self._network.order.index(number)))
        return pieces

    def _send(self, run: _Run, core: int, spikes: Items, ways: Ways, inbox: dict[int, list[Stream]]) -> None:
        """Report a core's spikes, and deliver them; `ways` are those of the items that caused them."""
        if core in run.spikes and spikes.f.size:
            run.spikes[core].append(spikes)
        routes = self._network.routes[core]
        ordered = core in self._with_ways
        if ordered:
            ways = paths.ways_of(spikes, ways)
            spikes = spikes._replace(key=np.arange(spikes.key.size))
        for i, route in enumerate(routes):
            if route.target not in self._cores:
                run.outcome.dropped_at_readout += spikes.f.size
                continue
            shape, arrivals = self._cores[route.target].input_shape, run.outcome.arrivals[route.target]
            arrived = Stream(streams.deliver(spikes, route, shape, arrivals), NO_WAYS)
            if ordered:
                arrived = paths.arrived_by(arrived.items, ways, i, len(routes))
            inbox[route.target].append(arrived)


def _counters(totals: npt.NDArray[np.int64], arrivals: streams.Arrivals) -> CoreCounters:
    return CoreCounters(
        events_in=arrivals.events_in,
        dropped_outside=arrivals.outside,
        dropped_remainder=arrivals.remainder,
        synops=int(totals[records.SYNOPS]),
        updates=int(totals[records.UPDATES]),
        leak_updates=int(totals[records.LEAK_UPDATES]),
        spikes=int(totals[records.SPIKES]),
        spikes_out=int(totals[records.SPIKES_OUT]),
        lower_clamped=int(totals[records.LOWER]),
        upper_clamped=int(totals[records.UPPER]),
    )
