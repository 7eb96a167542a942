"""In what two runs differ beside the events of their layers: numbers, states, sensor and readout block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chipflow.events.array import EventArray
from chipflow.events.readings import ReadoutOutput
from chipflow.events.result import RunResult
from chipflow.report.first_difference import first_unequal
from chipflow.report.shared_layers import missing_layers, shape_of, shared_layers

OF_THE_CORES = ("dropped", "dropped_at_readout")
"""Numbers of the accounting that only a device which counts what its cores did can know."""


@dataclass(frozen=True)
class ValueDifference:
    """A number, or another thing, that differs.

    Attributes:
        where: "layer conv1 (core 3)", "accounting", "readout".
        what: "synops", "state of neuron (feature, y, x) = (0, 1, 2)".
        a, b: what each run has.
        more: how many others like it differ.
    """

    where: str
    what: str
    a: Any
    b: Any
    more: int = 0

    def __str__(self) -> str:
        return f"{self.where}: {self.words}"

    @property
    def words(self) -> str:
        """Without the place."""
        return f"{self.what} {_shown(self.a)} against {_shown(self.b)}" + (f", and {self.more:,} more" if self.more else "")


def value_differences(a: RunResult, b: RunResult) -> Iterator[ValueDifference]:
    """Of monitored layers and their shapes, duration, accounting, counters, states, sensor and readout block, where both report them."""
    for part in (_monitored, _accounting, _counters, _states, _sensor, _readout):
        yield from part(a, b)


def not_compared(a: RunResult, b: RunResult) -> Iterator[str]:
    """What only one of the runs reports, in words."""
    for what in ("counters", "states", "sensor", "readout"):
        one, other = (bool(getattr(run, what)) for run in (a, b))
        if one != other:
            yield f"{what}, which the {_lacking(one)} run does not report"
    for what in ("counters", "states"):
        yield from _cores_of_one(what, a, b)


def _cores_of_one(what: str, a: RunResult, b: RunResult) -> Iterator[str]:
    """Counters or states of cores that only one of the runs has, though both have some."""
    of_a, of_b = getattr(a, what), getattr(b, what)
    mine, theirs = _by_name(a, b, of_a, of_b) if of_a and of_b else ({}, {})
    for key in {**mine, **theirs}:
        if (key in mine) != (key in theirs):
            yield f"{what} of {key}, which the {_lacking(key in mine)} run does not report"


def _lacking(first_has_it: bool) -> str:
    return "second" if first_has_it else "first"


def _monitored(a: RunResult, b: RunResult) -> Iterator[ValueDifference]:
    only_a, only_b = missing_layers(a, b), missing_layers(b, a)
    if only_a or only_b:
        yield ValueDifference("monitor", "layers reported by one run only", only_a or "none", only_b or "none")
    for layer in shared_layers(a, b):
        one, other = shape_of(a, layer.a_cores), shape_of(b, layer.b_cores)
        if one != other:
            yield ValueDifference(f"layer {layer.name}", "shape", one, other)
    if a.duration != b.duration:
        yield ValueDifference("run", "duration", a.duration, b.duration)


def _accounting(a: RunResult, b: RunResult) -> Iterator[ValueDifference]:
    left_out = () if a.counters and b.counters else OF_THE_CORES
    kept = ({name: n for name, n in asdict(run.accounting).items() if name not in left_out} for run in (a, b))
    yield from _unequal("accounting", *kept)


def _counters(a: RunResult, b: RunResult) -> Iterator[ValueDifference]:
    for where, one, other in _cores_of_both(a, b, a.counters, b.counters):
        yield from _unequal(where, asdict(one), asdict(other))


def _states(a: RunResult, b: RunResult) -> Iterator[ValueDifference]:
    for where, one, other in _cores_of_both(a, b, a.states, b.states):
        if one.shape != other.shape:
            yield ValueDifference(where, "shape of the states", one.shape, other.shape)
        elif len(places := np.argwhere(one != other)):
            first = tuple(int(i) for i in places[0])
            yield ValueDifference(
                where, f"state of neuron (feature, y, x) = {first}", int(one[first]), int(other[first]), len(places) - 1
            )


def _sensor(a: RunResult, b: RunResult) -> Iterator[ValueDifference]:
    if a.sensor is not None and b.sensor is not None:
        yield from _unequal("sensor", asdict(a.sensor.counters), asdict(b.sensor.counters))
        index = first_unequal(a.sensor.raw, b.sensor.raw)
        if index is not None:
            yield ValueDifference("sensor", f"raw event {index}", *(_item(run.raw, index) for run in (a.sensor, b.sensor)))


def _readout(a: RunResult, b: RunResult) -> Iterator[ValueDifference]:
    if a.readout is None or b.readout is None:
        return
    if a.counters and b.counters:
        yield from _unequal("readout", _readout_counts(a.readout), _readout_counts(b.readout))
    for name in ("values", "pins"):
        one, other = getattr(a.readout, name), getattr(b.readout, name)
        unequal = [i for i, pair in enumerate(zip(one.tolist(), other.tolist(), strict=False)) if pair[0] != pair[1]]
        if unequal or len(one) != len(other):
            index = unequal[0] if unequal else min(len(one), len(other))
            yield ValueDifference("readout", f"{name}[{index}]", _item(one, index), _item(other, index))


def _readout_counts(readout: ReadoutOutput) -> dict[str, int]:
    return {name: getattr(readout, name) for name in ("events_in", "counted", "without_class")}


def _item(array: EventArray, index: int) -> Any:
    return array[index].item() if index < len(array) else "none"


def _unequal(where: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[ValueDifference]:
    for name, value in a.items():
        if value != b[name]:
            yield ValueDifference(where, name, value, b[name])


def _cores_of_both(
    a: RunResult, b: RunResult, of_a: Mapping[int, Any], of_b: Mapping[int, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Where, and what each run has of it, for cores that both have."""
    mine, theirs = _by_name(a, b, of_a, of_b)
    for key, core in mine.items():
        if key in theirs:
            name = a.names.get(core) or b.names.get(core)
            yield f"layer {name} (core {core})" if name else f"core {core}", of_a[core], of_b[theirs[key]]


def _by_name(a: RunResult, b: RunResult, of_a: Iterable[int], of_b: Iterable[int]) -> tuple[dict[str, int], dict[str, int]]:
    """The cores of each run by the user's names, where both runs know all of them, else by id."""
    named = all(core in run.names for run, of in ((a, of_a), (b, of_b)) for core in of)
    mine, theirs = ({run.names[core] if named else f"core {core}": core for core in of} for run, of in ((a, of_a), (b, of_b)))
    return mine, theirs


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
