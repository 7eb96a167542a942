"""A board as a device."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from chipflow.backends.base import Capability, ClockedConfig, Runnable
from chipflow.backends.board.configuring import (
    first_event_note,
    with_pixels,
    without_pixels,
)
from chipflow.backends.board.conversation import Deadline
from chipflow.backends.board.link import Link
from chipflow.backends.board.power import measured
from chipflow.backends.board.running import Loaded
from chipflow.backends.board.sending import Sender
from chipflow.backends.board.station import Station
from chipflow.backends.board.streaming import BoardStream, sensor_batches, sent_batches
from chipflow.backends.collected import layer_spikes
from chipflow.backends.layer_states import LayerStates
from chipflow.backends.layers import monitored, one_input, runnable_for
from chipflow.backends.windows import Windows, microseconds
from chipflow.emulator.inputs import checked_duration
from chipflow.errors import DeviceError, DeviceTimeoutError
from chipflow.events.array import EventArray, OnOutside
from chipflow.events.readings import PowerReadings, StreamChunk
from chipflow.events.result import RunResult
from hwconfig import ChipConfig, ChipSpec


class BoardDevice:
    """Runs programs on a board.

    Args:
        link: the open board, which is this device's from now on.

    Attributes:
        name: by which it was opened.
        chip: on the board.
        capabilities: power and a sensor, where the board has them; a chip counts nothing, and no run repeats another to the bit.
    """

    def __init__(self, link: Link) -> None:
        self.name = link.name
        self.chip: ChipSpec | None = link.chip
        can: list[Capability] = ["power"] if link.chip.power and link.chip.power.rails else []
        self.capabilities: frozenset[Capability] = frozenset([*can, *(["sensor"] if link.chip.features.pixels else [])])
        self._station = Station(link)

    # --- runs ---

    def load(self, program: Runnable | ChipConfig, *, monitor: Sequence[str | int] | None = None) -> None:
        """As `Device.load` says."""
        with self._station.alone():
            runnable = runnable_for(program, self.chip, self.name)
            self._station.put(runnable, without_pixels(monitored(runnable, monitor)))

    def run(
        self,
        program: Runnable | ChipConfig,
        events: Any,
        *,
        monitor: Sequence[str | int] | None = None,
        duration: int | None = None,
        timeout: float | None = None,
        on_outside: OnOutside = "error",
        strict: bool = True,
        reset: bool = True,
        **options: Any,
    ) -> RunResult:
        """As `Device.run` says; without a time-out, a run is given up when the board stays silent long after the last event's time.

        Args:
            strict: has no effect, as a chip does not tell when a state leaves its range.
            options: none; those of an emulator are refused.
        """
        self._refuse(options)
        deadline = Deadline(time.monotonic(), timeout)
        with self._station.alone() as link:
            runnable = runnable_for(program, self.chip, self.name)
            config = without_pixels(monitored(runnable, monitor))
            sender = Sender(runnable, config, link.kinds, on_outside)
            end = checked_duration(duration, 0)
            given = sender.checked(one_input(runnable, events), duration=end)
            loaded = self._station.put(runnable, config, reset=reset)
            running = self._station.begin(loaded, sender, deadline)
            for _ in running.play(sender.batches(given, end)):
                pass
            self._station.running = None
            result = running.result(end)
        running.check_times(result, given)
        if deadline.over:
            raise DeviceTimeoutError(
                f"{self.name}: the run took {deadline.taken:.1f} s, allowed were {timeout} s: allow more, or send fewer events",
                result=result,
            )
        return result

    def run_batch(
        self,
        program: Runnable | ChipConfig,
        recordings: Iterable[Any],
        *,
        monitor: Sequence[str | int] | None = None,
        duration: int | None = None,
        on_outside: OnOutside = "error",
        strict: bool = True,
        workers: int | None = None,
        **options: Any,
    ) -> list[RunResult]:
        """Many recordings, each as by `run`, one after the other: a board has one chip, whatever `workers` says."""
        self._refuse(options)
        return [
            self.run(program, events, monitor=monitor, duration=duration, on_outside=on_outside, strict=strict)
            for events in recordings
        ]

    def stream(
        self,
        program: Runnable | ChipConfig,
        events: Any = None,
        *,
        monitor: Sequence[str | int] | None = None,
        seconds: float | None = None,
        chunk_us: int = 10_000,
        **options: Any,
    ) -> Iterator[StreamChunk]:
        """As `Device.stream` says, in the board's own time; any other run on the device ends it.

        A window is handed out when the next one is through; a spike that comes still later is in the chunk after that. After a
        stream from the sensor the chip is empty.
        """
        self._refuse(options)
        windows = Windows.of(seconds, chunk_us)
        with self._station.alone() as link:
            runnable = runnable_for(program, self.chip, self.name)
            config = monitored(runnable, monitor)
            config = with_pixels(config, self.name) if events is None else without_pixels(config)
            sender = Sender(runnable, config, link.kinds)
            batches = sensor_batches(windows) if events is None else sent_batches(sender, runnable, events, windows)
            loaded = self._station.put(runnable, config)
            running = self._station.begin(loaded, sender, Deadline(time.monotonic()))
            stream = BoardStream(running, batches, loaded, self._station.listener.heard)
        return self._chunks(stream)

    def record(self, seconds: float, source: str | int = "dvs", *, program: Runnable | ChipConfig | None = None) -> EventArray:
        """As `Device.record` says."""
        if source != "dvs" and program is None:
            raise DeviceError(f"layer {source!r} needs its program: record(seconds, {source!r}, program=...)")
        if source != "dvs" and program is not None:
            runnable = runnable_for(program, self.chip, self.name)
            return layer_spikes(self.stream(runnable, monitor=[source], seconds=seconds), runnable, source)
        eyes = with_pixels(ChipConfig(chip=self._station.link.chip), self.name, raw=True)
        end = microseconds(seconds)
        chunks = list(self.stream(ClockedConfig(eyes, entries=()), seconds=seconds, chunk_us=end))
        found = np.concatenate([chunk.raw for chunk in chunks])
        return found[found["t"] < end]

    def _chunks(self, stream: BoardStream) -> Generator[StreamChunk]:
        """What a stream answers; the device is free between two chunks."""
        try:
            while True:
                with self._station.alone():
                    if self._station.running is not stream.running:
                        raise DeviceError(f"another run on {self.name} has ended this stream: open a device for each")
                    chunk = stream.next_chunk()
                if chunk is None:
                    return
                yield chunk
        finally:
            self._leave(stream)

    def _leave(self, stream: BoardStream) -> None:
        """What was not read to its end leaves nothing to go on from; nor does the sensor, which would fill the host's memory."""
        station = self._station
        if station.running is not stream.running or not station.try_alone():
            return  # the next run sees to it
        try:
            with suppress(DeviceError):  # the next run tries again; an error that is on its way has more to say
                stream.end()
                if not stream.running.over:
                    station.recover()
                if stream.from_sensor:
                    station.empty()
                station.running = None
        finally:
            station.leave()

    # --- states and power ---

    def states(self, layer: str | int) -> npt.NDArray[np.int16]:
        """As `Device.states` says; of a core's id, all features of the core. By addresses that are not verified on silicon."""
        with self._station.alone():
            loaded, found = self._layer(layer)
            return found.joined({core: self._station.states.read(loaded.config, core) for core in found.kept})

    def set_states(self, layer: str | int, states: npt.ArrayLike) -> None:
        """As `Device.set_states` says; they are read back, and written again where they did not come through."""
        with self._station.alone():
            loaded, found = self._layer(layer)
            config = loaded.config
            now = {core: self._station.states.read(config, core) for core in found.kept}
            for core, mine in found.split(states, now).items():
                self._station.states.write(config, core, mine)
            notes = (first_event_note(config, core) for core in found.kept)
            self._station.loaded = Loaded(loaded.runnable, config, (*loaded.notes, *filter(None, notes)))

    def reset_states(self) -> None:
        """As `Device.reset_states` says: the configuration is written anew, and a sample of every core's states is read back."""
        with self._station.alone():
            loaded = self._station.ready()
            self._station.put(loaded.runnable, loaded.config)

    @contextmanager
    def measure_power(self, rate_hz: float = 50.0) -> Generator[PowerReadings]:
        """As `Device.measure_power` says; runs go on meanwhile."""
        with measured(self._station.link, rate_hz) as readings:
            yield readings

    # --- opening and closing ---

    def close(self) -> None:
        """Stops clocks and graphs, and gives the board back; a second call does nothing."""
        self._station.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _refuse(self, options: dict[str, Any]) -> None:
        if options:
            raise DeviceError(
                f"{self.name} is a board, which has no {', '.join(sorted(options))}: leave it out, or run on an emulator"
            )

    def _layer(self, layer: str | int) -> tuple[Loaded, LayerStates]:
        """What is loaded, and where the layer is in it; not during a run, whose answers would be taken for states."""
        if self._station.running is not None:
            raise DeviceError(
                f"a stream or a run on {self.name} has not ended: read or write states after it, or load the program anew"
            )
        loaded = self._station.ready()
        return loaded, LayerStates.of(loaded.runnable, layer)
