"""The specification in code: slow, plain Python, one event and one neuron at a time, for any network without a loop.

Section numbers are those of the chip model. Nothing here is shared with the fast kernels: both read the configuration.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator.inputs import InputRules, checked_duration
from chipflow.emulator.network import Route, build_network
from chipflow.emulator.options import Options
from chipflow.emulator.outcome import Finished, checked_states, result, silences
from chipflow.emulator.reference_blocks import ReferenceReadout, ReferenceSensor
from chipflow.errors import StrictModeError
from chipflow.events.array import EventArray, make_events
from chipflow.events.readings import PIN_DTYPE, READOUT_DTYPE, TRACE_DTYPE, ReadoutOutput, SensorCounters, SensorOutput
from chipflow.events.result import CoreCounters, RunResult
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig

STATE_MIN, STATE_MAX = -32768, 32767
Neuron = tuple[int, int, int]
Report = tuple[int, int, int, int, int]


@dataclass
class _Counts:
    """CoreCounters under way, and the events handled."""

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
    handled: int = 0


@dataclass
class _Run:
    """What a run has reported so far; by core id."""

    counts: dict[int, _Counts]
    windows: dict[int, dict[int, int]]
    sensor: ReferenceSensor
    reports: list[Report] = field(default_factory=list[Report])
    raw: list[Report] = field(default_factory=list[Report])
    traces: dict[int, list[tuple[int, int, int, int, int, bool]]] = field(default_factory=dict[int, Any])


class ReferenceEmulator:
    """The same model as `Emulator`, for tests and for reading. Arguments and errors as there."""

    def __init__(self, config: ChipConfig, *, entries: Sequence[int] | None = None, **options: Any) -> None:
        if options.get("trace", ()) is None:
            del options["trace"]
        self.config = config
        self._network = build_network(config, entries)
        self.options = Options(**options).checked(config)
        self._rules = InputRules(config, self._network, self.options.slow_clock_period_us, self.options.on_outside)
        self._queue: deque[tuple[int, Neuron, int, Route]] = deque()  # breadth first only
        self.reset()

    def reset(self) -> None:
        """Initial states, decimators at zero, readout empty."""
        self._states: dict[int, list[list[list[int]]]] = {
            core: self.config.core(core).neurons_initial_value.tolist() for core in self._network.order
        }
        first = self.options.decimator_passes == "first"
        self._decimators = {core: self._decimation(core) - 1 if first else 0 for core in self._network.order}
        self._readout = ReferenceReadout(self.config.readout, self.config.chip)

    def _decimation(self, core: int) -> int:
        part = self.config.core(core)
        ratios = self.config.chip.limits.decimator_ratios
        return ratios[part.output_decimator_interval] if part.output_decimator_enable else 1

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
        before = copy.deepcopy((self._states, self._decimators, self._readout))
        self._begin()
        try:
            self._run_in_order(array, duration)
            return result(self.config, self._network, self.options, self._finished(array, duration))
        except BaseException:
            self._states, self._decimators, self._readout = before
            raise

    def _begin(self) -> None:
        cores = self._network.order
        sensor = ReferenceSensor(self.config.dvs_layer, self.config.chip)
        self._run = _Run({core: _Counts() for core in cores}, {core: {} for core in cores}, sensor)
        self._run.traces = {core: [] for core, neurons in self.options.trace.items() if neurons}
        self._readout.begin()
        self._queue.clear()

    def _run_in_order(self, events: EventArray, duration: int | None) -> None:
        """Sections 4 and 5: event after event, each tick before the events of its time."""
        period, tick = self.options.slow_clock_period_us, 1
        matters = self.config.readout.enable or any(part.leak_enable for part in self.config.cnn_layers.values())
        period = period if matters else None
        for event in events:
            x, y, t, p = (int(event[name]) for name in ("x", "y", "t", "p"))
            while period is not None and tick * period <= t:
                self._tick(tick * period)
                tick += 1
            for layer in self._layers_of(event):
                if layer == self.config.chip.layers.sensor:
                    self._sense(p, y, x, t)
                else:
                    self._send((p, y, x), t, self._entry(layer))
            self._drain()
        while period is not None and duration is not None and tick * period <= duration:
            self._tick(tick * period)
            tick += 1

    def _layers_of(self, event: np.void) -> Sequence[int]:
        if "layer" in (event.dtype.names or ()):
            return [int(event["layer"])]
        return self._network.entries or [self.config.chip.layers.sensor]

    def _entry(self, core: int) -> Route:
        size = self.config.core(core).dimensions.input_shape[1:]
        return Route(core, 1, 0, size, size)

    def _sense(self, p: int, y: int, x: int, t: int) -> None:
        """Section 6."""
        part, run, layer = self.config.dvs_layer, self._run, self.config.chip.layers.sensor
        if part.raw_monitor_enable and not silences(self.config):
            run.raw.append((x, y, t, p, layer))
        place = run.sensor.process(p, y, x)
        if place is None:
            return
        if part.monitor_enable and not silences(self.config):
            run.reports.append((place[2], place[1], t, place[0], layer))
        for core in self._network.sensor:
            self._send(place, t, self._entry(core))

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
                        bias = 0 if _killed(part.biases_kill_bit, f) else int(part.biases[f])
                        if bias != 0 and not _killed(part.neurons_value_kill_bit, f, y, x):
                            self._run.counts[core].leak_updates += 1
                            if self._update(core, (f, y, x), bias, t):
                                fired.append((f, y, x))
            self._leave(core, fired, t)
            self._drain()
        if self.config.readout.enable:
            self._readout.tick(t)

    def _send(self, place: Neuron, t: int, route: Route, source: tuple[int, Neuron] | None = None) -> None:
        """Section 4: at once, with all that follows; or at the end of the queue."""
        if self.options.order == "breadth_first":
            self._queue.append((t, place, -1 if source is None else source[0], route))
        else:
            self._arrive(place, t, route, source)

    def _drain(self) -> None:
        while self._queue:
            t, place, core, route = self._queue.popleft()
            self._arrive(place, t, route, None if core < 0 else (core, place))

    def _arrive(self, place: Neuron, t: int, route: Route, source: tuple[int, Neuron] | None) -> None:
        """Section 2: one event at one core, or at the readout block."""
        f, y, x = place
        if route.target == self.config.chip.layers.readout:
            self._read_out(f + route.shift, t, source)
            return
        core, c, py, px = route.target, f + route.shift, y // route.pooling, x // route.pooling
        part, counts = self.config.core(core), self._run.counts[core]
        counts.events_in += 1
        channels, rows, columns = part.dimensions.input_shape
        if not (0 <= c < channels and 0 <= py < rows and 0 <= px < columns):
            if source is not None and 0 <= c < channels and _only_remainder((py, px), (rows, columns), route.full):
                counts.dropped_remainder += 1
            else:
                counts.dropped_outside += 1
            return
        counts.handled += 1
        fired: list[Neuron] = []
        for neuron, ky, kx in _taps(part, py, px):
            counts.synops += 1
            weight = int(part.weights[neuron[0], c, ky, kx])
            dead = _killed(part.weights_kill_bit, neuron[0], c, ky, kx) or _killed(part.neurons_value_kill_bit, *neuron)
            if not dead and (weight != 0 or self.options.zero_weights == "synapse"):
                counts.updates += 1
                if self._update(core, neuron, weight, t):
                    fired.append(neuron)
        self._leave(core, fired, t)

    def _read_out(self, feature: int, t: int, source: tuple[int, Neuron] | None) -> None:
        if not self.config.readout.enable:
            self._readout.events_in += 1
        elif not self._readout.arrive(feature) and self.options.strict and source is not None:
            raise self._strict_error(*source, t, StrictModeError.NO_CLASS)

    def _update(self, core: int, neuron: Neuron, amount: int, t: int) -> bool:
        """Steps 2 and 3 of section 2 for one neuron; whether it fires."""
        part, counts = self.config.core(core), self._run.counts[core]
        window = t // self.options.load_window_us
        self._run.windows[core][window] = self._run.windows[core].get(window, 0) + 1
        f, y, x = neuron
        low = max(part.threshold_low, STATE_MIN)
        added = self._states[core][f][y][x] + amount
        v = min(max(added, low), STATE_MAX)
        if added < low:
            counts.lower_clamped += 1
            if self.options.strict and low == STATE_MIN:
                raise self._strict_error(core, neuron, t, StrictModeError.CLIPPED.format(STATE_MIN))
        if added > STATE_MAX:
            counts.upper_clamped += 1
            if self.options.strict:
                raise self._strict_error(core, neuron, t, StrictModeError.CLIPPED.format(STATE_MAX))
        fires = v >= part.threshold_high
        if fires:
            counts.spikes += 1
            v = 0 if part.return_to_zero else v - part.threshold_high
        self._states[core][f][y][x] = v
        if neuron in self.options.trace.get(core, ()):
            self._run.traces[core].append((t, f, y, x, v, fires))
        return fires

    def _strict_error(self, core: int, neuron: Neuron, t: int, what: str) -> StrictModeError:
        return StrictModeError(core, neuron, t, what, self.config.layer_names.get(core, ""))

    def _leave(self, core: int, fired: list[Neuron], t: int) -> None:
        """Section 3: decimator, monitor, destinations; each spike with all that follows from it before the next."""
        part = self.config.core(core)
        for f, y, x in fired:
            self._decimators[core] += 1
            if self._decimators[core] < self._decimation(core):
                continue
            self._decimators[core] = 0
            self._run.counts[core].spikes_out += 1
            if part.monitor_enable and not silences(self.config):
                self._run.reports.append((x, y, t, f, core))
            for route in self._network.routes[core]:
                self._send((f, y, x), t, route, (core, (f, y, x)))

    def _finished(self, events: EventArray, duration: int | None) -> Finished:
        run, order = self._run, self._network.order
        place = {core: i for i, core in enumerate((self.config.chip.layers.sensor, *order))}
        ordered = sorted(run.reports, key=lambda report: (report[2], place[report[4]]))  # stable
        sensor = SensorOutput(SensorCounters(**run.sensor.counts), _events(run.raw, with_layer=False))
        return Finished(
            events=_events(ordered),
            counters={core: _core_counters(run.counts[core]) for core in order},
            handled={core: run.counts[core].handled for core in order},
            states={core: self.state(core) for core in order},
            worst={core: _worst(run.windows[core]) for core in order},
            traces={core: np.array(run.traces[core], TRACE_DTYPE) for core in order if core in run.traces},
            sensor=sensor if self._network.sensor or run.sensor.counts["events_in"] else None,
            readout=self._readout_output() if self.config.readout.enable else None,
            sent=len(events),
            last_t=int(events["t"][-1]) if len(events) else 0,
            duration=duration,
            to_readout=self._readout.events_in,
        )

    def _readout_output(self) -> ReadoutOutput:
        readout = self._readout
        values, pins = np.array(readout.values, READOUT_DTYPE), np.array(readout.pins, PIN_DTYPE)
        return ReadoutOutput(values, pins, readout.events_in, readout.counted, readout.without_class)


def _killed(bits: npt.NDArray[np.bool_] | None, *place: int) -> bool:
    return bits is not None and bool(bits[place])


def _events(reports: list[Report], *, with_layer: bool = True) -> EventArray:
    columns = [np.array([report[i] for report in reports], dtype=np.int64) for i in range(5)]
    return make_events(*columns[: 5 if with_layer else 4])


def _worst(windows: dict[int, int]) -> tuple[int, int]:
    """The most operations in a window, and the earliest window with as many."""
    most = max(windows.values(), default=0)
    return most, min((number for number, count in windows.items() if count == most), default=0)


def _core_counters(counts: _Counts) -> CoreCounters:
    return CoreCounters(**{item.name: getattr(counts, item.name) for item in fields(CoreCounters)})


def _taps(part: CoreConfig, y: int, x: int) -> list[tuple[Neuron, int, int]]:
    """((f, oy, ox), ky, kx) of every neuron that an event at (y, x) touches, in the order oy, ox, f."""
    size = part.dimensions
    features, height, width = size.output_shape
    taps: list[tuple[Neuron, int, int]] = []
    for oy in range(height):
        ky = y + size.padding[0] - oy * size.stride[0]
        for ox in range(width):
            kx = x + size.padding[1] - ox * size.stride[1]
            if 0 <= ky < size.kernel_size and 0 <= kx < size.kernel_size:
                taps.extend(((f, oy, ox), ky, kx) for f in range(features))
    return taps


def _only_remainder(place: tuple[int, int], shape: tuple[int, int], full: tuple[int, int]) -> bool:
    """Whether each coordinate is inside the target's map, or in an incomplete pooling window of the source."""
    return all(value < size or value >= complete for value, size, complete in zip(place, shape, full, strict=True))
