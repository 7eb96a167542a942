"""The specification in code: slow, plain Python, one event and one neuron at a time, for any network without a loop.

Section numbers are those of the chip model. Nothing here is shared with the fast kernels: both read the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator.inputs import InputRules, checked_duration, checked_options, checked_period
from chipflow.emulator.network import Route, build_network
from chipflow.emulator.outcome import Outcome, checked_states
from chipflow.errors import StrictModeError
from chipflow.events.array import EventArray, OnOutside, make_events
from chipflow.events.result import CoreCounters, RunResult
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig

STATE_MIN, STATE_MAX = -32768, 32767
Neuron = tuple[int, int, int]


@dataclass
class _Counts:
    """CoreCounters under way, without what `Outcome` counts; and the events handled."""

    synops: int = 0
    updates: int = 0
    leak_updates: int = 0
    spikes: int = 0
    spikes_out: int = 0
    lower_clamped: int = 0
    upper_clamped: int = 0
    handled: int = 0


class ReferenceEmulator:
    """The same model as `Emulator`, for tests and for reading. Arguments and errors as there."""

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
        self.strict = strict
        self._network = build_network(config, entries)
        self._rules = InputRules(config, self._network, checked_period(config, slow_clock_period_us), on_outside)
        self.reset()

    def reset(self) -> None:
        """Initial states, decimators at zero."""
        self._states: dict[int, list[list[list[int]]]] = {
            core: self.config.core(core).neurons_initial_value.tolist() for core in self._network.order
        }
        self._decimators = dict.fromkeys(self._network.order, 0)

    def state(self, core: int) -> npt.NDArray[np.int16]:
        """A copy of a core's membrane potentials, int16 [feature, y, x]."""
        return np.array(self._states[core], dtype=np.int16)

    def set_state(self, core: int, array: npt.ArrayLike) -> None:
        """Write a core's membrane potentials, integers [feature, y, x] in the int16 range."""
        self._states[core] = checked_states(array, self.config.core(core).dimensions.output_shape, core).tolist()

    def run(self, events: Any, *, duration: int | None = None) -> RunResult:
        """One run from time 0, continuing from the states as they are; a failing run restores them."""
        duration = checked_duration(duration, 0)
        array = self._rules.check(events, duration=duration)
        before = {core: self.state(core) for core in self._network.order}, dict(self._decimators)
        self._outcome = Outcome(self.config, self._network, sent=len(array))
        self._counts = {core: _Counts() for core in self._network.order}
        self._reports: list[tuple[int, int, int, int, int]] = []
        try:
            self._run_in_order(array, duration)
        except BaseException:
            self._states = {core: states.tolist() for core, states in before[0].items()}
            self._decimators = before[1]
            raise
        return self._result(duration)

    def _run_in_order(self, events: EventArray, duration: int | None) -> None:
        """Sections 4 and 5: event after event, each tick before the events of its time."""
        targets = self._rules.addressed(events)
        period, tick = self._rules.period, 1
        for i, event in enumerate(events):
            x, y, t, p = (int(event[name]) for name in ("x", "y", "t", "p"))
            while period is not None and tick * period <= t:
                self._tick(tick * period)
                tick += 1
            for core, addressed in targets:
                if addressed[i]:
                    self._arrive(core, p, y, x, t, None, (y, x))
        while period is not None and duration is not None and tick * period <= duration:
            self._tick(tick * period)
            tick += 1

    def _tick(self, t: int) -> None:
        """Section 5: one leaking core after the other; its spikes travel after all its neurons are updated."""
        for core in self._network.order:
            part = self.config.core(core)
            if not part.leak_enable:
                continue
            features, height, width = part.dimensions.output_shape
            fired: list[Neuron] = []
            for y in range(height):
                for x in range(width):
                    for f in range(features):
                        bias = int(part.biases[f])
                        if bias != 0:
                            self._counts[core].leak_updates += 1
                            if self._update(core, (f, y, x), bias, t):
                                fired.append((f, y, x))
            self._leave(core, fired, t)

    def _arrive(self, core: int, c: int, y: int, x: int, t: int, route: Route | None, pooled: tuple[int, int]) -> None:
        """Section 2: one event at one core."""
        part, counts, arrivals = self.config.core(core), self._counts[core], self._outcome.arrivals[core]
        arrivals.events_in += 1
        channels, rows, columns = part.dimensions.input_shape
        if not (0 <= c < channels and 0 <= y < rows and 0 <= x < columns):
            if route is not None and 0 <= c < channels and _only_remainder(pooled, (rows, columns), route.full):
                arrivals.remainder += 1
            else:
                arrivals.outside += 1
            return
        counts.handled += 1
        fired: list[Neuron] = []
        for f, oy, ox, ky, kx in _taps(part, y, x):
            counts.synops += 1
            weight = int(part.weights[f, c, ky, kx])
            if weight != 0:
                counts.updates += 1
                if self._update(core, (f, oy, ox), weight, t):
                    fired.append((f, oy, ox))
        self._leave(core, fired, t)

    def _update(self, core: int, neuron: Neuron, amount: int, t: int) -> bool:
        """Steps 2 and 3 of section 2 for one neuron; whether it fires."""
        part, counts = self.config.core(core), self._counts[core]
        f, y, x = neuron
        low = max(part.threshold_low, STATE_MIN)
        added = self._states[core][f][y][x] + amount
        v = min(max(added, low), STATE_MAX)
        if added < low:
            counts.lower_clamped += 1
            if self.strict and low == STATE_MIN:
                raise StrictModeError(core, neuron, t, f"the membrane potential was clipped at {STATE_MIN}")
        if added > STATE_MAX:
            counts.upper_clamped += 1
            if self.strict:
                raise StrictModeError(core, neuron, t, f"the membrane potential was clipped at {STATE_MAX}")
        fires = v >= part.threshold_high
        if fires:
            counts.spikes += 1
            v = 0 if part.return_to_zero else v - part.threshold_high
        self._states[core][f][y][x] = v
        return fires

    def _leave(self, core: int, fired: list[Neuron], t: int) -> None:
        """Section 3: decimator, monitor, destinations; each spike with all that follows from it before the next."""
        part = self.config.core(core)
        for f, y, x in fired:
            if part.output_decimator_enable:
                self._decimators[core] += 1
                if self._decimators[core] < self.config.chip.limits.decimator_ratios[part.output_decimator_interval]:
                    continue
                self._decimators[core] = 0
            self._counts[core].spikes_out += 1
            if part.monitor_enable:
                self._reports.append((x, y, t, f, core))
            for route in self._network.routes[core]:
                if route.target == self.config.chip.layers.readout:
                    self._outcome.dropped_at_readout += 1
                    continue
                py, px = y // route.pooling, x // route.pooling
                self._arrive(route.target, f + route.shift, py, px, t, route, (py, px))

    def _result(self, duration: int | None) -> RunResult:
        place = {core: i for i, core in enumerate(self._network.order)}
        ordered = sorted(self._reports, key=lambda report: (report[2], place[report[4]]))  # stable
        columns = [np.array([report[i] for report in ordered], dtype=np.int64) for i in range(5)]
        states = {core: self.state(core) for core in self._network.order}
        handled = {core: counts.handled for core, counts in self._counts.items()}
        counters = {core: self._core_counters(core) for core in self._network.order}
        return self._outcome.result(make_events(*columns), counters, handled, states, duration)

    def _core_counters(self, core: int) -> CoreCounters:
        arrivals, counts = self._outcome.arrivals[core], self._counts[core]
        own = {item.name: getattr(counts, item.name) for item in fields(counts) if item.name != "handled"}
        return CoreCounters(arrivals.events_in, arrivals.outside, arrivals.remainder, **own)


def _taps(part: CoreConfig, y: int, x: int) -> list[tuple[int, int, int, int, int]]:
    """(f, oy, ox, ky, kx) of every neuron that an event at (y, x) touches, in the order oy, ox, f."""
    size = part.dimensions
    features, height, width = size.output_shape
    taps: list[tuple[int, int, int, int, int]] = []
    for oy in range(height):
        ky = y + size.padding[0] - oy * size.stride[0]
        for ox in range(width):
            kx = x + size.padding[1] - ox * size.stride[1]
            if 0 <= ky < size.kernel_size and 0 <= kx < size.kernel_size:
                taps.extend((f, oy, ox, ky, kx) for f in range(features))
    return taps


def _only_remainder(place: tuple[int, int], shape: tuple[int, int], full: tuple[int, int]) -> bool:
    """Whether each coordinate is inside the target's map, or in an incomplete pooling window of the source."""
    return all(value < size or value >= complete for value, size, complete in zip(place, shape, full, strict=True))
