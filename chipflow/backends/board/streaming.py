"""A run on a board, handed out window by window."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import count
from typing import Any

import numpy as np

from chipflow.backends.base import Runnable
from chipflow.backends.board.heard import Heard
from chipflow.backends.board.running import Loaded, Running
from chipflow.backends.board.sending import Batch, Sender
from chipflow.backends.collected import by_layer
from chipflow.backends.layers import one_input
from chipflow.backends.windows import Window, Windows, checked, pieces_of
from chipflow.events.array import EVENT_DTYPE
from chipflow.events.readings import StreamChunk
from chipflow.events.result import Accounting

NO_TIMES = np.empty(0, np.int64)


class BoardStream:
    """A run under way. A window is handed out when the next one is through, or the run is over, so that its spikes have come.

    Args:
        running: the run.
        batches: each window is a batch or several, the last of which has it.
        loaded: what runs.
        heard: what the board has said.
    """

    def __init__(self, running: Running, batches: Iterable[Batch], loaded: Loaded, heard: Heard) -> None:
        self.running, self._loaded, self._heard = running, loaded, heard
        self._played = running.play(batches)
        self._waiting: Window | None = None
        self._before, self._ticks = Accounting(), 0

    @property
    def from_sensor(self) -> bool:
        """Whether the chip's own pixels are on."""
        return self._loaded.config.dvs_layer.pass_sensor_events

    def next_chunk(self) -> StreamChunk | None:
        """Of the next window; None: the run is over."""
        done = self._waiting or self._next_window()
        if done is None:
            return None
        self._waiting = self._next_window()
        last = self._waiting is None and not self.from_sensor  # the sensor goes on after the end
        return self._chunk(done, self.running.limit_us if last else done.end_us)

    def end(self) -> None:
        """Stops the clocks, if the run is not over."""
        self._played.close()

    def _next_window(self) -> Window | None:
        return next((batch.window for batch in self._played if batch.window is not None), None)

    def _chunk(self, window: Window, before: int | None) -> StreamChunk:
        events = by_layer(self._heard.take_spikes(self.running.ranks, before), self._loaded.runnable)
        readout = self.running.readout(before, self._ticks) if self._loaded.config.readout.enable else None
        self._ticks += 0 if readout is None else len(readout.values)
        then, now = self._before, self.running.accounting
        self._before = now
        return StreamChunk(
            window.start_us,
            window.end_us,
            events,
            sent=window.sent,
            late=now.late - then.late,
            lost=now.lost - then.lost,
            raw=self._heard.take_raw(before),
            readout=readout,
        )


def sent_batches(sender: Sender, runnable: Runnable, events: Any, windows: Windows) -> Iterator[Batch]:
    """Windows of given events, which are checked at once where they are there as a whole.

    Raises:
        EventError: events that cannot be used.
    """
    pieces = pieces_of(events)
    arrays = checked(pieces, lambda array, after: sender.checked(one_input(runnable, array), after=after))
    found = list(arrays) if isinstance(pieces, list | tuple) else arrays
    return _batches(sender, windows.cut(found))


def _batches(sender: Sender, windows: Iterable[Window]) -> Generator[Batch]:
    for window in windows:
        given = np.concatenate(window.pieces) if window.pieces else np.empty(0, EVENT_DTYPE)
        yield from sender.batches(given, window.end_us - 1 if window.whole else None, window)


def sensor_batches(windows: Windows) -> Generator[Batch]:
    """Windows in which nothing is sent, by the host's clock; the last one ends with the run."""
    for start in count(0, windows.chunk_us):
        end = start + windows.chunk_us if windows.end_us is None else min(start + windows.chunk_us, windows.end_us)
        if start >= end:
            return
        yield Batch((), NO_TIMES, end, marked=False, window=Window(start, end))
