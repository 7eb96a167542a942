"""HDF5 by h5py, in the layouts that are about: a group `events` of columns (DSEC, evutils), or one structured data set.

Structured ones are looked for at `CD/events` (Prophesee) and `events`. `t_offset` (DSEC) is added to the times. Data compressed with
Blosc or other filters need the package hdf5plugin, those of Prophesee's own ECF filter the vendor's plugin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chipflow.events.array import EVENT_DTYPE, EventArray
from chipflow.events.formats.base import Block, Damaged, Format, Head, Notes, Size, refused
from chipflow.events.formats.columns import columns_of, unsigned
from chipflow.events.formats.libraries import failures, h5py

_MAGIC = b"\x89HDF\r\n\x1a\n"
_PLACES = ("CD/events", "events")
_ROWS_CHUNK = 1 << 16


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Opens a file.

    Raises:
        EventFileError: no h5py, a file that HDF5 cannot open (nothing of it can be kept), or another layout.
    """
    library = h5py()
    try:
        with failures():
            file = library.File(path, "r")
    except Damaged as error:
        raise refused(path, f"truncated or damaged HDF5 file, of which nothing can be kept ({error})") from None
    try:
        with failures():
            columns, offset = _columns(path, file), _number(file.get("t_offset")) or _number(file.attrs.get("t_offset"))
            notes.size = _size(file)
    except Damaged as error:
        file.close()
        raise refused(path, f"damaged HDF5 file, of which nothing can be kept ({error})") from None
    except BaseException:
        file.close()
        raise
    return unsigned(_blocks(file, columns, offset, notes))


def _columns(path: Path, file: Any) -> dict[str, Any]:
    """Views of the columns that can be cut, by their names here."""
    place = next((place for place in _PLACES if place in file), None)
    if place is None:
        raise refused(path, f"HDF5 with neither {' nor '.join(_PLACES)}, found {', '.join(file) or 'nothing'}")
    found = file[place]
    names: list[str] = list((found.dtype.names or ()) if hasattr(found, "dtype") else found)
    columns = {name: _Column(found, column) for name, column in columns_of(path, names).items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise refused(path, f"HDF5 columns of events must have one length, found {lengths}")
    return columns


class _Column:
    """One column, of a structured data set or a data set of its own."""

    def __init__(self, source: Any, name: str) -> None:
        structured = hasattr(source, "dtype")
        self._source = source.fields(name) if structured else source[name]
        self._length = len(source) if structured else len(source[name])

    def __len__(self) -> int:
        return self._length

    def part(self, start: int, stop: int) -> Any:
        return np.asarray(self._source[start:stop])


def _blocks(file: Any, columns: Mapping[str, _Column], offset: int, notes: Notes) -> Iterator[Block]:
    with file:
        for start in range(0, len(columns["t"]), notes.chunk_events):
            with failures():
                parts = {name: column.part(start, start + notes.chunk_events) for name, column in columns.items()}
                if parts["t"].dtype.kind in "iu":  # others are refused later
                    parts["t"] = parts["t"].astype(np.int64) + offset
            yield Block(**parts)


def _number(value: Any) -> int:
    return 0 if value is None else int(np.asarray(value).reshape(-1)[0])


def _size(file: Any) -> Size | None:
    width, height = (_number(file.attrs.get(name)) for name in ("width", "height"))
    return (width, height) if width and height else None


def write(path: Path, chunks: Iterator[EventArray], size: Size | None) -> None:
    """Writes a group `events` of compressed columns, chunk by chunk, and the size as attributes."""
    with h5py().File(path, "w") as file:
        if size is not None:
            file.attrs["width"], file.attrs["height"] = size
        group, rows = file.create_group("events"), 0
        for chunk in chunks:
            _append(group, chunk, rows)
            rows += len(chunk)
        if not rows:
            _append(group, np.empty(0, EVENT_DTYPE), 0)


def _append(group: Any, chunk: EventArray, rows: int) -> None:
    for name in chunk.dtype.names or ():
        if name not in group:
            group.create_dataset(
                name, (0,), chunk.dtype[name], maxshape=(None,), chunks=(_ROWS_CHUNK,), compression="gzip", shuffle=True
            )
        group[name].resize(rows + len(chunk), axis=0)
        group[name][rows:] = chunk[name]


def _is_hdf5(head: Head) -> bool:
    return head.start.startswith(_MAGIC)


FORMATS = (Format("hdf5", "HDF5", read, _is_hdf5, write, (".h5", ".hdf5")),)
