"""The emulator as a device."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from chipflow.backends.base import Capability, Runnable
from chipflow.backends.collected import layer_spikes
from chipflow.backends.emulated.deadline import within
from chipflow.backends.emulated.loaded import Loaded, loaded
from chipflow.backends.emulated.sensor import RecordedSensor, addressed_to_pixels
from chipflow.backends.emulated.stream import Stream
from chipflow.backends.emulated.tracing import Trace, traced
from chipflow.backends.layer_states import LayerStates
from chipflow.backends.layers import monitored, one_input, runnable_for
from chipflow.backends.windows import Windows, microseconds
from chipflow.emulator import run_batch
from chipflow.emulator.what_if import WhatIfs, what_if
from chipflow.errors import DeviceBusyError, DeviceError
from chipflow.events.array import EventArray, OnOutside
from chipflow.events.readings import PowerReadings, StreamChunk
from chipflow.events.result import RunResult
from hwconfig import ChipConfig, ChipSpec

ALWAYS: tuple[Capability, ...] = ("counters", "exact")
WITH_SENSOR: tuple[Capability, ...] = (*ALWAYS, "sensor")


class EmulatedDevice:
    """Runs programs on the emulator.

    Args:
        chip: the only chip whose programs it accepts; None accepts any.
        name: by which it was opened.
        sensor: what its sensor sees: events x, y, t, p, or a file of them, which is read when it is first needed; see
            `chipflow.backends.emulated.sensor`.

    Attributes:
        capabilities: counters and exact repetition always; a sensor, if it was given a recording for one.
    """

    def __init__(self, chip: ChipSpec | None = None, name: str = "emulator", *, sensor: Any = None) -> None:
        self.name, self.chip = name, chip
        self._sensor = RecordedSensor(sensor, name)
        self.capabilities = frozenset(WITH_SENSOR if self._sensor else ALWAYS)
        self._open = True
        self._loaded: Loaded | None = None
        self._stream: Stream | None = None
        self._in_use = Lock()

    def load(self, program: Runnable | ChipConfig, *, monitor: Sequence[str | int] | None = None) -> None:
        """As `Device.load` says."""
        with self._alone():
            self._load(program, monitor)

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
        trace: Trace | None = None,
        **options: Any,
    ) -> RunResult:
        """As `Device.run` says. What a run that is stopped by `timeout` had reported by then is not known.

        Args:
            trace: for layer names or core ids, neurons (feature, y, x) whose potential is reported after every update.
            options: further ones of `chipflow.emulator.Options`: order, zero_weights, decimator_passes, on_overload, load_window_us.
        """
        given = options | {"strict": strict, "on_outside": on_outside}
        with self._alone():
            ready = self._load(program, monitor, trace, given, reset=reset)
            mine = one_input(ready.runnable, events)
            result = within(timeout, ready.emulator, lambda: ready.emulator.run(mine, duration=duration))
        return ready.named(result)

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
        trace: Trace | None = None,
        **options: Any,
    ) -> list[RunResult]:
        """Many recordings, each as by `run`, on all processor cores; see `chipflow.emulator.run_batch`. Options as in `run`."""
        with self._alone():
            ready = self._load(program, monitor, trace, options | {"strict": strict, "on_outside": on_outside})
        given = (one_input(ready.runnable, events) for events in recordings)
        return [ready.named(result) for result in run_batch(ready.emulator, given, duration=duration, workers=workers)]

    def what_if(self, program: Runnable | ChipConfig, events: Any, usual: RunResult, **options: Any) -> WhatIfs:
        """A run again under each rule that is not public and could be otherwise.

        Args:
            usual: what `run(program, events, **options)` returned.
        """
        with self._alone():
            ready = self._load(program, options.get("monitor"))
        return what_if(lambda **other: self.run(program, events, **options | other), usual, ready.emulator.assumptions())

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
        """As `Device.stream` says, as fast as it can be computed; any other run on the device ends it.

        Args:
            options: those of `run` that concern the emulator.
        """
        windows = Windows.of(seconds, chunk_us)
        with self._alone():
            ready = self._load(program, monitor, options.pop("trace", None), options)
            seen = addressed_to_pixels(self._sensor.events(ready.config.chip), ready.config) if events is None else events
            self._stream = Stream(ready, seen, windows)
        return self._chunks(self._stream)

    def _chunks(self, stream: Stream) -> Generator[StreamChunk]:
        """What a stream answers; the device is free between two chunks."""
        try:
            while True:
                with self._alone():
                    self._check_open()
                    if self._stream is not stream:
                        raise DeviceError(f"another run on {self.name} has ended this stream: open a device for each")
                    chunk = stream.next_chunk()
                if chunk is None:
                    return
                yield chunk
        finally:
            self._leave(stream)

    def _leave(self, stream: Stream) -> None:
        """What was not read to its end leaves the initial states; where the device is in use just now, the next run sees to it."""
        if self._stream is stream and self._in_use.acquire(blocking=False):
            try:
                stream.end()
                self._stream = None
            finally:
                self._in_use.release()

    def record(self, seconds: float, source: str | int = "dvs", *, program: Runnable | ChipConfig | None = None) -> EventArray:
        """As `Device.record` says; what the sensor sees, from the first event of its recording on, and nothing after its last."""
        end = microseconds(seconds)
        if source == "dvs":
            with self._alone():
                self._check_open()
                seen = self._sensor.events(
                    self.chip if program is None else runnable_for(program, self.chip, self.name).config.chip
                )
            return seen[: int(np.searchsorted(seen["t"], end))].copy()
        if program is None:
            raise DeviceError(f"layer {source!r} needs its program: record(seconds, {source!r}, program=...)")
        runnable = runnable_for(program, self.chip, self.name)
        chunks = self.stream(runnable, monitor=[source], seconds=seconds)
        return layer_spikes(chunks, runnable, source)

    def states(self, layer: str | int) -> npt.NDArray[np.int16]:
        """As `Device.states` says; of a core's id, all features of the core."""
        with self._alone():
            ready, found = self._layer(layer)
            return found.joined({core: ready.emulator.state(core) for core in found.kept})

    def set_states(self, layer: str | int, states: npt.ArrayLike) -> None:
        """As `Device.set_states` says; `run(..., reset=False)` starts from them."""
        with self._alone():
            ready, found = self._layer(layer)
            for core, mine in found.split(states, {core: ready.emulator.state(core) for core in found.kept}).items():
                ready.emulator.set_state(core, mine)

    def reset_states(self) -> None:
        """As `Device.reset_states` says; decimators and the readout block start anew, too, and a stream is ended."""
        with self._alone():
            self._ready().emulator.reset()
            self._stream = None

    def measure_power(self, rate_hz: float = 50.0) -> AbstractContextManager[PowerReadings]:
        """Not on an emulator.

        Raises:
            DeviceError: always.
        """
        raise DeviceError(
            f"{self.name} has no supply rails, and no energy per operation of these chips is public: measure on a board; "
            "how much each core was asked to do is in result.load"
        )

    def close(self) -> None:
        """Gives the device back; a second call does nothing."""
        self._open = False
        self._loaded = self._stream = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _alone(self) -> Generator[None]:
        if not self._in_use.acquire(blocking=False):
            raise DeviceBusyError(f"{self.name} is in use by another thread: open one for each, or use run_batch")
        try:
            yield
        finally:
            self._in_use.release()

    def _check_open(self) -> None:
        if not self._open:
            raise DeviceError(f"{self.name} is closed: open it again with open_device({self.name!r})")

    def _load(
        self,
        program: Runnable | ChipConfig,
        monitor: Sequence[str | int] | None,
        trace: Trace | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        reset: bool = True,
    ) -> Loaded:
        """The program in an emulator, that of before where it fits; a stream ends, and what it left is no state to go on from."""
        self._check_open()
        runnable = runnable_for(program, self.chip, self.name)
        given = {"trace": traced(runnable, trace or {}), **(options or {})}
        before, ended = self._loaded, self._stream is not None
        self._loaded = loaded(runnable, monitored(runnable, monitor), given, before, reset or ended)
        self._stream = None
        return self._loaded

    def _ready(self) -> Loaded:
        self._check_open()
        if self._loaded is None:
            raise DeviceError(f"nothing is loaded on {self.name}: load(program), or run one first")
        return self._loaded

    def _layer(self, layer: str | int) -> tuple[Loaded, LayerStates]:
        ready = self._ready()
        return ready, LayerStates.of(ready.runnable, layer)
