"""A run of the emulator, window by window."""

from __future__ import annotations

from typing import Any

from chipflow.backends.collected import by_layer
from chipflow.backends.emulated.loaded import Loaded
from chipflow.backends.layers import one_input
from chipflow.backends.windows import Window, Windows, checked, pieces_of
from chipflow.events.array import EventArray
from chipflow.events.readings import StreamChunk


class Stream:
    """A run under way.

    Args:
        ready: what runs, from its states as they are.
        events: an event array or a list of them, which are checked at once, or any other iterable of such, checked one by one.
        windows: how the run is cut.

    Raises:
        EventError: events that cannot be used; here, or when they are needed.
    """

    def __init__(self, ready: Loaded, events: Any, windows: Windows) -> None:
        self._ready = ready
        pieces = pieces_of(events)
        arrays = checked(pieces, self._checked)
        self._windows = windows.cut(list(arrays) if isinstance(pieces, list | tuple) else arrays)
        self._ended = False

    def next_chunk(self) -> StreamChunk | None:
        """Of the next window; None: the run is over, and its states stay."""
        window = next(self._windows, None)
        if window is None:
            self._ready.emulator.finish()
            self._ended = True
            return None
        return self._run(window)

    def end(self) -> None:
        """Initial states, unless the run is over."""
        if not self._ended:
            self._ready.emulator.reset()

    def _run(self, window: Window) -> StreamChunk:
        emulator = self._ready.emulator
        for piece in window.pieces:
            emulator.feed(piece)
        taken = emulator.take(window.end_us - 1 if window.whole else None)
        events = by_layer(taken.events, self._ready.runnable)
        return StreamChunk(window.start_us, window.end_us, events, window.sent, raw=taken.raw, readout=taken.readout)

    def _checked(self, events: Any, after: int | None) -> EventArray:
        return self._ready.emulator.check(one_input(self._ready.runnable, events), after=after)
