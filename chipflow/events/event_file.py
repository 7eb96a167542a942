"""A recording being read: chunks of equal size, in order, up to the end or the first fault."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from chipflow.errors import EventError, EventFileError
from chipflow.events.array import EVENT_DTYPE, EventArray
from chipflow.events.formats.base import Block, Damaged, Format, Notes, Size
from chipflow.events.formats.checks import joined, usable

OnDamage = Literal["error", "keep"]
"""What happens at the first place where a file is damaged or an event cannot be used: an error, or the end, told by `EventFile.damage`."""


def counted(events: int) -> str:
    """So many events, in words."""
    return f"{events:,} event{'' if events == 1 else 's'}"


BEFORE_ALL = int(np.iinfo(np.int64).min)
"""A time before that of any event, in microseconds."""


class EventFile:
    """A recording being read: a context manager and an iterator of event arrays, each going on in time where the last one ended.

    Attributes:
        path: of the file.
        format: its format.
        read: events given so far.
        damage: what was wrong with the file, with `on_damage="keep"`; "" where nothing was, so far.
        dtype: of the arrays.
    """

    def __init__(self, path: Path, format: Format, on_damage: OnDamage, sort: bool, chunk_events: int) -> None:
        self.path, self.format = path, format
        self.read, self.damage, self.dtype = 0, "", EVENT_DTYPE
        self._keep = on_damage == "keep"
        self._fault: EventFileError | None = None
        self._notes = Notes(chunk_events)
        self._blocks = format.read(path, self._notes)
        self._chunks = _even(self._in_order() if sort else self._usable(), chunk_events)

    @property
    def size(self) -> Size | None:
        """Width and height of the sensor; None where the file does not tell."""
        return self._notes.size

    @property
    def skipped(self) -> dict[str, int]:
        """What else the file held and was passed over, so far: name -> count."""
        return dict(self._notes.skipped)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End reading."""
        for part in (self._chunks, self._blocks):
            if isinstance(part, Generator):
                part.close()

    def __iter__(self) -> Iterator[EventArray]:
        return self

    def __next__(self) -> EventArray:
        """The next events, at most `chunk_events`.

        Raises:
            EventFileError: the file is damaged here, or an event cannot be used; `.read` says how many came before.
        """
        chunk = next(self._chunks, None)
        if chunk is None:
            self._tell_fault()
            raise StopIteration
        self.read += len(chunk)
        return chunk

    def _usable(self) -> Iterator[EventArray]:
        """What can be used, until the end or the first fault, which is kept for later."""
        count, last = 0, BEFORE_ALL
        for block in self._until_damage():
            events, fault = self._checked(block, last)
            self.dtype = events.dtype
            if len(events):
                last = int(events["t"][-1])
                yield events
            if fault is not None:
                index = count + len(events)
                self._fault = EventFileError(
                    str(fault).replace(f"event {fault.index}", f"event {index}", 1), str(self.path), index, index
                )
                return
            count += len(events)

    def _checked(self, block: Block, last: int) -> tuple[EventArray, EventError | None]:
        try:
            return usable(block, last, self.size)
        except EventError as error:
            raise EventFileError(f"{self.path}: {error}", str(self.path), self.read) from None

    def _until_damage(self) -> Iterator[Block]:
        try:
            yield from self._blocks
        except (Damaged, OSError) as error:
            self._fault = EventFileError(f"the {self.format.title} file is damaged: {error}", str(self.path))
        except EventError as error:
            self._fault = EventFileError(str(error), str(self.path), index=error.index)

    def _in_order(self) -> Iterator[EventArray]:
        blocks = list(self._until_damage())
        self._blocks = iter((joined(blocks),) if blocks else ())
        yield from self._usable()

    def _tell_fault(self) -> None:
        """At the end: whether it came too early."""
        if self._fault is None:
            return
        if self._keep:
            self.damage = str(self._fault)
            return
        kept = f'{counted(self.read)} before that can be had with on_damage="keep"' if self.read else "no events before that"
        raise EventFileError(f"{self.path}: {self._fault}; {kept}", str(self.path), self.read, self._fault.index)


def _even(arrays: Iterator[EventArray], most: int) -> Iterator[EventArray]:
    """The same events in chunks of `most`, the last one smaller."""
    held: list[EventArray] = []
    room = most
    for events in arrays:
        rest = events
        while len(rest) >= room:
            held.append(rest[:room])
            rest = rest[room:]
            yield _joined(held)
            held, room = [], most
        if len(rest):
            held.append(rest)
            room -= len(rest)
    if held:
        yield _joined(held)


def _joined(arrays: list[EventArray]) -> EventArray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
