"""Layers that two runs both report: by the user's name where both runs know names, else by core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chipflow.events.array import EventArray
from chipflow.events.result import RunResult, Shape

SENSOR = "sensor"
"""Stands for the layer where it is the sensor whose events are reported."""


@dataclass(frozen=True)
class SharedLayer:
    """A layer that two runs report.

    Attributes:
        name: the user's name; "core 3" where neither run knows one, "sensor" for events of the sensor.
        a_cores: ids of its cores in the first run, in the order of its features.
        b_cores: in the second run, which may have placed it otherwise.
    """

    name: str
    a_cores: tuple[int, ...]
    b_cores: tuple[int, ...]


def shared_layers(a: RunResult, b: RunResult) -> list[SharedLayer]:
    """In the order of the network, the sensor first; empty if the runs report no layer in common."""
    of_a, of_b = _layers_of_both(a, b)
    return [SharedLayer(name, of_a[name], of_b[name]) for name in of_a if name in of_b]


def missing_layers(a: RunResult, b: RunResult) -> list[str]:
    """Layers that the first run reports and the second does not."""
    of_a, of_b = _layers_of_both(a, b)
    return [name for name in of_a if name not in of_b]


def spikes_of(result: RunResult, cores: tuple[int, ...]) -> EventArray:
    """Reported events of a layer, by time; p counts the layer's features, also where it is split over several cores."""
    whole = next((name for name, parts in result.parts.items() if tuple(part.core for part in parts) == cores), cores[0])
    return result.spikes(whole) if cores[0] in result.monitored else result.events[result.events["layer"] == cores[0]]


def shape_of(result: RunResult, cores: tuple[int, ...]) -> Shape:
    """(features, y, x) of a layer, also where it is split over several cores; no features of the sensor, whose shape no run knows."""
    shapes = [result.shapes[core] for core in cores if core in result.shapes]
    features, height, width = zip(*shapes, strict=True) if shapes else ((0,), (0,), (0,))
    return sum(features), height[0], width[0]


def _layers_of_both(a: RunResult, b: RunResult) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """By the user's names; where one of the runs has none, core by core, named as the other run does."""
    if all(core in result.names for result in (a, b) for core in result.monitored):
        return _layers(a), _layers(b)
    names = {core: f"core {core}" for result in (a, b) for core in result.monitored} | dict(b.names) | dict(a.names)
    return _cores(a, names), _cores(b, names)


def _layers(result: RunResult) -> dict[str, tuple[int, ...]]:
    found = _sensor(result)
    for core in result.monitored:
        layer, cores = _layer(result, core)
        found.setdefault(layer, cores)
    return found


def _cores(result: RunResult, names: Mapping[int, str]) -> dict[str, tuple[int, ...]]:
    return _sensor(result) | {names[core]: (core,) for core in result.monitored}


def _layer(result: RunResult, core: int) -> tuple[str, tuple[int, ...]]:
    """The whole layer of a core, or only the core where not all parts of its layer are monitored."""
    for name, parts in result.parts.items():
        cores = tuple(part.core for part in parts)
        if core in cores and set(cores) <= set(result.monitored):
            return name, cores
    return result.names[core], (core,)


def _sensor(result: RunResult) -> dict[str, tuple[int, ...]]:
    """The sensor's id, where its events are among those reported: it is no core."""
    ids = tuple(int(layer) for layer in np.setdiff1d(result.events["layer"], result.monitored))
    return {SENSOR: ids} if ids else {}
