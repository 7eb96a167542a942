"""A device without a chip: the emulator behind the protocol."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Any, Self, cast

import numpy as np

from chipflow.backends.base import ClockedConfig, Runnable
from chipflow.emulator import Emulator, run_batch
from chipflow.emulator.options import Neuron
from chipflow.emulator.what_if import WhatIfs, what_if
from chipflow.errors import DeviceError, EventError
from chipflow.events.array import OnOutside, addressed
from chipflow.events.result import LayerPart, RunResult
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
            emulator, runnable = self._ready(program, monitor, trace, options | {"strict": strict, "on_outside": on_outside})
            result = emulator.run(_one_input(runnable, events), duration=duration)
        if timeout is not None and time.monotonic() - start > timeout:
            raise DeviceError(
                f"the run took {time.monotonic() - start:.1f} s, allowed were {timeout} s: allow more, or send fewer events"
            )
        return result.with_names(runnable.config.layer_names, runnable.parts)

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
            emulator, runnable = self._ready(program, monitor, trace, options | {"strict": strict, "on_outside": on_outside})
        checked = (_one_input(runnable, events) for events in recordings)
        results = run_batch(emulator, checked, duration=duration, workers=workers)
        return [result.with_names(runnable.config.layer_names, runnable.parts) for result in results]

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
    ) -> tuple[Emulator, Runnable]:
        """An emulator after a reset, the last one where nothing changed; and the program."""
        if not self._open:
            raise DeviceError(f"{self.name} is closed: open it again with open_device({self.name!r})")
        runnable = ClockedConfig(program) if isinstance(program, ChipConfig) else program
        config = runnable.config
        if self._chip is not None and config.chip != self._chip:
            raise DeviceError(f"the program is for {config.chip.name}, the device is {self.name}: compile for {self._chip.name}")
        _check_clock(runnable, given)
        wanted = _monitored(runnable, monitor)
        traced = _traced(runnable, trace or {})
        options = {"slow_clock_period_us": runnable.slow_clock_period_us, "trace": traced, **given}
        key = (wanted, runnable.entries, options)
        if self._last is not None and self._last[0] == key:
            self._last[1].reset()
        else:
            self._last = (key, Emulator(wanted, entries=runnable.entries, **options))
        return self._last[1], runnable

    def close(self) -> None:
        """Gives the device back."""
        self._open = False
        self._last = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _one_input(runnable: Runnable, events: Any) -> Any:
    """The events, which must be addressed, or given by input, where the network has several."""
    if isinstance(events, Mapping):
        return addressed(runnable.inputs, cast("Mapping[str, Any]", events))
    if len(runnable.inputs) > 1 and "layer" not in (getattr(events, "dtype", np.dtype(int)).names or ()):
        raise EventError(
            f"the network has inputs {', '.join(runnable.inputs)}, and the events do not say which they enter: "
            "give them by input, {name: events, ...}"
        )
    return events


def _check_clock(runnable: Runnable, given: Mapping[str, Any]) -> None:
    """Another clock than the biases were made for would change what the network computes."""
    wanted, asked = runnable.slow_clock_period_us, given.get("slow_clock_period_us")
    if wanted is not None and asked is not None and asked != wanted:
        raise DeviceError(
            f"the program's biases are added at each tick of a slow clock of {wanted} us, asked for is one of {asked} us: leave it out, "
            f"or compile with time_step_us={asked}"
        )


def _monitored(runnable: Runnable, monitor: Sequence[str | int] | None) -> ChipConfig:
    """The configuration with exactly these layers monitored."""
    config = runnable.config
    if monitor is None:
        return config
    chosen = {core for layer in monitor for core in _cores(runnable, layer, "monitor")}
    cores = {i: core.with_changes(monitor_enable=i in chosen) for i, core in config.cnn_layers.items()}
    return config.with_changes(cnn_layers=cores)


def _traced(runnable: Runnable, trace: Mapping[str | int, Sequence[Neuron]]) -> dict[int, tuple[Neuron, ...]]:
    """Neurons of each core; a layer's neurons are looked for in the core that has their feature."""
    found: dict[int, tuple[Neuron, ...]] = {}
    for layer, neurons in trace.items():
        cores = _cores(runnable, layer, "trace")
        parts = runnable.parts.get(layer, ()) if isinstance(layer, str) else ()
        for neuron in neurons:
            core, own = _located(runnable.config, parts, neuron) if parts else (cores[0], neuron)
            found[core] = (*found.get(core, ()), own)
    return found


def _located(config: ChipConfig, parts: tuple[LayerPart, ...], neuron: Neuron) -> tuple[int, Neuron]:
    """The core that has a layer's neuron, and the neuron there; the last core where none has, which will refuse it."""
    feature, y, x = neuron
    for part in parts:
        own = int(feature) * part.step - part.first
        if 0 <= own < config.core(part.core).dimensions.output_shape[0]:
            return part.core, (own, y, x)
    return parts[-1].core, neuron


def _cores(runnable: Runnable, layer: str | int, what_for: str) -> tuple[int, ...]:
    """The cores of a layer, given by its name, that of one of its parts, or a core's id."""
    if isinstance(layer, str) and layer in runnable.parts:
        return tuple(part.core for part in runnable.parts[layer])
    config = runnable.config
    known: dict[str | int, int] = {name: core for core, name in config.layer_names.items()} | {
        core: core for core in config.active_cores
    }
    if layer not in known:
        raise DeviceError(f"cannot {what_for} {layer!r}: layers are {', '.join(map(repr, known))}")
    return (known[layer],)
