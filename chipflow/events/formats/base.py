"""What a format is, and what passes between its reader and the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from chipflow.errors import EventFileError
from chipflow.events.array import EventArray

Size = tuple[int, int]
"""Width and height of a sensor."""


class Block(NamedTuple):
    """Columns of some events as a file holds them; times in microseconds, of any integer dtype, perhaps out of order."""

    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    t: npt.NDArray[Any]
    p: npt.NDArray[Any]
    layer: npt.NDArray[Any] | None = None

    def part(self, start: int, stop: int) -> Block:
        """The events from `start` up to, not including, `stop`."""
        layer = None if self.layer is None else self.layer[start:stop]
        return Block(self.x[start:stop], self.y[start:stop], self.t[start:stop], self.p[start:stop], layer)


class Damaged(Exception):  # noqa: N818 - a state of the file, which becomes an EventFileError or `EventFile.damage`
    """The file is wrong from here on; what was given before is good."""


@dataclass
class Notes:
    """What a reader learns beside the events.

    Attributes:
        size: width and height where the file tells them.
        skipped: packets or words of other kinds that were passed over, by name.
        chunk_events: the most events that a block should have.
    """

    chunk_events: int
    size: Size | None = None
    skipped: Counter[str] = field(default_factory=Counter[str])

    def skip(self, what: str, count: int = 1) -> None:
        """Count what is passed over."""
        if count:
            self.skipped[what] += count


@dataclass(frozen=True)
class Head:
    """The beginning of a file, for recognition.

    Attributes:
        start: its first bytes.
        length: bytes of the whole file.
    """

    start: bytes
    length: int

    @property
    def lines(self) -> list[bytes]:
        """The lines of a text header, as far as they are in `start`."""
        return self.start.split(b"\n")


@dataclass(frozen=True)
class Format:
    """One format of event files.

    Attributes:
        name: the name that `format=` takes.
        title: its name in messages.
        read: opens a file; raises `EventFileError` at once, `Damaged` from the iterator.
        recognises: whether a file begins like one; None where it cannot be told.
        write: writes chunks in time order; None where files are only read.
        extensions: of files that are written, the usual one first.
    """

    name: str
    title: str
    read: Callable[[Path, Notes], Iterator[Block]]
    recognises: Callable[[Head], bool] | None = None
    write: Callable[[Path, Iterator[EventArray], Size | None], None] | None = None
    extensions: tuple[str, ...] = ()


def refused(path: Path, why: str) -> EventFileError:
    """The error for a file that is not read at all."""
    return EventFileError(f"{path}: {why}", str(path))
