"""A program's layers and inputs, as every device finds them: by name, by part, or by core id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from chipflow.backends.base import ClockedConfig, Runnable
from chipflow.errors import DeviceError, EventError
from chipflow.events.array import addressed
from hwconfig import ChipConfig, ChipSpec


def runnable_for(program: Runnable | ChipConfig, chip: ChipSpec | None, name: str) -> Runnable:
    """The program, or a bare configuration as one, for the device of this name; `chip` None takes any.

    Raises:
        DeviceError: it is for another chip.
    """
    runnable = ClockedConfig(program) if isinstance(program, ChipConfig) else program
    if chip is not None and runnable.config.chip != chip:
        raise DeviceError(f"the program is for {runnable.config.chip.name}, the device is {name}: compile for {chip.name}")
    return runnable


def one_input(runnable: Runnable, events: Any) -> Any:
    """The events, which must be addressed, or given by input, where the network has several.

    Raises:
        EventError: the events do not say which input they enter.
    """
    if isinstance(events, Mapping):
        return addressed(runnable.inputs, cast("Mapping[str, Any]", events))
    if len(runnable.inputs) > 1 and "layer" not in (getattr(events, "dtype", np.dtype(int)).names or ()):
        raise EventError(
            f"the network has inputs {', '.join(runnable.inputs)}, and the events do not say which they enter: "
            "give them by input, {name: events, ...}"
        )
    return events


def monitored(runnable: Runnable, monitor: Sequence[str | int] | None) -> ChipConfig:
    """The configuration with exactly these layers monitored; None: as it is.

    Raises:
        DeviceError: a layer that does not exist.
    """
    config = runnable.config
    if monitor is None:
        return config
    chosen = {core for layer in monitor for core in cores_of(runnable, layer, "monitor")}
    cores = {i: core.with_changes(monitor_enable=i in chosen) for i, core in config.cnn_layers.items()}
    return config.with_changes(cnn_layers=cores)


def cores_of(runnable: Runnable, layer: str | int, what_for: str) -> tuple[int, ...]:
    """The cores of a layer, given by its name, that of one of its parts, or a core's id.

    Raises:
        DeviceError: no such layer; the message says what it was wanted for, and lists those there are.
    """
    if isinstance(layer, str) and layer in runnable.parts:
        return tuple(part.core for part in runnable.parts[layer])
    config = runnable.config
    known: dict[str | int, int] = {name: core for core, name in config.layer_names.items()} | {
        core: core for core in config.active_cores
    }
    if layer not in known:
        raise DeviceError(f"cannot {what_for} {layer!r}: layers are {', '.join(map(repr, known))}")
    return (known[layer],)
