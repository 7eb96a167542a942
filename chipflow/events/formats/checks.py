"""Which of the events that a file holds can be used: whole numbers in range, pixels of the sensor, times not descending."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError
from chipflow.events.array import EventArray, make_events
from chipflow.events.formats.base import Block, Size


def usable(block: Block, last: int, size: Size | None = None) -> tuple[EventArray, EventError | None]:
    """The events before the first that cannot be used, and what is wrong with that one; its `.index` counts in the block.

    Args:
        block: as a reader gave it.
        last: the time of the event before it, in microseconds.
        size: of the sensor, where the file tells it.

    Raises:
        EventError: columns that hold no whole numbers, or of unequal length.
    """
    fault = _descent(block.t, last)
    while True:
        wanted = block if fault is None else block.part(0, fault.index or 0)
        try:
            events = make_events(*wanted)
            beyond = _beyond(events, size)
            return (events, fault) if beyond is None else (events[: beyond.index], beyond)
        except EventError as error:
            if error.index is None:
                raise
            fault = error


def _descent(t: npt.NDArray[Any], last: int) -> EventError | None:
    if not t.size:
        return None
    descends = np.concatenate(([int(t[0]) < last], t[1:] < t[:-1]))
    if not descends.any():
        return None
    index = int(np.argmax(descends))
    before = t[index - 1] if index else last
    return EventError(
        f"event {index}: t = {t[index]} us comes after {before} us; sort=True reads the whole file in the order of time", index
    )


def _beyond(events: EventArray, size: Size | None) -> EventError | None:
    if size is None or not events.size:
        return None
    width, height = size
    wrong = (events["x"] >= width) | (events["y"] >= height)
    if not wrong.any():
        return None
    index = int(np.argmax(wrong))
    where = f"x = {events['x'][index]}, y = {events['y'][index]}"
    return EventError(f"event {index}: {where} is outside of the {width} x {height} pixels that the file tells", index)


def joined(blocks: list[Block]) -> Block:
    """Blocks in the order of time, equal times in the order of the file."""
    columns = [np.concatenate(parts) for parts in zip(*(block for block in blocks), strict=True) if parts[0] is not None]
    whole = Block(*columns)
    order = np.argsort(whole.t, kind="stable")
    return Block(*(column[order] for column in columns))
