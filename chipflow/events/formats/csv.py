"""csv: a first line with the columns' names, then whole numbers; times in microseconds.

The separator is a comma, semicolon, tab or space: the one by which the first line falls into the names of columns.
"""

from __future__ import annotations

import re
import warnings
from codecs import BOM_UTF8
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from chipflow.events.adapters import NAMES
from chipflow.events.array import EVENT_DTYPE, EventArray
from chipflow.events.formats.base import Block, Damaged, Format, Head, Notes, Size, refused
from chipflow.events.formats.columns import columns_of, unsigned

_SEPARATORS = (b",", b";", b"\t", b" ")
_TEXT = re.compile(rb"[\x20-\x7e\t\r\n]*")
_NUMBER = re.compile(r"[-+]?\d[\d.e+-]*")
_TELLING = 3  # names of columns by which a line of text is taken for that of a csv
_LONGEST_LINE = 1 << 16
_WORDS = {b"true": b"1", b"false": b"0"}


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Opens a file.

    Raises:
        EventFileError: the first line does not name the columns.
    """
    with path.open("rb") as file:
        first = _names_in(file.readline(_LONGEST_LINE))
    separator, given = _split(path, first)
    names = [name.partition("@")[0] for name in given]
    notes.size = _size(given)
    wanted = columns_of(path, names)
    places = {name: names.index(column) for name, column in wanted.items()}
    return unsigned(_blocks(path, notes, separator, places, len(names)))


def _names_in(line: bytes) -> bytes:
    """The first line without the marks that spreadsheets (of UTF-8) and numpy put before it."""
    return line.removeprefix(BOM_UTF8).lstrip(b"#").strip()


def _split(path: Path, line: bytes) -> tuple[bytes, list[str]]:
    separator = _separator(line)
    names = [part.strip().strip(b'"').decode("latin-1") for part in line.split(separator)]
    if not all(name[:1].isalpha() for name in names):
        raise refused(
            path, "csv without names of columns: which is which cannot be told; make the first line t,x,y,p in the file's order"
        )
    return separator, names


def _separator(line: bytes) -> bytes:
    return next((separator for separator in _SEPARATORS if separator in line), b",")


def _size(names: list[str]) -> Size | None:
    """faery writes the sensor's size beside the names: t,x@640,y@480,on."""
    told = [int(size) for name in names for size in name.split("@")[1:] if size.isdigit()]
    return (told[0], told[1]) if len(told) == 2 else None


def _blocks(path: Path, notes: Notes, separator: bytes, places: dict[str, int], width: int) -> Iterator[Block]:
    with path.open("rb") as file:
        file.readline(_LONGEST_LINE)
        while lines := list(islice(_lines(file), notes.chunk_events)):
            table, wrong = _parsed(lines, separator, width)
            yield Block(**{name: table[:, place] for name, place in places.items()})
            if wrong:
                raise Damaged(wrong)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_LONGEST_LINE):
        if line.strip():
            yield line


def _parsed(lines: list[bytes], separator: bytes, width: int) -> tuple[npt.NDArray[np.int64], str]:
    """The lines up to the first that is no event, and what is wrong with that one."""
    try:
        return _table(lines, separator, width), ""
    except ValueError:
        pass
    low, high = 0, len(lines)  # of the lines up to `low` all can be read, of those up to `high` not all
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _table(lines[low:middle], separator, width)
            low = middle
        except ValueError:
            high = middle
    shown = lines[low][:80].decode("latin-1").strip()
    return _table(
        lines[:low], separator, width
    ), f"{shown!r} is not a line of {width} whole numbers (times in whole microseconds)"


def _table(lines: list[bytes], separator: bytes, width: int) -> npt.NDArray[np.int64]:
    if not lines:
        return np.empty((0, width), np.int64)
    text = b"".join(lines)
    for word, number in _WORDS.items():
        if word in text.lower():
            text = text.lower().replace(word, number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = np.loadtxt(
            BytesIO(text), np.int64, delimiter=separator.decode() if separator.strip() else None, ndmin=2, comments=None
        )
    if table.shape != (len(lines), width):
        raise ValueError
    return table


def write(path: Path, chunks: Iterator[EventArray], _size: Size | None) -> None:
    """Writes t, x, y, p and, where there is one, layer, chunk by chunk."""
    with path.open("wb") as file:
        names: list[str] = []
        for chunk in chunks:
            if not names:
                names = _write_names(file, chunk.dtype)
            np.savetxt(file, _rows(chunk, names), "%d", ",")
        if not names:
            _write_names(file, EVENT_DTYPE)


def _write_names(file: BinaryIO, dtype: np.dtype[Any]) -> list[str]:
    names = [name for name in ("t", "x", "y", "p", "layer") if name in (dtype.names or ())]
    file.write(",".join(names).encode() + b"\n")
    return names


def _rows(chunk: EventArray, names: list[str]) -> npt.NDArray[np.int64]:
    return np.stack([chunk[name].astype(np.int64) for name in names], axis=1)


def _is_csv(head: Head) -> bool:
    """A first line with names of columns, or with nothing but numbers, which is refused when it is read."""
    first = _names_in(head.lines[0])
    if len(head.lines) < 2 or not _TEXT.fullmatch(first):
        return False
    parts = [part.strip(b' "').partition(b"@")[0].decode().lower() for part in first.split(_separator(first))]
    known = sum(part in names for part in parts for names in NAMES.values())
    return len(parts) > 1 and (known >= _TELLING or all(_NUMBER.fullmatch(part) for part in parts))


FORMATS = (Format("csv", "csv", read, _is_csv, write, (".csv",)),)
