"""The first layer, neuron and event in which two runs differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError
from chipflow.events.array import EventArray
from chipflow.events.result import RunResult
from chipflow.report.shared_layers import SharedLayer, missing_layers, shared_layers, spikes_of

Neuron = tuple[int, int, int]
FIELDS = ("t", "p", "y", "x")


class Spike(NamedTuple):
    """One reported event of a layer: time in microseconds, feature and place."""

    t: int
    p: int
    y: int
    x: int

    @property
    def neuron(self) -> Neuron:
        """(feature, y, x)."""
        return self.p, self.y, self.x


@dataclass(frozen=True)
class FirstDifference:
    """Where two runs part.

    Attributes:
        layer: the user's name.
        core: its core in the first run; of a layer that is split, the first one.
        neuron: (feature, y, x) of the spike that only one of the runs has; the earlier one where each has another.
        index: of the event, among those of the layer.
        a_event: of the first run; None: the first run reported no further one.
        b_event: of the second run.
    """

    layer: str
    core: int
    neuron: Neuron
    index: int
    a_event: Spike | None
    b_event: Spike | None

    def __str__(self) -> str:
        found = " against ".join(_words(event) for event in (self.a_event, self.b_event))
        place = f"core {self.core}" if self.layer == f"core {self.core}" else f"layer {self.layer} (core {self.core})"
        return f"{place}, event {self.index}: {found}"


def first_difference(a: RunResult, b: RunResult) -> FirstDifference | None:
    """Where two runs part: the first layer, in the order of the network, whose events are not the same.

    Later layers differ because of it, or also of themselves: only the first one says where it begins.

    Args:
        a: a run; its layers go by the user's names where both runs know names, else by core.
        b: another one, of which the layers that `a` reports, too, are compared.

    Returns:
        None: all layers that both report are the same, event by event.

    Raises:
        EventError: the runs report no layer in common.
    """
    layers = shared_layers(a, b)
    if not layers:
        raise EventError(
            f"the runs report no layer in common: the first {_listed(missing_layers(a, b))}, the second {_listed(missing_layers(b, a))}; "
            "give both the same monitor="
        )
    found = (first_difference_in(layer, spikes_of(a, layer.a_cores), spikes_of(b, layer.b_cores)) for layer in layers)
    return next((difference for difference in found if difference is not None), None)


def first_difference_in(layer: SharedLayer, a: EventArray, b: EventArray) -> FirstDifference | None:
    """Where the events of one layer part; None: nowhere."""
    index = first_unequal(a, b)
    if index is None:
        return None
    a_event, b_event = (_spike(events, index) for events in (a, b))
    earlier = min((event for event in (a_event, b_event) if event is not None), key=lambda event: event.t)
    return FirstDifference(layer.name, layer.a_cores[0], earlier.neuron, index, a_event, b_event)


def first_unequal(a: EventArray, b: EventArray) -> int | None:
    """Index of the first event that is not the same in both, by t, p, y and x; None: the arrays are equal."""
    shorter = min(len(a), len(b))
    unequal: npt.NDArray[np.bool_] = np.zeros(shorter, np.bool_)
    for name in FIELDS:
        unequal |= a[name][:shorter] != b[name][:shorter]
    if unequal.any():
        return int(np.argmax(unequal))
    return None if len(a) == len(b) else shorter


def _spike(events: EventArray, index: int) -> Spike | None:
    return Spike(*(int(events[name][index]) for name in FIELDS)) if index < len(events) else None


def _words(event: Spike | None) -> str:
    return "no event" if event is None else f"neuron (feature, y, x) = {event.neuron} at {event.t:,} us"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
