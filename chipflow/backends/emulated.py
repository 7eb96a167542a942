"""A device without a chip: the emulator behind the protocol."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from chipflow.backends.base import ClockedConfig, Runnable
from chipflow.emulator import Emulator
from chipflow.errors import DeviceError
from chipflow.events.array import OnOutside
from chipflow.events.result import RunResult
from hwconfig import ChipConfig, ChipSpec


class EmulatedDevice:
    """Runs programs on the emulator.

    Args:
        chip: the only chip whose programs it accepts; None accepts any.
        name: by which it was opened.
    """

    def __init__(self, chip: ChipSpec | None = None, name: str = "emulator") -> None:
        self.name = name
        self._chip = chip
        self._open = True
        self._last: tuple[Any, Emulator] | None = None

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
        """As `Device.run` says. The emulator always finishes, so that running out of `timeout` is noticed at the end."""
        if not self._open:
            raise DeviceError(f"{self.name} is closed: open it again with open_device({self.name!r})")
        runnable = ClockedConfig(program) if isinstance(program, ChipConfig) else program
        config = runnable.config
        if self._chip is not None and config.chip != self._chip:
            raise DeviceError(f"the program is for {config.chip.name}, the device is {self.name}: compile for {self._chip.name}")
        start = time.monotonic()
        emulator = self._emulator(runnable, _monitored(config, monitor), strict, on_outside)
        result = emulator.run(events, duration=duration)
        if timeout is not None and time.monotonic() - start > timeout:
            raise DeviceError(
                f"the run took {time.monotonic() - start:.1f} s, allowed were {timeout} s: allow more, or send fewer events"
            )
        return replace(result, names=config.layer_names)

    def _emulator(self, program: Runnable, config: ChipConfig, strict: bool, on_outside: OnOutside) -> Emulator:
        """A fresh emulator, or the last one after a reset when nothing changed."""
        entries, period = program.entries, program.slow_clock_period_us
        key = (config, entries, period, strict, on_outside)
        if self._last is not None and self._last[0] == key:
            self._last[1].reset()
        else:
            made = Emulator(config, entries=entries, slow_clock_period_us=period, strict=strict, on_outside=on_outside)
            self._last = (key, made)
        return self._last[1]

    def close(self) -> None:
        """Gives the device back."""
        self._open = False
        self._last = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _monitored(config: ChipConfig, monitor: Sequence[str | int] | None) -> ChipConfig:
    """The configuration with exactly these layers monitored."""
    if monitor is None:
        return config
    known = {name: core for core, name in config.layer_names.items()} | {core: core for core in config.active_cores}
    unknown = [layer for layer in monitor if layer not in known]
    if unknown:
        raise DeviceError(f"cannot monitor {unknown[0]!r}: layers are {', '.join(map(repr, known))}")
    chosen = {known[layer] for layer in monitor}
    cores = {i: core.with_changes(monitor_enable=i in chosen) for i, core in config.cnn_layers.items()}
    return config.with_changes(cnn_layers=cores)
