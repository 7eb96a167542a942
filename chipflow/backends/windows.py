"""A run cut into windows of time: what was given, in pieces of any length, comes out window by window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from chipflow.errors import DeviceError, EventError
from chipflow.events.array import EventArray, describe
from chipflow.events.readings import US_PER_S

MOST_WINDOWS_BEFORE_FIRST_EVENT = 1_000_000


@dataclass(frozen=True)
class Window:
    """Events of one window of time, as given: one array or several, which follow each other.

    Attributes:
        start_us, end_us: microseconds from the start of the run; the end is not in it.
        pieces: events with start_us <= t < end_us.
        whole: time goes on to its end; False: the run ends with its last event.
    """

    start_us: int
    end_us: int
    pieces: tuple[EventArray, ...] = ()
    whole: bool = True

    @property
    def sent(self) -> int:
        """How many events there are."""
        return sum(len(piece) for piece in self.pieces)


@dataclass(frozen=True)
class Windows:
    """How a run is cut.

    Attributes:
        chunk_us: length of a window; the last one may be shorter.
        end_us: where the last window ends; None: the one with the last event is the last.
    """

    chunk_us: int
    end_us: int | None = None

    @staticmethod
    def of(seconds: float | None, chunk_us: int) -> Windows:
        """Windows of a run of so many seconds.

        Raises:
            DeviceError: a length that is not positive.
        """
        if isinstance(chunk_us, bool) or chunk_us != int(chunk_us) or chunk_us < 1:
            raise DeviceError(f"chunk_us is the length of a window, in whole microseconds from 1, found {chunk_us!r}")
        return Windows(int(chunk_us), None if seconds is None else microseconds(seconds))

    def cut(self, arrays: Iterable[EventArray]) -> Iterator[Window]:
        """Windows one after the other from 0, empty ones too; each as soon as an event after it, or the end, is seen.

        Args:
            arrays: events ascending in t, also from array to array; those from `end_us` on are left.

        Raises:
            EventError: the first event comes more than a million windows after 0.
        """
        pieces: list[EventArray] = []
        window = self._window(0)
        for array in arrays:
            _check_first(array, window, self.chunk_us)
            while len(array):
                inside = int(np.searchsorted(array["t"], window.end_us))
                pieces.append(array[:inside])
                array = array[inside:]
                if len(array):
                    yield _filled(window, pieces)
                    if window.end_us == self.end_us:
                        return
                    window, pieces = self._window(window.end_us), []
        yield from self._rest(window, pieces)

    def _rest(self, window: Window, pieces: list[EventArray]) -> Iterator[Window]:
        """After the last event."""
        if self.end_us is not None or any(map(len, pieces)):
            yield replace(_filled(window, pieces), whole=self.end_us is not None)
        while self.end_us is not None and window.end_us < self.end_us:
            window = self._window(window.end_us)
            yield window

    def _window(self, start: int) -> Window:
        end = start + self.chunk_us
        return Window(start, end if self.end_us is None else min(end, self.end_us))


def microseconds(seconds: float) -> int:
    """Seconds of the chip's time as whole microseconds.

    Raises:
        DeviceError: not a number, or not at least a microsecond.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | np.number) or not math.isfinite(seconds):
        raise DeviceError(f"seconds is a number above 0, found {seconds!r}")
    found = round(float(seconds) * US_PER_S)
    if found < 1:
        raise DeviceError(f"seconds is a number above 0, at least a microsecond, found {seconds!r}")
    return found


def pieces_of(events: Any) -> Iterable[Any]:
    """The event arrays in what `Device.stream` takes: one of them, or an iterable of such."""
    if isinstance(events, list | tuple):
        found = cast("list[Any]", events)
        return found if all(isinstance(item, np.ndarray | Mapping) for item in found) else [events]
    one = isinstance(events, np.ndarray | Mapping) or hasattr(events, "columns") or hasattr(events, "numpy")
    return events if isinstance(events, Iterable) and not one else [events]


def checked(arrays: Iterable[Any], check: Callable[[Any, int | None], EventArray]) -> Iterator[EventArray]:
    """Event arrays one after the other, each checked when it is wanted.

    Args:
        check: called with an array and the time of the last event before it, in microseconds, None if there was none.
    """
    last: int | None = None
    for array in arrays:
        found = check(array, last)
        last = int(found["t"][-1]) if len(found) else last
        yield found


def _filled(window: Window, pieces: list[EventArray]) -> Window:
    return replace(window, pieces=tuple(piece for piece in pieces if len(piece)))


def _check_first(array: EventArray, window: Window, chunk_us: int) -> None:
    """An epoch time stamp would be preceded by windows for days."""
    if window.start_us == 0 and len(array) and int(array["t"][0]) // chunk_us > MOST_WINDOWS_BEFORE_FIRST_EVENT:
        raise EventError(
            f"{describe(array, 0)} comes more than {MOST_WINDOWS_BEFORE_FIRST_EVENT} windows of {chunk_us} us after 0: an epoch time "
            "stamp? Shift the recording with chipflow.events.rebase_time(events)",
            0,
        )
