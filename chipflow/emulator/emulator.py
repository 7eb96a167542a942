"""The fast emulator: the chip model for every network of cores without a loop, in compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from threading import RLock
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from chipflow.emulator import readout, records, reports
from chipflow.emulator.assumptions import Assumption, assumptions
from chipflow.emulator.inputs import InputRules, checked_duration
from chipflow.emulator.layout import decimation, network_layout
from chipflow.emulator.machine import Image, Inputs, Machine, StoppedError
from chipflow.emulator.network import Network, build_network
from chipflow.emulator.options import (
    LOAD_WINDOW_US,
    DecimatorPass,
    Neuron,
    OnOverload,
    Options,
    Order,
    ZeroWeights,
    check_neuron,
)
from chipflow.emulator.outcome import Finished, checked_states, result, silences
from chipflow.emulator.sensor import Processed, process
from chipflow.errors import EmulatorError, StrictModeError
from chipflow.events.array import EVENT_DTYPE, EVENT_LAYER_DTYPE, EventArray, OnOutside, make_events
from chipflow.events.readings import ReadoutOutput, SensorCounters, SensorOutput
from chipflow.events.result import RunResult
from hwconfig.config import ChipConfig

Result = TypeVar("Result")
IN_USE = "the emulator is in use by another thread: give each thread its own, made by twin()"
BLOCK = 1 << 16  # input events that the kernels get at a time
Shape = tuple[int, int, int]


@dataclass
class _Run:
    """A run under way: what it was fed and has reported so far. Arrays in the lists are never changed."""

    sent: int = 0
    last_t: int = 0
    kept: dict[str, list[npt.NDArray[Any]]] = field(default_factory=reports.nothing_kept)
    sensor: SensorCounters = field(default_factory=SensorCounters)
    sensed: list[EventArray] = field(default_factory=list[EventArray])
    raw: list[EventArray] = field(default_factory=list[EventArray])
    ticks: int = 0  # of the readout block, whose values were taken
    read: tuple[int, int, int] = (0, 0, 0)  # spikes at the readout block when they were taken: in, counted, without class

    def after_taking(self, last_t: int, found: ReadoutOutput | None) -> _Run:
        """The same run with nothing more to report, but for its traces."""
        ticks, read = self.ticks + len(reports.joined(self.kept, "periods")), _spikes_in(found) if found else self.read
        kept = reports.nothing_kept() | {"probed": list(self.kept["probed"])}
        return replace(self, last_t=last_t, kept=kept, sensed=[], raw=[], ticks=ticks, read=read)

    def copied(self) -> _Run:
        """Independent of later feeding."""
        kept = {name: list(parts) for name, parts in self.kept.items()}
        return replace(self, kept=kept, sensed=list(self.sensed), raw=list(self.raw))

    def mark(self) -> _Mark:
        """What `cut` needs to undo later feeding."""
        lists = (*self.kept.values(), self.sensed, self.raw)
        return _Mark(self.sent, self.last_t, self.sensor, [len(parts) for parts in lists])

    def cut(self, mark: _Mark) -> None:
        """Back to a mark."""
        self.sent, self.last_t, self.sensor = mark.sent, mark.last_t, mark.sensor
        for parts, length in zip((*self.kept.values(), self.sensed, self.raw), mark.lengths, strict=True):
            del parts[length:]


@dataclass(frozen=True)
class _Mark:
    sent: int
    last_t: int
    sensor: SensorCounters
    lengths: list[int]


@dataclass(frozen=True)
class Taken:
    """What a run under way has reported since it began, or since it was asked before; made by `Emulator.take`.

    Attributes:
        events: reported spikes, as in a `RunResult`.
        raw: sensor events before the pre-processing, where `raw_monitor_enable` is set.
        readout: what the readout block did, where it is enabled.
    """

    events: EventArray
    raw: EventArray
    readout: ReadoutOutput | None


@dataclass(frozen=True)
class Snapshot:
    """All that an emulator remembers; made by `Emulator.snapshot`."""

    config: ChipConfig
    order: tuple[int, ...]
    options: Options
    image: Image
    periods: npt.NDArray[np.int64]
    run: _Run | None


class Emulator:
    """Runs a configuration as the chip does, bit for bit as the chip model says.

    Options, from `slow_clock_period_us` to `trace`, are those of `chipflow.emulator.Options`.

    Args:
        config: the configuration; refused if it breaks a design rule.
        entries: cores that events without a layer enter, in order; None: the sensor if it has a destination, or else the only core
            without a source.

    Raises:
        DesignRuleError: the configuration breaks design rules.
        UnsupportedConfigError: it uses the event filter, or a readout that does not go by the feature alone.
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
        order: Order = "depth_first",
        zero_weights: ZeroWeights = "no_synapse",
        decimator_passes: DecimatorPass = "last",
        on_overload: OnOverload = "warn",
        load_window_us: int = LOAD_WINDOW_US,
        trace: Mapping[int, Sequence[Neuron]] | None = None,
    ) -> None:
        self.config = config
        self._network: Network = build_network(config, entries)
        self.options = Options(
            order=order,
            zero_weights=zero_weights,
            decimator_passes=decimator_passes,
            slow_clock_period_us=slow_clock_period_us,
            strict=strict,
            on_outside=on_outside,
            on_overload=on_overload,
            load_window_us=load_window_us,
            trace={} if trace is None else trace,
        ).checked(config)
        self._rules = InputRules(config, self._network, self.options.slow_clock_period_us, on_outside)
        self._ranks = {core: rank for rank, core in enumerate(self._network.order)}
        self._layout = network_layout(
            config,
            self._network,
            zero_is_synapse=zero_weights == "synapse",
            silent=silences(config),
            probes={core: sorted(self._number(core, neuron) for neuron in some) for core, some in self.options.trace.items()},
        )
        self._machine = self._made()
        self._periods = self._no_periods()
        self._run: _Run | None = None
        self._in_use = RLock()

    def twin(self) -> Emulator:
        """Another emulator of the same configuration and options, as after a reset; what never changes is shared."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._machine, other._periods, other._run = self._made(), self._no_periods(), None
        other._in_use = RLock()
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: the machine's memory cannot be copied, but be made anew."""
        options = {item.name: getattr(self.options, item.name) for item in fields(self.options)}
        return _rebuilt, (self.config, self._network.entries, options, self.snapshot())

    def stop(self) -> None:
        """From another thread: let the run under way, or the next, end soon, with concurrent.futures.CancelledError and nothing changed."""
        self._machine.stop()

    def go_on(self) -> None:
        """Takes back a `stop` that came when no run was under way."""
        self._machine.go_on()

    def _made(self) -> Machine:
        config, options = self.config, self.options
        parts = [config.core(core) for core in self._network.order]
        ticks_matter = config.readout.enable or any(part.leak_enable for part in parts)
        return Machine(
            self._layout,
            [np.asarray(part.neurons_initial_value, np.int16) for part in parts],
            [decimation(config, part) - 1 if options.decimator_passes == "first" else 0 for part in parts],
            period=(options.slow_clock_period_us or 0) if ticks_matter else 0,
            window=options.load_window_us,
            strict=options.strict,
            breadth_first=options.order == "breadth_first",
            most_count=config.chip.readout.most_count if config.readout.enable else 0,
        )

    @property
    def entries(self) -> tuple[int, ...]:
        """Cores that events without a layer enter, in order; empty where they enter the sensor."""
        return self._network.entries

    def run(self, events: Any, *, duration: int | None = None) -> RunResult:
        """One run from time 0, continuing from the states as they are.

        Args:
            events: structured array x, y, t, p, and perhaps layer; t ascending, in microseconds.
            duration: clock ticks go on up to this time, in microseconds; None: up to the last event.

        Raises:
            EventError: events that are refused, before anything has changed.
            StrictModeError, OverloadError: states are as before the run. So are they after Ctrl-C.
        """
        return self._unharmed(lambda: self._whole(events, duration))

    def feed(self, events: Any) -> None:
        """The next chunk of a run; the first chunk starts it at time 0. `finish` gives its result.

        Raises:
            EventError: events that are refused; StrictModeError. Both leave everything as before this chunk.
        """
        self._unharmed(lambda: self._next(events))

    def finish(self, duration: int | None = None) -> RunResult:
        """End the fed run, with clock ticks up to `duration` (microseconds from 0), and report it as `run` does."""
        return self._unharmed(lambda: self._finish(checked_duration(duration, self._run.last_t if self._run else 0)))

    def take(self, until: int | None = None) -> Taken:
        """What the fed run has reported since it began or since the last call, handed over and forgotten: a run may go on for ever.

        `finish` then reports the spikes after that, and counters of the whole run.

        Args:
            until: clock ticks up to this time come first, in microseconds from 0; no later event may come before it.
        """
        return self._unharmed(lambda: self._take(checked_duration(until, self._run.last_t if self._run else 0)))

    def check(self, events: Any, *, after: int | None = None) -> EventArray:
        """The events as an event array, if a run would take them.

        Args:
            after: time of the last event before them, in microseconds; None: they are the first of the run.

        Raises:
            EventError: as `feed`.
        """
        return self._rules.check(events, after=after or 0, first=after is None)

    @contextmanager
    def _alone(self) -> Generator[None]:
        """The kernels share arrays: one thread at a time."""
        if not self._in_use.acquire(blocking=False):
            raise EmulatorError(IN_USE)
        try:
            yield
        finally:
            self._in_use.release()

    def _unharmed(self, action: Callable[[], Result]) -> Result:
        """The same for a run; and whatever fails, Ctrl-C on any line included, leaves all as it was."""
        run, periods, image = self._run, self._periods, self._machine.save()
        held = mine = False
        mark = run.mark() if run else None
        try:
            held = mine = self._in_use.acquire(blocking=False)
            if not mine:
                raise EmulatorError(IN_USE)
            found = action()
            self._machine.go_on()
            self._in_use.release()
            held = False
            return found
        except BaseException:
            if mine:
                self._machine.go_on()
                self._machine.restore(image)
                self._run, self._periods = run, periods
                if run and mark:
                    run.cut(mark)
            if held:
                with suppress(RuntimeError):  # where Ctrl-C came just after the release
                    self._in_use.release()
            raise

    def state(self, core: int, neuron: Neuron | None = None) -> Any:
        """Membrane potentials: a copy of a core's, int16 [feature, y, x], or that of one neuron (feature, y, x), as int.

        Raises:
            EmulatorError: unknown core or neuron.
        """
        with self._alone():
            states = self._machine.read(self._rank(core))
        if neuron is None:
            return states
        check_neuron(neuron, self.config.core(core).dimensions.output_shape, core)
        return int(states[tuple(neuron)])

    def set_state(self, core: int, array: npt.ArrayLike, neuron: Neuron | None = None) -> None:
        """Write membrane potentials: a core's, integers [feature, y, x], or one neuron's, an integer; in the int16 range.

        Raises:
            EmulatorError: unknown core or neuron, wrong shape or dtype, values out of range.
        """
        rank = self._rank(core)
        shape: Shape = self.config.core(core).dimensions.output_shape
        with self._alone():
            if neuron is None:
                self._machine.write(rank, checked_states(array, shape, core))
                return
            check_neuron(neuron, shape, core)
            states = self._machine.read(rank)
            states[tuple(neuron)] = checked_states(array, (), core)
            self._machine.write(rank, states)

    def assumptions(self) -> tuple[Assumption, ...]:
        """The rules graded B or C that this configuration makes use of: what a result rests on that is not public."""
        return assumptions(self.config, self._network, self.options)

    def reset(self) -> None:
        """Initial states; decimators, readout counts and averages at zero; a run under way is forgotten."""
        with self._alone():
            self._machine.reset()
            self._run, self._periods = None, self._no_periods()

    def snapshot(self) -> Snapshot:
        """A copy of all that the emulator remembers, a run under way included."""
        with self._alone():
            run = self._run.copied() if self._run else None
            return Snapshot(self.config, self._network.order, self.options, self._machine.save(), self._periods, run)

    def restore(self, s: Snapshot) -> None:
        """Back to a snapshot of an emulator of the same configuration and entries; with a run under way, also of the same options.

        Raises:
            EmulatorError: the snapshot is of another one; nothing has changed.
        """
        if not isinstance(s, Snapshot):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise EmulatorError(f"restore takes what snapshot() returned, found {type(s).__name__}")
        if s.config is not self.config and s.config != self.config:
            raise EmulatorError("the snapshot was taken with another configuration")
        if s.order != self._network.order:
            raise EmulatorError(
                f"the snapshot was taken with other entries: its cores act in the order {list(s.order)}, not {list(self._network.order)}"
            )
        if s.run is not None and s.options != self.options:
            raise EmulatorError("the snapshot holds a run under way with other options: finish it in an emulator that has them")
        with self._alone():
            self._machine.restore(s.image)
            self._machine.judge()
            self._run, self._periods = s.run.copied() if s.run else None, s.periods

    def _rank(self, core: int) -> int:
        if core not in self._ranks:
            raise EmulatorError(f"core {core} is not configured; configured are {list(self.config.active_cores)}")
        return self._ranks[core]

    def _number(self, core: int, neuron: Neuron) -> int:
        """The kernels' number of a neuron."""
        features, _, width = self.config.core(core).dimensions.output_shape
        f, y, x = neuron
        return (y * width + x) * features + f

    def _no_periods(self) -> npt.NDArray[np.int64]:
        return np.zeros((readout.window(self.config.readout) - 1, records.N_CLASSES), np.int64)

    def _begin(self) -> _Run:
        if self._run is None:
            self._machine.begin()
            self._run = _Run()
        return self._run

    def _whole(self, events: Any, duration: int | None) -> RunResult:
        if self._run is not None:
            raise EmulatorError("a fed run is under way: call finish() or reset() before run()")
        checked = checked_duration(duration, 0)
        self._feed(self._rules.check(events, duration=checked))
        return self._finish(checked)

    def _next(self, events: Any) -> None:
        run = self._run
        self._feed(self._rules.check(events, after=run.last_t if run else 0, first=run is None or not run.sent))

    def _feed(self, events: EventArray) -> None:
        run = self._begin()
        for at in range(0, len(events), BLOCK):
            block = events[at : at + BLOCK]
            run.last_t = int(block["t"][-1])
            run.sent += len(block)
            self._advance(self._inputs(run, block), run.last_t)

    def _advance(self, inputs: Inputs | None, end: int) -> None:
        try:
            self._machine.advance(inputs, end, self._begin().kept)
        except StoppedError as stopped:
            raise self._strict_error(stopped) from None

    def _strict_error(self, stopped: StoppedError) -> StrictModeError:
        rank, number, time = stopped.spot
        core = self._network.order[rank]
        features, _, width = self.config.core(core).dimensions.output_shape
        pixel, f = divmod(number, features)
        limit = records.STATE_MIN if stopped.status == records.LOW_CLIPPED else records.STATE_MAX
        clipped = StrictModeError.CLIPPED.format(limit)
        what = StrictModeError.NO_CLASS if stopped.status == records.NO_CLASS else clipped
        return StrictModeError(core, (f, *divmod(pixel, width)), time, what, self.config.layer_names.get(core, ""))

    def _inputs(self, run: _Run, events: EventArray) -> Inputs:
        """Events as the kernels take them: sensor events pre-processed, each with its port."""
        port = self._ports(events)
        f, y, x = (np.ascontiguousarray(events[name], np.int16) for name in "pyx")
        t = np.ascontiguousarray(events["t"], np.int64)
        sensed = port == self._layout.sensor_port
        if not sensed.any():
            return Inputs(f, y, x, t, port)
        processed = process(self.config.dvs_layer, self.config.chip, events[sensed])
        self._note_sensor(run, events[sensed], processed)
        kept = np.ones(len(events), np.bool_)
        kept[sensed] = processed.kept
        f, y, x, t, port = (column[kept] for column in (f, y, x, t, port))
        f[sensed[kept]], y[sensed[kept]], x[sensed[kept]] = processed.f, processed.y, processed.x
        return Inputs(f, y, x, t, port)

    def _ports(self, events: EventArray) -> npt.NDArray[np.int16]:
        _, layers = self._rules.targets(events)
        if layers is None:
            port = self._layout.entry_port if self._network.entries else self._layout.sensor_port
            return np.full(len(events), port, np.int16)
        by_layer = np.zeros(1 + max(*self._ranks, self.config.chip.layers.sensor, np.iinfo(layers.dtype).max), np.int16)
        by_layer[list(self._ranks)] = list(self._ranks.values())
        by_layer[self.config.chip.layers.sensor] = self._layout.sensor_port
        return by_layer[layers]

    def _note_sensor(self, run: _Run, events: EventArray, processed: Processed) -> None:
        part = self.config.dvs_layer
        totals = {name: getattr(run.sensor, name) + value for name, value in vars(processed.counters).items()}
        run.sensor = SensorCounters(**totals)
        if part.monitor_enable and not silences(self.config):
            layer = np.uint8(self.config.chip.layers.sensor)
            run.sensed.append(make_events(processed.x, processed.y, events["t"][processed.kept], processed.f, layer))
        if part.raw_monitor_enable and not silences(self.config):
            run.raw.append(make_events(*(events[name] for name in ("x", "y", "t", "p"))))

    def _finish(self, duration: int | None) -> RunResult:
        run = self._begin()
        if duration is not None:
            self._advance(None, duration)
        found = result(self.config, self._network, self.options, self._finished(run, duration))
        self._run = None
        return found

    def _take(self, until: int | None) -> Taken:
        run = self._begin()
        if until is not None:
            self._advance(None, until)
        found = self._read_out(run) if self.config.readout.enable else None
        taken = Taken(self._spikes(run), _concatenated(run.raw), found and _since(found, run.read))
        self._run = run.after_taking(run.last_t if until is None else until, found)
        return taken

    def _spikes(self, run: _Run) -> EventArray:
        return reports.spikes(
            run.kept, self._layout.constants["cores"], self._network.order, _concatenated(run.sensed, with_layer=True)
        )

    def _finished(self, run: _Run, duration: int | None) -> Finished:
        order, totals = self._network.order, self._machine.totals
        worst, window = self._machine.worst_windows()
        return Finished(
            events=self._spikes(run),
            counters={core: reports.counters(totals[rank]) for core, rank in self._ranks.items()},
            handled={core: int(totals[rank, records.HANDLED]) for core, rank in self._ranks.items()},
            states={core: self._machine.read(rank) for core, rank in self._ranks.items()},
            worst={core: (int(worst[rank]), int(window[rank])) for core, rank in self._ranks.items()},
            traces=reports.traces(run.kept, self._layout.constants, order),
            sensor=SensorOutput(run.sensor, _concatenated(run.raw)) if self._has_sensor(run) else None,
            readout=self._read_out(run) if self.config.readout.enable else None,
            sent=run.sent,
            last_t=run.last_t,
            duration=duration,
            to_readout=int(self._machine.readout[records.READOUT_IN]),
        )

    def _has_sensor(self, run: _Run) -> bool:
        return bool(self._network.sensor) or run.sensor.events_in > 0

    def _read_out(self, run: _Run) -> ReadoutOutput:
        part, periods = self.config.readout, reports.joined(run.kept, "periods")
        times = np.arange(run.ticks + 1, run.ticks + len(periods) + 1) * (self.options.slow_clock_period_us or 0)
        average = readout.averages(part, self._periods, periods)
        self._periods = np.concatenate([self._periods, periods])[len(periods) :]
        counted = self._machine.readout
        return ReadoutOutput(
            values=readout.values(part, times, average)[: None if part.monitor_enable else 0],
            pins=readout.pins(part, times, average)[: None if part.readout_pin_monitor_enable else 0],
            events_in=int(counted[records.READOUT_IN]),
            counted=int(counted[records.READOUT_COUNTED]),
            without_class=int(counted[records.READOUT_WITHOUT_CLASS]),
        )


def _rebuilt(config: ChipConfig, entries: tuple[int, ...], options: dict[str, Any], snapshot: Snapshot) -> Emulator:
    emulator = Emulator(config, entries=entries, **options)
    emulator.restore(snapshot)
    return emulator


def _spikes_in(found: ReadoutOutput) -> tuple[int, int, int]:
    return found.events_in, found.counted, found.without_class


def _since(found: ReadoutOutput, before: tuple[int, int, int]) -> ReadoutOutput:
    """The same, its spikes counted from when there had been so many."""
    came, counted, without = (now - then for now, then in zip(_spikes_in(found), before, strict=True))
    return replace(found, events_in=came, counted=counted, without_class=without)


def _concatenated(pieces: list[EventArray], *, with_layer: bool = False) -> EventArray:
    return np.concatenate(pieces) if pieces else np.empty(0, EVENT_LAYER_DTYPE if with_layer else EVENT_DTYPE)
