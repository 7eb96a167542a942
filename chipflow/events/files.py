"""Event files: recordings read chunk by chunk, whatever their format, and written so that only a complete file appears."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError
from chipflow.events.array import EventArray, as_events
from chipflow.events.event_file import BEFORE_ALL, EventFile, OnDamage, counted
from chipflow.events.formats.base import Size, refused
from chipflow.events.formats.registry import FORMATS, for_writing, named, recognise
from hwconfig.replacing import replacing

__all__ = ["FORMATS", "EventFile", "OnDamage", "load_events", "open_events", "save_events"]

EVENTS_CHUNK = 1 << 18


def open_events(
    path: str | Path,
    *,
    format: str | None = None,
    on_damage: OnDamage = "error",
    sort: bool = False,
    chunk_events: int = EVENTS_CHUNK,
) -> EventFile:
    """Open a recording, to be read chunk by chunk in bounded memory.

    Args:
        path: of the file; its first bytes tell the format, its name does not.
        format: a name in `FORMATS`, for files that cannot be told by their first bytes.
        on_damage: at a damaged place, or an event that cannot be used: "error" raises after the events before it, "keep" ends there and
            says why in `.damage`.
        sort: read everything into memory and give it in the order of time, equal times in the file's order; without it, a time that
            descends is a fault.
        chunk_events: events in a chunk, the last one may be smaller. npz files are read whole in any case.

    Returns:
        A context manager and iterator: `with open_events(path) as recording: for events in recording: ...`

    Raises:
        EventError: arguments that do not exist.
        EventFileError: no such file, an empty one, no known format, a damaged header, or a package that is needed and missing.
    """
    if on_damage not in ("error", "keep"):
        raise EventError(f'on_damage must be "error" or "keep", found {on_damage!r}')
    if chunk_events < 1:
        raise EventError(f"chunk_events must be 1 or more, found {chunk_events}")
    target = Path(path)
    if not target.is_file():
        raise refused(target, "a directory, not a file" if target.is_dir() else "no such file")
    try:
        if not target.stat().st_size:
            raise refused(target, "an empty file")
        return EventFile(target, recognise(target) if format is None else named(format), on_damage, sort, chunk_events)
    except OSError as error:
        raise refused(target, f"cannot be read ({error.strerror})") from None


def load_events(path: str | Path, *, format: str | None = None, on_damage: OnDamage = "error", sort: bool = False) -> EventArray:
    """All events of a recording of any format in `FORMATS`; the arguments are those of `open_events`.

    Raises:
        EventError, EventFileError: as `open_events` and its iterator.

    Warns:
        UserWarning: with "keep", what was wrong; `EventFile.damage` has it without a warning.
    """
    with open_events(path, format=format, on_damage=on_damage, sort=sort) as file:
        chunks = list(file)
        if file.damage:
            warnings.warn(f"{path}: {file.damage}; kept {counted(file.read)} before that", stacklevel=2)
        return np.concatenate(chunks) if chunks else np.empty(0, file.dtype)


def save_events(
    path: str | Path,
    events: npt.ArrayLike | Iterable[npt.NDArray[Any]] | EventFile,
    *,
    format: str | None = None,
    size: Size | None = None,
) -> None:
    """Write events to `path`, as it is named; an existing file is replaced only by a complete new one.

    Args:
        path: of the file.
        events: an event array, or chunks of one in the order of time: a list or iterator, or an open `EventFile`. Chunks are written as
            they come, except to npz, which is gathered in memory.
        format: a name in `FORMATS`; None: by the extension, npz where it says nothing.
        size: width and height of the sensor, for the formats that hold it; None: that of the `EventFile`, else the smallest that holds an
            array's events.

    Raises:
        EventError: not events, chunks that go back in time, or events that the format cannot hold.
        EventFileError: a package that is needed and missing.
    """
    target = Path(path)
    chosen = for_writing(target, format)
    assert chosen.write is not None, "for_writing gives formats with a writer"
    with replacing(target) as beside:
        chosen.write(beside, _in_time(_chunks_of(events)), size or _size_of(events))


def _chunks_of(events: Any) -> Iterator[Any]:
    many = isinstance(events, EventFile | Iterator) or (
        isinstance(events, list | tuple) and all(_is_array(item) for item in events)
    )
    return iter(events) if many else iter((events,))


def _is_array(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype.names is not None


def _in_time(chunks: Iterator[Any]) -> Iterator[EventArray]:
    last = BEFORE_ALL
    for number, chunk in enumerate(chunks):
        events = as_events(chunk)
        if events.size:
            if int(events["t"][0]) < last:
                raise EventError(
                    f"chunk {number} begins at t = {events['t'][0]} us, after {last} us: give the chunks in the order of time", 0
                )
            last = int(events["t"][-1])
        yield events


def _size_of(events: Any) -> Size | None:
    if isinstance(events, EventFile):
        return events.size
    if not _is_array(events) or not events.size:
        return None
    return int(events["x"].max()) + 1, int(events["y"].max()) + 1
