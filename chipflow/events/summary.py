"""What is in a recording, gathered chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipflow.events.array import as_events

MICROSECONDS = 1e6  # in a second


@dataclass
class EventSummary:
    """Counts and ranges of the events that were added; ranges of none are None.

    Attributes:
        events: how many.
        t: microseconds of the first and the last.
        x, y: smallest and largest coordinate.
        by_polarity: polarity or feature -> events.
    """

    events: int = 0
    t: tuple[int, int] | None = None
    x: tuple[int, int] | None = None
    y: tuple[int, int] | None = None
    by_polarity: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, chunk: Any) -> None:
        """Counts what follows in the recording.

        Raises:
            EventError: events that `as_events` refuses.
        """
        array = as_events(chunk)
        if not array.size:
            return
        self.events += len(array)
        self.t, self.x, self.y = (_wider(getattr(self, name), array[name]) for name in "txy")
        values, counts = np.unique(array["p"], return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self.by_polarity[value] = self.by_polarity.get(value, 0) + count

    @property
    def duration_us(self) -> int:
        """Microseconds from the first event to the last."""
        return self.t[1] - self.t[0] if self.t else 0

    @property
    def rate_hz(self) -> float | None:
        """Events a second between the first and the last; None where no time passes between them."""
        return (self.events - 1) / self.duration_us * MICROSECONDS if self.duration_us else None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "events": self.events,
            "first_us": self.t and self.t[0],
            "last_us": self.t and self.t[1],
            "duration_us": self.duration_us,
            "rate_hz": self.rate_hz,
            "x": self.x and list(self.x),
            "y": self.y and list(self.y),
            "by_polarity": dict(sorted(self.by_polarity.items())),
        }


def summarise(chunks: Iterable[Any]) -> EventSummary:
    """What is in a recording that comes in chunks; of one array, `summarise([events])`."""
    summary = EventSummary()
    for chunk in chunks:
        summary.add(chunk)
    return summary


def _wider(known: tuple[int, int] | None, values: Any) -> tuple[int, int]:
    low, high = int(values.min()), int(values.max())
    return (min(low, known[0]), max(high, known[1])) if known else (low, high)
