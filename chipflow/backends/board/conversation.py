"""A run with a board: batches written in the order of time, never many ahead of the answers to the markers behind them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipflow.backends.board.link import Link
from chipflow.backends.board.listening import LONGEST_DRAIN_S, PATIENCE_S, SETTLE_S, Listener
from chipflow.backends.board.markers import Markers
from chipflow.backends.board.sending import Batch
from chipflow.errors import DeviceTimeoutError
from chipflow.events.readings import US_PER_S

EVENTS_AHEAD, BATCHES_AHEAD = 4000, 50  # written, and not known to be taken
EVENTS_PER_MARKER = 100  # every so many tell whether packets are being lost
STALLED_S = 10.0  # of silence after the time of what was written, where no other time-out is given
LATE_AFTER_US = 1000  # about what a transfer over USB takes: below it the host cannot say that an event was late

host_clock = time.monotonic
"""The host's idea of the board's time, in seconds; tests whose board runs faster than time put its own clock here."""


@dataclass(frozen=True)
class Deadline:
    """When a run is given up.

    Attributes:
        start: by the host's clock, in seconds.
        seconds: allowed; None: as long as something comes.
    """

    start: float
    seconds: float | None = None

    @property
    def taken(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    @property
    def over(self) -> bool:
        """Whether more time was taken than is allowed."""
        return self.seconds is not None and self.taken > self.seconds


class Conversation:
    """One run.

    Args:
        link: the board.
        listener: of it.
        markers: of this run.
        deadline: when it is given up.

    Attributes:
        sent: input events written.
        late: of them, written after their time, by the host's clock.
        dropped: left out, as they lay outside.
        end_us: up to which the board's time goes on with what was written.
    """

    def __init__(self, link: Link, listener: Listener, markers: Markers, deadline: Deadline) -> None:
        self._link, self._listener, self._markers, self._deadline = link, listener, markers, deadline
        self._zero, self._last_marker = host_clock(), time.monotonic()
        self.sent = self.late = self.dropped = self.end_us = 0

    @property
    def lost(self) -> int:
        """Packets known to be lost: markers without an answer."""
        return self._markers.lost

    @property
    def elapsed_us(self) -> int:
        """Since the board's time began, by the host's clock."""
        return int((host_clock() - self._zero) * US_PER_S)

    def play(self, batches: Iterable[Batch], start: Callable[[], None]) -> Iterator[Batch]:
        """Writes batches, and yields each as soon as the board has taken it, and its time is over by the host's clock.

        Args:
            start: starts the board's time; called when the first batch is made.

        Raises:
            DeviceTimeoutError: it takes too long; DeviceLostError: the board went away.
        """
        waiting: deque[tuple[int, Batch]] = deque()
        coming = iter(batches)
        batch = next(coming, None)
        start()
        self._zero = host_clock()
        while batch is not None:
            yield from self._taken(waiting, EVENTS_AHEAD - len(batch.events), BATCHES_AHEAD - 1)
            self._send(batch)
            waiting.append((self._markers.sent, batch))
            batch = next(coming, None)
        yield from self._taken(waiting, 0, 0)

    def settle(self) -> None:
        """Listens until the board is quiet, or speaks of a time well after the end, or does not stop for a second."""
        end, latest = self.end_us + int(SETTLE_S * US_PER_S), time.monotonic() + LONGEST_DRAIN_S
        heard = self._listener.heard
        self._listener.until(lambda: self._deadline.over or heard.last_t > end or time.monotonic() > latest, SETTLE_S)

    def _taken(self, waiting: deque[tuple[int, Batch]], events: int, batches: int) -> Iterator[Batch]:
        """Batches that are done with; listens until at most so many events and batches wait."""
        while True:
            while waiting and waiting[0][0] <= self._markers.answered and waiting[0][1].end_us <= self.elapsed_us:
                yield waiting.popleft()[1]
            ahead = sum(len(batch.events) for _, batch in waiting)
            if not waiting or (ahead <= events and len(waiting) <= batches):
                return
            self._listen()

    def _send(self, batch: Batch) -> None:
        if len(batch.events):
            self.late += int(np.count_nonzero(batch.times + LATE_AFTER_US < self.elapsed_us))
            self._link.write(self._with_markers(batch.events))
        self.sent += len(batch.times)
        self.dropped += batch.dropped
        self.end_us = batch.end_us
        if batch.marked:
            self._mark(again=False)
        if self._listener.poll(nap=False):
            self._hear()

    def _with_markers(self, events: Sequence[Any]) -> list[Any]:
        """The events with markers between them; the last one is sent on its own."""
        found = list(events[:EVENTS_PER_MARKER])
        for start in range(EVENTS_PER_MARKER, len(events), EVENTS_PER_MARKER):
            found += [self._markers.next(), *events[start : start + EVENTS_PER_MARKER]]
        return found

    def _mark(self, *, again: bool) -> None:
        self._link.write([self._markers.again() if again else self._markers.next()])
        self._last_marker = time.monotonic()

    def _hear(self) -> None:
        self._markers.hear(self._listener.heard.take_answers())

    def _listen(self) -> None:
        """One look at the board: takes answers, sends a marker again that nobody answers, and gives up where that is due."""
        self._listener.poll()
        self._hear()
        silent = min(self._listener.quiet_s, time.monotonic() - self._last_marker)
        overdue_s = (self.elapsed_us - self.end_us) / US_PER_S
        stalled = self._deadline.seconds is None and min(self._listener.quiet_s, overdue_s) > STALLED_S
        if self._deadline.over or stalled:
            raise self._timeout()
        if len(self._markers) and silent > PATIENCE_S and overdue_s >= 0:
            self._mark(again=True)

    def _timeout(self) -> DeviceTimeoutError:
        allowed = self._deadline.seconds
        unanswered = len(self._markers)
        missing = (
            (f"answers to {unanswered} of {self._markers.sent} markers" if unanswered else "the end of the run's time")
            + f"; {self.sent:,} events were sent, the last output is of {self._listener.heard.last_t:,} us, the run goes up to "
            f"{self.end_us:,} us so far, and {self.elapsed_us:,} us have passed"
        )
        limit = f"allowed were {allowed} s" if allowed is not None else f"and the board has been silent for {STALLED_S:g} s"
        return DeviceTimeoutError(
            f"{self._link.name}: the run took {self._deadline.taken:.1f} s, {limit}; missing: {missing}; allow more, or send fewer events",
            missing,
        )
