"""The protocol of every device: what a script may ask of a chip, real or emulated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from chipflow.events.array import EventArray, OnOutside
from chipflow.events.readings import PowerReadings, StreamChunk
from chipflow.events.result import LayerPart, Parts, RunResult
from hwconfig import ChipConfig, ChipSpec, Report

Capability = Literal["counters", "power", "sensor", "exact"]
"""What not every device can do: count what its cores did; measure power; see with a sensor of its own (an emulator: the
recording it was opened with); repeat a run bit for bit."""


@runtime_checkable
class Runnable(Protocol):
    """What a device needs of a program: a configuration, which names the layers, where events enter, and the slow clock."""

    @property
    def config(self) -> ChipConfig:
        """What is written into the chip."""
        ...

    @property
    def entries(self) -> tuple[int, ...] | None:
        """Cores that addressed events enter; None: the only core without a source."""
        ...

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """Cores that each input of a network enters; empty where that is not known."""
        ...

    @property
    def parts(self) -> Parts:
        """Layers that are more or less than one core's features."""
        ...

    @property
    def slow_clock_period_us(self) -> int | None:
        """Microseconds between two ticks of the slow clock."""
        ...


@dataclass(frozen=True)
class ClockedConfig:
    """A bare configuration with a slow clock, as a device runs it; where events enter is the only core without a source."""

    config: ChipConfig
    slow_clock_period_us: int | None = None
    entries: tuple[int, ...] | None = None
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    parts: Parts = field(default_factory=dict[str, tuple[LayerPart, ...]])

    def violations(self) -> Report:
        """Every design rule that the configuration breaks, judged with this clock."""
        return self.config.violations(slow_clock_period_us=self.slow_clock_period_us, entries=self.entries)


class Device(Protocol):
    """A chip, real or emulated; a context manager.

    Attributes:
        name: by which it was opened.
        chip: the only chip whose programs it takes; None takes any.
        capabilities: what this device can do that not every device can; a call that needs another one raises DeviceError.
    """

    name: str
    chip: ChipSpec | None
    capabilities: frozenset[Capability]

    def load(self, program: Runnable | ChipConfig, *, monitor: Sequence[str | int] | None = None) -> None:
        """Writes the configuration into the chip, states at their initial values.

        Args:
            program: a program, or a bare configuration.
            monitor: layer names or core ids to report; by default those that the configuration monitors.

        Raises:
            DeviceError: closed, or the program is for another chip, or a layer to monitor does not exist.
            DesignRuleError: the configuration breaks design rules.
        """
        ...

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
    ) -> RunResult:
        """Loads the program, sends the events, and returns what the monitored layers answered.

        Args:
            program: a program, or a bare configuration.
            events: structured array with x, y, t, p (t in microseconds, ascending; p the polarity or feature).
            monitor: layer names or core ids to report; by default those that the configuration monitors.
            duration: microseconds from 0 to run; by default up to the last event.
            timeout: seconds allowed.
            on_outside: events outside the input map: "error" refuses all before the run, "drop" drops and counts them.
            strict: stop where a state leaves its 16 bits, on devices that can see it; otherwise it is only counted.
            reset: start from the initial states; False goes on from the states as they are, if this program with these monitors was
                the last one here.

        Raises:
            DeviceError: closed, or the program is for another chip, or a layer to monitor does not exist.
            DeviceTimeoutError: not finished in time; it says what is missing, and has what came.
            DeviceLostError: the board went away during the run.
            EventError: events that cannot be used, refused before the run.
            StrictModeError: a state left its range.
        """
        ...

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
    ) -> list[RunResult]:
        """Many recordings, each as by `run`; results in the order of the recordings.

        Args:
            recordings: event arrays.
            duration: of each, in microseconds.
            workers: how many at a time, where the device can; None: as many as there are processors.

        Raises:
            ChipflowError: as `run`, for the first recording that fails; those after it are given up.
        """
        ...

    def stream(
        self,
        program: Runnable | ChipConfig,
        events: Any = None,
        *,
        monitor: Sequence[str | int] | None = None,
        seconds: float | None = None,
        chunk_us: int = 10_000,
    ) -> Iterator[StreamChunk]:
        """What the monitored layers answer, window by window, while the chip runs: `for chunk in device.stream(program): ...`.

        It starts from the initial states. Leaving the loop ends the run, and so does any other run on the device.

        Args:
            events: an event array, or an iterable of such, each going on where the one before ended; None: what the device's own
                sensor sees.
            seconds: of the chip's time: events and clock ticks with t < seconds; later ones are not sent. None: up to the last event,
                or, from a board's sensor, until the loop is left.
            chunk_us: length of a window in microseconds. Windows follow each other from 0; those without events come, too.

        Raises:
            DeviceError, EventError, StrictModeError: as `run`; DeviceError also where there is no sensor, or the program does not
                read it.
        """
        ...

    def record(self, seconds: float, source: str | int = "dvs", *, program: Runnable | ChipConfig | None = None) -> EventArray:
        """What the device's own sensor sees, or what a layer answers to it.

        Args:
            seconds: of the chip's time: events with t < seconds.
            source: "dvs": events of the pixels, before any processing; else a layer's name or a core's id.
            program: needed for layers.

        Returns:
            Events with x, y, t, p; t counts from the start of the recording.

        Raises:
            DeviceError: as `run`; there is no sensor; the layer does not exist.
        """
        ...

    def states(self, layer: str | int) -> npt.NDArray[np.int16]:
        """Membrane potentials of a layer of the loaded program, int16 [feature, y, x].

        Raises:
            DeviceError: nothing is loaded, no such layer, or the board does not answer.
        """
        ...

    def set_states(self, layer: str | int, states: npt.ArrayLike) -> None:
        """Writes them: integers [feature, y, x] in the int16 range.

        Raises:
            DeviceError: nothing is loaded, or no such layer; wrong shape, dtype or range.
        """
        ...

    def reset_states(self) -> None:
        """All states at the initial values of the loaded program's configuration, which is checked where they can be read."""
        ...

    def measure_power(self, rate_hz: float = 50.0) -> AbstractContextManager[PowerReadings]:
        """Measures every rail while the block runs; the readings are complete when it is left.

        Args:
            rate_hz: samples a second of each rail, up to 100.

        Raises:
            DeviceError: it cannot: an emulator has no rails.
        """
        ...

    def close(self) -> None:
        """Gives the device back; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
