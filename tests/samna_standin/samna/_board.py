"""A board: a chip, a stop watch, a slow clock, a power monitor, and the way between them and the host."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import Any

import samna
from samna import device
from samna._chip import SENSOR, Chip
from samna._events import INPUTS, Measurement
from samna._faults import Surface, faults

US_PER_S = 1_000_000
POLL_US = 1000


class StopWatch(Surface):
    """Gives outputs their time, and holds inputs back until theirs."""

    __slots__ = ("_board", "_enabled", "_started")

    def __init__(self, board: Any) -> None:
        self._board, self._enabled, self._started = board, False, None

    def set_enable_value(self, value: bool) -> None:
        self._board._check()
        self._enabled = bool(value)

    def reset(self) -> None:
        self._board._check()
        self._board._zero()

    def start(self, reset: bool = False) -> None:
        self._board._check()
        if reset:
            self.reset()
        self._started = time.monotonic()

    def stop(self) -> None:
        self._board._check()
        self._started = None

    def _elapsed_us(self) -> int:
        return 0 if self._started is None else int((time.monotonic() - self._started) * US_PER_S)


class IoModule(Surface):
    """The slow clock."""

    OLDER = {"set_slow_clk": "set_slow_clock", "set_slow_clk_rate": "set_slow_clock_rate"}  # noqa: RUF012
    __slots__ = ("_board", "_on", "_rate")

    def __init__(self, board: Any) -> None:
        self._board, self._on, self._rate = board, False, None

    def set_slow_clk(self, on: bool) -> None:
        self._board._check()
        self._board._advance()  # ticks up to now
        self._on = bool(on)

    def set_slow_clk_rate(self, rate: float) -> None:
        self._board._check()
        if type(rate) not in (int, float) or rate <= 0:
            raise TypeError(f"incompatible rate {rate!r}")
        self._rate = rate

    def _period_us(self) -> int | None:
        return round(US_PER_S / self._rate) if self._on and self._rate else None


class PowerSource(Surface):
    """The power monitor's node."""

    CHIP = Measurement
    __slots__ = ("_monitor",)

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor

    def _give(self) -> list[Any]:
        return self._monitor._give()


class PowerMonitor(Surface):
    """Five readings a tick."""

    OLDER = {  # noqa: RUF012
        "start_auto_power_measurement": "start_auto_power_monitor",
        "stop_auto_power_measurement": "stop_auto_power_monitor",
    }
    __slots__ = ("_board", "_rate", "_readings", "_sent", "_start")

    def __init__(self, board: Any) -> None:
        self._board, self._rate, self._sent, self._start = board, 0.0, 0, 0.0
        self._readings: list[Any] = []

    def get_source_node(self) -> PowerSource:
        return PowerSource(self)

    def start_auto_power_measurement(self, rate: float) -> None:
        self._board._check()
        if not 0 < rate <= 100:
            raise ValueError(f"rate {rate}")
        self._rate, self._sent, self._start = float(rate), 0, time.monotonic()

    def stop_auto_power_measurement(self) -> None:
        self._board._check()
        self._readings += self._ticks()
        self._rate = 0.0

    def _give(self) -> list[Any]:
        found, self._readings = [*self._readings, *self._ticks()], []
        return found

    def _ticks(self) -> list[Any]:
        """Due since the last call."""
        if not self._rate:
            return []
        ticks = range(self._sent, 1 + int((time.monotonic() - self._start) * self._rate))
        self._sent = max(self._sent, ticks.stop)
        micro = (62, 52, 367, 79, 611)  # idle, of sinabs' notebook
        return [
            Measurement(channel=channel, value=value / US_PER_S, timestamp=int(tick / self._rate * US_PER_S))
            for tick in ticks
            for channel, value in enumerate(micro)
        ]


class ModelSink(Surface):
    """Where inputs go."""

    __slots__ = ("CHIP", "_board")

    def __init__(self, board: Any, chip: str) -> None:
        self._board, self.CHIP = board, chip

    def _take(self, events: list[Any]) -> None:
        self._board._write(events)


class ModelSource(Surface):
    """Where outputs come from."""

    __slots__ = ("CHIP", "_board")

    def __init__(self, board: Any, chip: str) -> None:
        self._board, self.CHIP = board, chip

    def _give(self) -> list[Any]:
        return self._board._read()


class Model(Surface):
    """The chip, as the vendor shows it."""

    __slots__ = ("_board", "_chip_name", "_config")

    def __init__(self, board: Any, chip_name: str) -> None:
        self._board, self._chip_name, self._config = board, chip_name, None

    def apply_configuration(self, config: Any) -> None:
        self._board._check()
        legal, why = getattr(samna, self._chip_name).validate_configuration(config)
        if not legal:
            raise RuntimeError(why)
        self._board._configure(config)
        self._config = config

    def get_configuration(self) -> Any:
        return self._config

    def get_sink_node(self) -> ModelSink:
        return ModelSink(self._board, self._chip_name)

    def get_source_node(self) -> ModelSource:
        return ModelSource(self._board, self._chip_name)


class Board(Surface):
    """A handle."""

    __slots__ = (
        "_arrived", "_behind", "_chip", "_chip_name", "_count", "_info", "_io", "_kinds", "_model", "_now", "_outputs", "_packets", "_pending",
        "_power", "_random", "_watch",
    )  # fmt: skip

    def __init__(self, info: Any, chip_name: str) -> None:
        self._info, self._chip_name = info, chip_name
        self._kinds = getattr(samna, chip_name).event
        self._model, self._watch, self._io, self._power = (
            Model(self, chip_name),
            StopWatch(self),
            IoModule(self),
            PowerMonitor(self),
        )
        self._pending: deque[tuple[Any, int]] = deque()
        self._outputs: list[Any] = []
        self._behind: deque[list[Any]] = deque()
        self._random = random.Random(0)
        self._now = self._count = self._packets = 0
        self._chip = self._fresh()

    def get_model(self) -> Model:
        return self._model

    def get_model_sink_node(self) -> ModelSink:
        return self._model.get_sink_node()

    def get_model_source_node(self) -> ModelSource:
        return self._model.get_source_node()

    def get_stop_watch(self) -> StopWatch:
        return self._watch

    def get_io_module(self) -> IoModule:
        return self._io

    def get_power_monitor(self) -> PowerMonitor:
        return self._power

    def reset_board_soft(self, value: bool) -> None:
        self._check()
        self._pending.clear()
        self._outputs.clear()
        self._chip = self._fresh()

    def _fresh(self) -> Chip:
        return Chip(getattr(samna, self._chip_name).configuration.SpeckConfiguration(), self._kinds)

    def _check(self) -> None:
        if self._info in device._unplugged and not faults().unplug_silently:
            raise RuntimeError("LIBUSB_ERROR_NO_DEVICE")

    def _configure(self, config: Any) -> None:
        before = dict(self._chip.states())
        self._chip = Chip(config, self._kinds)
        if faults().states_survive:
            self._chip.set_states(before)

    def _zero(self) -> None:
        self._now = 0
        self._chip.start(self._io._period_us())

    def _write(self, events: list[Any]) -> None:
        self._check()
        allowed = tuple(getattr(self._kinds, name) for name in INPUTS)
        if not all(type(event) in allowed for event in events):
            raise TypeError(f"incompatible events, inputs of {self._chip_name} are {', '.join(INPUTS)}")
        time.sleep(faults().slow_write_s)
        arrived = self._watch._elapsed_us() if faults().realtime else 0
        for event in events:
            self._count += 1
            every = faults().lose_inputs_every
            if faults().unplug_after and self._count > faults().unplug_after:
                device._unplugged.add(self._info)
                self._check()
                return
            if not every or self._count % every:
                self._pending.append((event, arrived))

    def _read(self) -> list[Any]:
        self._check()
        if self._info in device._unplugged:
            return []
        self._advance()
        found, self._outputs = self._outputs, []
        if faults().spikes_behind:
            self._behind.append([event for event in found if type(event) is self._kinds.Spike])
            found = [event for event in found if type(event) is not self._kinds.Spike]
            found += self._behind.popleft() if len(self._behind) > faults().spikes_behind else []
        return [] if faults().mute else self._over_usb(found)

    def _over_usb(self, events: list[Any]) -> list[Any]:
        kept: list[Any] = []
        for event in events:
            self._packets += 1
            if not faults().lose_every or self._packets % faults().lose_every:
                kept.append(event)
        spikes = [event for event in kept if type(event) is self._kinds.Spike]
        for event in spikes:
            event.timestamp += self._random.randint(0, faults().jitter_us)
            if faults().no_time or not self._watch._enabled:
                event.timestamp = 0
        if faults().jitter_us:
            spikes = self._random.sample(spikes, len(spikes))
            kept = spikes + [event for event in kept if type(event) is not self._kinds.Spike]
        return kept

    def _advance(self) -> None:
        """Takes what is due, runs of events at once."""
        watch, idle = self._watch._elapsed_us(), not self._pending
        rows: list[tuple[int, int, int, int, int]] = []
        if faults().requests_jump:
            self._pending = deque(sorted(self._pending, key=lambda item: hasattr(item[0], "timestamp")))
        while self._pending and self._is_due(self._pending[0][0], watch):
            event, arrived = self._pending.popleft()
            if hasattr(event, "timestamp"):
                self._now = max(self._now, event.timestamp, arrived)
                self._add(event, rows)
                continue
            self._outputs += self._chip.feed(rows)
            rows = []
            self._access(event)
        self._outputs += self._chip.feed(rows)
        if self._watch._started is None:
            return
        if not faults().realtime:  # time goes on by itself where nobody sends anything
            watch = self._now + POLL_US * idle
        self._now = max(self._now, watch)
        if self._chip.sees:
            self._outputs += self._chip.watch(self._now)
        if self._io._on or self._chip.period is None:
            self._outputs += self._chip.outputs(self._now)

    def _is_due(self, event: Any, watch: int) -> bool:
        """What has a time waits for it, and for ever while the stop watch does not run."""
        if not hasattr(event, "timestamp"):
            return True
        return self._watch._started is not None and (not faults().realtime or event.timestamp <= watch)

    def _add(self, event: Any, rows: list[tuple[int, int, int, int, int]]) -> None:
        spike = type(event) is self._kinds.Spike
        layer = event.layer if spike else SENSOR
        if faults().first_event_lost and self._chip.first_is_lost(layer):
            return
        rows.append((layer, event.feature if spike else int(event.p), event.y, event.x, self._now))

    def _access(self, event: Any) -> None:
        if type(event) is self._kinds.ReadNeuronValue:
            self._outputs.append(self._chip.read(event.layer, event.address))
        elif not faults().writes_ignored:
            self._chip.write(event.layer, event.address, event.neuron_state)


def clock() -> float:
    """Seconds by the stop watch of the board that is open: for tests, which must not wait."""
    return max((board._now for board, _ in device._open.values()), default=0) / US_PER_S
