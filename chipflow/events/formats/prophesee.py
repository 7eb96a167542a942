"""DAT, EVT 2 and EVT 3 of Prophesee: a text header with `%`, then little-endian words of 64, 32 or 16 bits.

Layouts as published by Prophesee (docs.prophesee.ai, data encoding formats). They are decoded here, since the packages that read them
change the times of a recording that is not in order: faery 0.7.1 holds them back in DAT and EVT 3, and takes them for a wrap in EVT 2.
Coordinates are as stored: (0, 0) is the upper left corner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from chipflow.events.formats.base import Block, Damaged, Format, Head, Notes, Size, refused
from chipflow.events.formats.evt3 import Evt3
from chipflow.events.formats.records import Held, Unwrapped, bit_fields, records
from chipflow.events.formats.text_header import header_lines
from chipflow.events.formats.writing import faery_writer

_MARK = b"%"
_GEOMETRY = re.compile(r"% geometry (\d+)x(\d+)|% format \w+;.*?width=(\d+);height=(\d+)")
_OTHER_EVT = re.compile(r"% (?:evt|format EVT)\s*(\d[.\d]*)", re.IGNORECASE)


class _Words(NamedTuple):
    """How the words of a format are read.

    Attributes:
        dtype: of a word.
        decoder: makes what decodes them, one array after the other.
    """

    dtype: npt.DTypeLike
    decoder: Callable[[Notes], Callable[[npt.NDArray[np.void]], Iterator[Block]]]


def read(path: Path, notes: Notes, kind: str) -> Iterator[Block]:
    """Opens a file of `kind`: "dat", "evt2" or "evt3".

    Raises:
        EventFileError: a header that is cut, or that tells of what is not read here.
    """
    with path.open("rb") as file:
        lines = header_lines(path, file, _MARK, b"% end")
        if kind == "dat":
            _check_dat(path, lines, file)
        start = file.tell()
    if any("endianness big" in line for line in lines):
        raise refused(path, "big-endian words are not read: convert it with Metavision first")
    notes.size = _size(lines)
    return _blocks(path, start, _WORDS[kind], notes)


def _check_dat(path: Path, lines: list[str], file: BinaryIO) -> None:
    """The header's version, and the two bytes behind it: type and size of the events."""
    version = next((line.removeprefix("% Version").strip() for line in lines if line.startswith("% Version ")), "2")
    if version != "2":
        raise refused(path, f"DAT of version {version} is not read, only version 2: convert it with Metavision first")
    kind = file.read(2)
    if len(kind) < 2:
        raise refused(path, "truncated or damaged inside the header, no events to be had")
    if kind[0] not in _DAT_EVENTS or kind[1] != np.dtype(_DAT).itemsize:
        holds = "triggers" if kind[0] == _DAT_TRIGGERS else f"events of type {kind[0]} in {kind[1]} bytes"
        raise refused(path, f"this DAT file holds {holds}, not events of a sensor")


def _size(lines: list[str]) -> Size | None:
    found = next((match for line in lines if (match := _GEOMETRY.search(line))), None)
    if found:
        width, height = (int(group) for group in found.groups() if group)
        return width, height
    named = {name: int(value) for line in lines for name, value in re.findall(r"^% (Width|Height) (\d+)$", line)}
    return (named["Width"], named["Height"]) if len(named) == 2 else None


def _blocks(path: Path, start: int, words: _Words, notes: Notes) -> Iterator[Block]:
    decoded = words.decoder(notes)
    with path.open("rb") as file:
        file.seek(start)
        for found in records(file, words.dtype, notes.chunk_events):
            yield from decoded(found)


_DAT = [("t", "<u4"), ("data", "<u4")]
_DAT_LAYOUT = "p:4 y:14 x:14"
_DAT_EVENTS, _DAT_TRIGGERS = b"\x00\x0c", 0x28


class _Dat:
    def __init__(self, _notes: Notes) -> None:
        self._times = Unwrapped()

    def __call__(self, found: npt.NDArray[np.void]) -> Iterator[Block]:
        fields = bit_fields(found["data"], _DAT_LAYOUT)
        wrong = fields["p"] > 1
        good = int(np.argmax(wrong)) if wrong.any() else len(found)
        yield Block(fields["x"], fields["y"], self._times(found["t"]), fields["p"]).part(0, good)
        if good < len(found):
            raise Damaged(f"an event has polarity {fields['p'][good]}, only 0 and 1 exist")


_EVT2_EVENT, _EVT2_TIME = "type:4 low:6 x:11 y:11", "type:4 high:28"
_EVT2_TIME_HIGH, _EVT2_TRIGGER, _EVT2_OTHERS = 0x8, 0xA, tuple(b"\x0e\x0f")
_EVT2_LOW_BITS, _EVT2_HIGH_BITS = 6, 28
_EVT2_TYPE_AT = _EVT2_HIGH_BITS


class _Evt2:
    """The 28 high bits of the time come in words of their own and hold until the next; the events have the 6 low ones."""

    def __init__(self, notes: Notes) -> None:
        self._notes, self._unwrapped, self._high = notes, Unwrapped(_EVT2_HIGH_BITS), Held(-1)

    def __call__(self, found: npt.NDArray[np.void]) -> Iterator[Block]:
        words, unknown = self._known(found["word"])
        kind = words >> _EVT2_TYPE_AT
        is_high, is_event = kind == _EVT2_TIME_HIGH, kind <= 1
        high = self._high(self._unwrapped(bit_fields(words[is_high], _EVT2_TIME)["high"]), is_high)[is_event]
        timed = high >= 0
        self._notes.skip("events before the first time", int(np.count_nonzero(~timed)))
        fields = bit_fields(words[is_event][timed], _EVT2_EVENT)
        yield Block(fields["x"], fields["y"], (high[timed] << _EVT2_LOW_BITS) + fields["low"], fields["type"])
        if unknown:
            raise Damaged(unknown)

    def _known(self, words: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.uint32], str]:
        """The words before the first of a type that does not exist, and what is wrong with that one; counts what else is no event."""
        kind = words >> _EVT2_TYPE_AT
        places = np.flatnonzero((kind > 1) & (kind != _EVT2_TIME_HIGH))
        others = kind[places]
        unknown = np.flatnonzero(~np.isin(others, (_EVT2_TRIGGER, *_EVT2_OTHERS)))
        stop = int(unknown[0]) if len(unknown) else len(others)
        self._notes.skip("triggers", int(np.count_nonzero(others[:stop] == _EVT2_TRIGGER)))
        self._notes.skip("words of the vendor", int(np.count_nonzero(others[:stop] != _EVT2_TRIGGER)))
        return (words[: places[stop]], f"a word of type {others[stop]:#x}, which does not exist") if len(unknown) else (words, "")


_WORDS = {
    "dat": _Words(_DAT, _Dat),
    "evt2": _Words([("word", "<u4")], _Evt2),
    "evt3": _Words([("word", "<u2")], Evt3),
}


def _is_dat(head: Head) -> bool:
    """By what the vendor's, or else faery's, first lines say; both have no version of EVT."""
    said = any(line.startswith((b"% Data file containing", b"% Version ")) for line in head.lines)
    return head.start.startswith(_MARK) and said and not evt_version(head)


def evt_version(head: Head) -> str:
    """The version of EVT in a Prophesee header, "2.0" or "3"; "" for another file."""
    lines = [line.decode("latin-1") for line in head.lines if line.startswith(_MARK)]
    found = next((match for line in lines if (match := _OTHER_EVT.match(line))), None)
    return found.group(1) if found and head.start.startswith(_MARK) else ""


def _is_evt(head: Head, versions: tuple[str, ...]) -> bool:
    return evt_version(head) in versions


FORMATS = (
    Format("dat", "Prophesee DAT", partial(read, kind="dat"), _is_dat, faery_writer("DAT", "dat", "dat2"), (".dat",)),
    Format(
        "evt2",
        "Prophesee EVT 2",
        partial(read, kind="evt2"),
        partial(_is_evt, versions=("2.0", "2")),
        faery_writer("EVT 2", "evt", "evt2"),
        (".raw",),
    ),
    Format("evt3", "Prophesee EVT 3", partial(read, kind="evt3"), partial(_is_evt, versions=("3.0", "3"))),
)
