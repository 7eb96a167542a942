"""What a board has reported, sorted into kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.events.array import EVENT_DTYPE, EVENT_LAYER_DTYPE, EventArray
from chipflow.events.readings import PIN_DTYPE, READOUT_DTYPE

Answer = tuple[int, int, int]
"""Layer, address and state of a NeuronValue."""


@dataclass
class Heard:
    """Outputs of a board since the last `forget`.

    Attributes:
        kinds: the vendor's classes of events.
        spikes: (x, y, t, feature, layer).
        raw: pixel events (x, y, t, p).
        values: of the readout block, in order; they have no time of their own.
        pins: (t, index).
        answers: to requests for states.
        others: how many events of each class that nothing here asks for.
        last_t: latest time seen, in microseconds.
    """

    kinds: Any
    spikes: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    raw: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    values: list[int] = field(default_factory=list[int])
    pins: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    answers: list[Answer] = field(default_factory=list[Answer])
    others: Counter[str] = field(default_factory=Counter[str])
    last_t: int = 0

    def __post_init__(self) -> None:
        sorters = {"Spike": self._spike, "DvsEvent": self._pixel, "NeuronValue": self._answer}
        sorters |= {"ReadoutValue": self._value, "ReadoutPinValue": self._pin}
        self._sorters = {getattr(self.kinds, name): sort for name, sort in sorters.items() if hasattr(self.kinds, name)}

    def add(self, events: Iterable[Any]) -> None:
        """Sorts what was read."""
        for event in events:
            self._sorters.get(type(event), self._other)(event)

    def _spike(self, event: Any) -> None:
        self.last_t = max(self.last_t, event.timestamp)
        self.spikes.append((event.x, event.y, event.timestamp, event.feature, event.layer))

    def _pixel(self, event: Any) -> None:
        self.last_t = max(self.last_t, event.timestamp)
        self.raw.append((event.x, event.y, event.timestamp, int(event.p)))

    def _answer(self, event: Any) -> None:
        self.answers.append((event.layer, event.address, event.neuron_state))

    def _value(self, event: Any) -> None:
        self.values.append(event.value)

    def _pin(self, event: Any) -> None:
        self.pins.append((event.timestamp, event.index))

    def _other(self, event: Any) -> None:
        self.others[type(event).__name__] += 1

    def forget(self) -> None:
        """Nothing has been heard."""
        for some in (self.spikes, self.raw, self.values, self.pins, self.answers, self.others):
            some.clear()
        self.last_t = 0

    def take_answers(self) -> list[Answer]:
        """The answers, which are forgotten."""
        found = self.answers[:]
        self.answers.clear()
        return found

    def take_spikes(self, ranks: Mapping[int, int], before: int | None = None) -> EventArray:
        """Spikes by time, then by rank of their layer, then as they came; those are forgotten.

        Args:
            ranks: of the layers.
            before: later ones are left, in microseconds; None: all.
        """
        found = _taken(self.spikes, EVENT_LAYER_DTYPE, before)
        rank = np.array([ranks.get(layer, len(ranks)) for layer in found["layer"].tolist()], np.int64)
        return found[np.lexsort((rank, found["t"]))]

    def take_raw(self, before: int | None = None) -> EventArray:
        """Pixel events by time; those are forgotten. `before` as above."""
        found = _taken(self.raw, EVENT_DTYPE, before)
        return found[np.argsort(found["t"], kind="stable")]

    def take_values(self, period_us: int, first: int = 0, before: int | None = None) -> npt.NDArray[np.void]:
        """Values of the readout block, the n-th (after `first` others) at the n-th tick; those are forgotten. `before` as above."""
        ticks = len(self.values) if before is None else max(0, -(-before // period_us) - 1 - first)
        mine, self.values[:] = self.values[:ticks], self.values[ticks:]
        return np.array([((first + number) * period_us, value) for number, value in enumerate(mine, start=1)], READOUT_DTYPE)

    def take_pins(self, before: int | None = None) -> npt.NDArray[np.void]:
        """Pin events; those are forgotten. `before` as above."""
        return _taken(self.pins, PIN_DTYPE, before, at=0)


def _taken(rows: list[Any], dtype: np.dtype[Any], before: int | None, at: int = 2) -> npt.NDArray[np.void]:
    """Rows of earlier times, which are `at` that place in each; only later ones are left."""
    later = [] if before is None else [row for row in rows if row[at] >= before]
    found = np.array(rows if before is None else [row for row in rows if row[at] < before], dtype)
    rows[:] = later
    return found
