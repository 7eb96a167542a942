"""Windows of recordings, and coarser ones: pure functions of events, which can be given a recording chunk by chunk.

Sizes are (width, height), as recordings say them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chipflow.errors import EventError
from chipflow.events.array import EventArray, as_events

Range = tuple[int | None, int | None]
"""From the first value to before the second; None: no bound."""
Size = tuple[int, int]
"""(width, height) of a sensor."""

EVERYTHING: Range = (None, None)


def crop(events: Any, *, x: Range = EVERYTHING, y: Range = EVERYTHING, t: Range = EVERYTHING, rebase: bool = True) -> EventArray:
    """The events inside a window of the sensor and of time, in their order.

    Args:
        events: whatever `as_events` takes.
        x: pixels, the second of the pair not included.
        y: likewise.
        t: microseconds, likewise.
        rebase: count x, y and t from where the window starts, as a network of its size wants them.

    Raises:
        EventError: a range that starts below 0 or holds nothing; events that cannot be used.

    Returns:
        A new array.
    """
    array, window = as_events(events), {"x": x, "y": y, "t": t}
    inside = np.ones(len(array), np.bool_)
    for name, (start, stop) in window.items():
        check_range(name, start, stop)
        inside &= True if start is None else array[name] >= start
        inside &= True if stop is None else array[name] < stop
    kept = array[inside]
    if rebase and kept.size:
        for name, (start, _) in window.items():
            kept[name] -= start or 0
    return kept


def check_range(name: str, start: int | None, stop: int | None) -> None:
    """Refuses a range that starts below 0 or holds nothing, as an EventError."""
    low = start or 0
    if low < 0 or (stop is not None and stop <= low):
        raise EventError(f"the range {name} = {low}..{stop} holds nothing: give a start from 0, and a stop above it")


def cropped_size(size: Size, *, x: Range = EVERYTHING, y: Range = EVERYTHING, rebase: bool = True) -> Size:
    """Size of what `crop` keeps of a sensor of this size; without `rebase` the sensor's own."""
    if not rebase:
        return size
    width, height = (max(0, min(whole, whole if b is None else b) - (a or 0)) for whole, (a, b) in zip(size, (x, y), strict=True))
    return width, height


def downsample(events: Any, factor: int | tuple[int, int]) -> EventArray:
    """Every event at the coarser pixel that its own is part of: x // factor, y // factor, as the sensor's pooling numbers them.

    None is dropped, also not those of an incomplete last row or column, which a chip's pooling drops.

    Args:
        events: whatever `as_events` takes.
        factor: of both axes, or (of x, of y).

    Raises:
        EventError: a factor below 1, or events that cannot be used.

    Returns:
        A new array.
    """
    coarser = as_events(events).copy()
    for name, by in zip("xy", _factors(factor), strict=True):
        coarser[name] //= by
    return coarser


def downsampled_size(size: Size, factor: int | tuple[int, int]) -> Size:
    """Size of what `downsample` makes of a sensor of this size; an incomplete last row or column counts."""
    width, height = (-(-whole // by) for whole, by in zip(size, _factors(factor), strict=True))
    return width, height


def _factors(factor: int | tuple[int, int]) -> tuple[int, int]:
    x, y = factor if isinstance(factor, tuple) else (factor, factor)
    if min(x, y) < 1:
        raise EventError(f"a recording is made coarser by whole factors from 1, found {factor}")
    return x, y
