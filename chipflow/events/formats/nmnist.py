"""N-MNIST .bin files, and the .bs2 of other collections: five bytes an event, no header.

x, y, then polarity in the top bit above a big-endian time of 23 bits in microseconds. A y of 240 is no event but a mark: the times
after it are later by 2^13 microseconds (event-Python, the data set's own reader). Coordinates are as stored: (0, 0) is the upper left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.events.formats.base import Block, Format, Head, Notes
from chipflow.events.formats.records import bit_fields, records

_RECORD = np.dtype([("x", "u1"), ("y", "u1"), ("high", "u1"), ("low", ">u2")])
_LAYOUT = "p:1 t:23"
_MARK_Y = 240
_STEP = 1 << 13  # microseconds that a mark stands for
_SIDE = 34  # of the N-MNIST sensor: only such files are recognised without being named
_ENOUGH = 20  # records that tell even where the file is cut inside one


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Opens a file."""
    return _blocks(path, notes)


def _blocks(path: Path, notes: Notes) -> Iterator[Block]:
    marks = 0
    with path.open("rb") as file:
        for found in records(file, _RECORD, notes.chunk_events):
            block = _decoded(found, marks)
            skipped = len(found) - len(block.t)
            notes.skip("marks of a time overflow", skipped)
            marks += skipped
            yield block


def _decoded(found: npt.NDArray[Any], marks: int) -> Block:
    """The events among these records, which come after as many marks."""
    fields = bit_fields((found["high"].astype(np.uint32) << 16) | found["low"], _LAYOUT)
    is_mark = found["y"] == _MARK_Y
    times = fields["t"].astype(np.int64) + _STEP * (marks + np.cumsum(is_mark))
    return Block(*(column[~is_mark] for column in (found["x"], found["y"], times, fields["p"])))


def _looks_like_nmnist(head: Head) -> bool:
    """Coordinates of the sensor, times that go on and hardly ever descend: neither chance, text nor zeros look like this."""
    whole = len(head.start) // _RECORD.itemsize
    if whole < _ENOUGH and (not whole or head.length % _RECORD.itemsize):
        return False
    block = _decoded(np.frombuffer(head.start, _RECORD, whole), 0)
    inside = (block.x < _SIDE) & (block.y < _SIDE)
    goes_on = len(block.t) > 1 and block.t[-1] > block.t[0]
    return goes_on and bool(inside.all()) and int(np.count_nonzero(np.diff(block.t) < 0)) <= whole // 100


FORMATS = (Format("n-mnist", "N-MNIST", read, _looks_like_nmnist),)
