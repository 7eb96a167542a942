"""The protocol of every device, and how one is opened by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from chipflow.errors import DeviceError
from chipflow.events.array import OnOutside
from chipflow.events.result import LayerPart, Parts, RunResult
from hwconfig import ChipConfig, ChipSpec, Report, UnknownChipError, chip_names, get_chip


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
    """A chip, real or emulated; a context manager."""

    name: str

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
    ) -> RunResult:
        """Resets the chip, sends the events, and returns what the monitored layers answered.

        Args:
            program: a program, or a bare configuration.
            events: structured array with x, y, t, p (t in microseconds, ascending; p the polarity or feature).
            monitor: layer names or core ids to report; by default those that the configuration monitors.
            duration: microseconds from 0 to run; by default up to the last event.
            timeout: seconds allowed.
            on_outside: events outside the input map: "error" refuses all before the run, "drop" drops and counts them.
            strict: stop where a state leaves its 16 bits, on devices that can see it; otherwise it is only counted.

        Raises:
            DeviceError: closed, or the program is for another chip, or a layer to monitor does not exist, or no time is left.
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

    def close(self) -> None:
        """Gives the device back; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def open_device(name: str = "emulator") -> Device:
    """The device of this name.

    Args:
        name: "emulator" (the program's chip), or "emulator:" and a chip's name, a board's, or the path of a chip's TOML file.

    Raises:
        DeviceError: no such device; the message lists those there are.
    """
    kind, colon, chip = name.partition(":")
    spec: ChipSpec | None = None
    try:
        spec = get_chip(chip) if colon else None
    except UnknownChipError:
        kind = ""
    if kind != "emulator":
        known = ["emulator", *(f"emulator:{chip_name}" for chip_name in chip_names())]
        raise DeviceError(f"unknown device {name!r}: known are {', '.join(known)}; boards are not supported by this version")
    from chipflow.backends.emulated import EmulatedDevice

    return EmulatedDevice(spec, name)
