"""In what two runs differ, exactly, as data: events layer by layer, counters, states, accounting, sensor and readout block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipflow.events.array import EventArray
from chipflow.events.result import RunResult
from chipflow.report.first_difference import FIELDS, FirstDifference, first_difference_in
from chipflow.report.shared_layers import SharedLayer, shared_layers, spikes_of
from chipflow.testing.value_difference import ValueDifference, not_compared, value_differences


@dataclass(frozen=True)
class LayerDifference:
    """How the reported events of one layer differ.

    Attributes:
        layer: the user's name.
        a_spikes, b_spikes: how many events each run reported.
        unmatched: events, by time and neuron, that only one of the runs has; 0: the same ones in another order.
        neurons: that fired another number of times.
        first: where the two part.
    """

    layer: str
    a_spikes: int
    b_spikes: int
    unmatched: int
    neurons: int
    first: FirstDifference

    def __str__(self) -> str:
        what = f"{self.unmatched:,} are in one run only" if self.unmatched else "the same in another order"
        counts = (
            f"{self.a_spikes:,} events against {self.b_spikes:,}, {what}, {_counted(self.neurons, 'neuron')} with another count"
        )
        return f"{self.first}\n  layer {self.layer}: {counts}"


@dataclass(frozen=True)
class RunDifference:
    """In what two runs differ; false where they do not.

    Attributes:
        layers: whose events differ, in the order of the network.
        values: monitored layers, duration, accounting, counters, states, sensor and readout block.
        not_compared: what only one of the runs reports, in words: a board has no counters.
    """

    layers: tuple[LayerDifference, ...] = ()
    values: tuple[ValueDifference, ...] = ()
    not_compared: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.layers or self.values)

    @property
    def first(self) -> FirstDifference | None:
        """The first layer, neuron and event; None where all events are the same."""
        return self.layers[0].first if self.layers else None

    def __str__(self) -> str:
        left_out = [f"(not compared: {'; '.join(self.not_compared)})"] if self.not_compared else []
        if not self:
            return "\n".join(["the runs are the same", *left_out])
        values = [f"{where}: {'; '.join(words)}" for where, words in self._values_by_place().items()]
        lines = [_in_words(self.layers), *values, *left_out]
        return "\n".join(line for line in lines if line)

    def _values_by_place(self) -> dict[str, list[str]]:
        places: dict[str, list[str]] = {}
        for value in self.values:
            places.setdefault(value.where, []).append(value.words)
        return places


def _in_words(layers: tuple[LayerDifference, ...]) -> str:
    """The first one in full; those after it may only follow from it."""
    if not layers:
        return ""
    later = [f"  layer {found.layer}: {found.a_spikes:,} events against {found.b_spikes:,}" for found in layers[1:]]
    return "\n".join([f"first difference: {layers[0]}", *later])


def differences(a: RunResult, b: RunResult) -> RunDifference:
    """Compares all that both runs report, bit for bit.

    Layers go by the user's names where both runs know names, so that runs of two placements can be compared; else by core. The estimate
    of the load and traces are left out: the first follows from the counters, the second was asked for by one of the runs.

    Args:
        a: a run.
        b: another one.
    """
    layers = (_layer(layer, spikes_of(a, layer.a_cores), spikes_of(b, layer.b_cores)) for layer in shared_layers(a, b))
    return RunDifference(tuple(found for found in layers if found), tuple(value_differences(a, b)), tuple(not_compared(a, b)))


def _layer(layer: SharedLayer, a: EventArray, b: EventArray) -> LayerDifference | None:
    first = first_difference_in(layer, a, b)
    if first is None:
        return None
    unmatched = int(np.abs(_surplus(a, b, FIELDS)).sum())
    neurons = int(np.count_nonzero(_surplus(a, b, FIELDS[1:])))
    return LayerDifference(layer.name, len(a), len(b), unmatched, neurons, first)


def _surplus(a: EventArray, b: EventArray, fields: Iterable[str]) -> npt.NDArray[np.int64]:
    """For every combination of these fields, how many more events of it the first array has."""
    rows = np.concatenate([np.stack([events[name].astype(np.int64) for name in fields], axis=1) for events in (a, b)])
    _, kind = np.unique(rows, axis=0, return_inverse=True)
    signs = np.repeat([1, -1], [len(a), len(b)])
    return np.bincount(kind.reshape(-1), weights=signs).astype(np.int64)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
