"""A run's result as arrays and plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.events.readings import ReadoutOutput, SensorCounters, SensorOutput
from chipflow.events.result import Accounting, CoreCounters, LayerPart, Parts, RunResult

Arrays = dict[str, npt.NDArray[Any]]
READOUT_COUNTS = ("events_in", "counted", "without_class")


def run_arrays(result: RunResult) -> Arrays:
    """Events and states, and what sensor and readout block reported. Load and traces are left out: no replay compares them."""
    arrays: Arrays = {"events": result.events}
    arrays |= {f"states_{core}": states for core, states in result.states.items()}
    if result.sensor is not None:
        arrays["sensor_raw"] = result.sensor.raw
    if result.readout is not None:
        arrays |= {"readout_values": result.readout.values, "readout_pins": result.readout.pins}
    return arrays


def run_document(result: RunResult) -> dict[str, Any]:
    """All the rest of what is compared, as plain data."""
    return {
        "duration": result.duration,
        "accounting": asdict(result.accounting),
        "monitored": list(result.monitored),
        "shapes": {str(core): list(shape) for core, shape in result.shapes.items()},
        "names": {str(core): name for core, name in result.names.items()},
        "parts": parts_document(result.parts),
        "counters": {str(core): asdict(counted) for core, counted in result.counters.items()},
        "states": [int(core) for core in result.states],
        "sensor": None if result.sensor is None else asdict(result.sensor.counters),
        "readout": None if result.readout is None else {name: getattr(result.readout, name) for name in READOUT_COUNTS},
    }


def stored_run(document: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> RunResult:
    """The result that `run_document` and `run_arrays` were made of.

    Raises:
        KeyError, TypeError, ValueError: they were made of none.
    """
    return RunResult(
        events=arrays["events"],
        counters={int(core): CoreCounters(**counted) for core, counted in document["counters"].items()},
        states={core: arrays[f"states_{core}"].astype(np.int16) for core in document["states"]},
        accounting=Accounting(**document["accounting"]),
        monitored=tuple(document["monitored"]),
        shapes={int(core): (shape[0], shape[1], shape[2]) for core, shape in document["shapes"].items()},
        names={int(core): name for core, name in document["names"].items()},
        duration=document["duration"],
        sensor=_sensor(document["sensor"], arrays),
        readout=_readout(document["readout"], arrays),
        parts=stored_parts(document["parts"]),
    )


def parts_document(parts: Parts) -> dict[str, Any]:
    """Layers and their parts, as plain data."""
    return {name: [asdict(part) for part in found] for name, found in parts.items()}


def stored_parts(document: Mapping[str, Any]) -> dict[str, tuple[LayerPart, ...]]:
    """The layers that `parts_document` was made of."""
    return {name: tuple(LayerPart(**part) for part in found) for name, found in document.items()}


def _sensor(counters: Mapping[str, int] | None, arrays: Mapping[str, npt.NDArray[Any]]) -> SensorOutput | None:
    return None if counters is None else SensorOutput(SensorCounters(**counters), arrays["sensor_raw"])


def _readout(counts: Mapping[str, int] | None, arrays: Mapping[str, npt.NDArray[Any]]) -> ReadoutOutput | None:
    return None if counts is None else ReadoutOutput(arrays["readout_values"], arrays["readout_pins"], **counts)
