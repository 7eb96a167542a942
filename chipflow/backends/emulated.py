"""A device without a chip: the emulator behind the protocol."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Any, Self

from chipflow.backends.base import ClockedConfig, Runnable
from chipflow.emulator import Emulator, run_batch
from chipflow.emulator.options import Neuron
from chipflow.emulator.what_if import WhatIfs, what_if
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
        self._in_use = Lock()

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
        trace: Mapping[str | int, Sequence[Neuron]] | None = None,
        **options: Any,
    ) -> RunResult:
        """As `Device.run` says; the emulator always finishes, so that running out of `timeout` is noticed at the end.

        Args:
            trace: for layer names or core ids, neurons (feature, y, x) whose potential is reported after every update.
            options: further ones of `chipflow.emulator.Options`: order, zero_weights, decimator_passes, on_overload, load_window_us.
        """
        start = time.monotonic()
        with self._alone():
            emulator, config = self._ready(program, monitor, trace, options | {"strict": strict, "on_outside": on_outside})
            result = emulator.run(events, duration=duration)
        if timeout is not None and time.monotonic() - start > timeout:
            raise DeviceError(
                f"the run took {time.monotonic() - start:.1f} s, allowed were {timeout} s: allow more, or send fewer events"
            )
        return result.with_names(config.layer_names)

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
        trace: Mapping[str | int, Sequence[Neuron]] | None = None,
        **options: Any,
    ) -> list[RunResult]:
        """Many recordings, each as by `run`, on all processor cores; see `chipflow.emulator.run_batch`. Options as in `run`."""
        with self._alone():
            emulator, config = self._ready(program, monitor, trace, options | {"strict": strict, "on_outside": on_outside})
        results = run_batch(emulator, recordings, duration=duration, workers=workers)
        return [result.with_names(config.layer_names) for result in results]

    def what_if(self, program: Runnable | ChipConfig, events: Any, usual: RunResult, **options: Any) -> WhatIfs:
        """A run again under each rule that is not public and could be otherwise.

        Args:
            usual: what `run(program, events, **options)` returned.
        """
        with self._alone():
            emulator, _ = self._ready(program, options.get("monitor"), None, {})
        return what_if(lambda **other: self.run(program, events, **options | other), usual, emulator.assumptions())

    @contextmanager
    def _alone(self) -> Generator[None]:
        if not self._in_use.acquire(blocking=False):
            raise DeviceError(f"{self.name} is in use by another thread: open one for each, or use run_batch")
        try:
            yield
        finally:
            self._in_use.release()

    def _ready(
        self,
        program: Runnable | ChipConfig,
        monitor: Sequence[str | int] | None,
        trace: Mapping[str | int, Sequence[Neuron]] | None,
        given: Mapping[str, Any],
    ) -> tuple[Emulator, ChipConfig]:
        """An emulator after a reset, the last one where nothing changed; and the configuration."""
        if not self._open:
            raise DeviceError(f"{self.name} is closed: open it again with open_device({self.name!r})")
        runnable = ClockedConfig(program) if isinstance(program, ChipConfig) else program
        config = runnable.config
        if self._chip is not None and config.chip != self._chip:
            raise DeviceError(f"the program is for {config.chip.name}, the device is {self.name}: compile for {self._chip.name}")
        wanted = _monitored(config, monitor)
        traced = {_core(config, layer, "trace"): tuple(neurons) for layer, neurons in (trace or {}).items()}
        options = {"slow_clock_period_us": runnable.slow_clock_period_us, "trace": traced, **given}
        key = (wanted, runnable.entries, options)
        if self._last is not None and self._last[0] == key:
            self._last[1].reset()
        else:
            self._last = (key, Emulator(wanted, entries=runnable.entries, **options))
        return self._last[1], config

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
    chosen = {_core(config, layer, "monitor") for layer in monitor}
    cores = {i: core.with_changes(monitor_enable=i in chosen) for i, core in config.cnn_layers.items()}
    return config.with_changes(cnn_layers=cores)


def _core(config: ChipConfig, layer: str | int, what_for: str) -> int:
    """The core of a layer, given by its name or by the core's id."""
    known: dict[str | int, int] = {name: core for core, name in config.layer_names.items()} | {
        core: core for core in config.active_cores
    }
    if layer not in known:
        raise DeviceError(f"cannot {what_for} {layer!r}: layers are {', '.join(map(repr, known))}")
    return known[layer]
