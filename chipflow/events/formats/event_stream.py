"""Event Stream (.es): a binary header, then events of one or five bytes; decoded by faery.

faery does not tell that a file ends inside an event, so the events are counted through here too. Coordinates are as stored: (0, 0) is
the LOWER left corner in this format (faery's own command line turns y over, the package event_stream does not).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.events.formats.base import Block, Damaged, Format, Head, Notes, refused
from chipflow.events.formats.libraries import faery, failures
from chipflow.events.formats.writing import faery_writer

_MAGIC = b"Event Stream"
_HEADER = 20  # bytes: the magic, three of version, one of type, width and height in two each
_EVENT = 5  # bytes; one that only lets time pass has one
_ONLY_TIME = {"dvs": 0b1111_1110, "atis": 0b1111_1100}  # first bytes from here on


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Opens a file of a DVS, or of an ATIS, of which the exposure measurements are passed over.

    Raises:
        EventFileError: no faery, a header that cannot be read, or a file of other things than events of a sensor.
    """
    library = faery()
    try:
        with failures():
            decoder = library.es.Decoder(path, 0)
    except Damaged as error:
        raise refused(path, f"the Event Stream header is truncated or damaged, no events to be had ({error})") from None
    if decoder.event_type not in _ONLY_TIME:
        raise refused(path, f"this Event Stream file holds {decoder.event_type} events, only dvs and atis are read")
    notes.size = decoder.dimensions
    return _blocks(path, decoder, notes)


def _blocks(path: Path, decoder: Any, notes: Notes) -> Iterator[Block]:
    while (found := _next(decoder)) is not None:
        if decoder.event_type == "atis":
            notes.skip("exposure measurements", int(np.count_nonzero(found["exposure"])))
            found = found[~found["exposure"]]
        yield Block(found["x"], found["y"], found["t"], found["polarity" if decoder.event_type == "atis" else "on"])
    rest = bytes_into_an_event(path, _ONLY_TIME[decoder.event_type], notes.chunk_events)
    if rest:
        raise Damaged(f"the file ends {rest} bytes into an event of {_EVENT}")


def _next(decoder: Any) -> Any:
    with failures():
        return next(decoder, None)


def bytes_into_an_event(path: Path, only_time: int, most: int) -> int:
    """How many bytes of an unfinished event the file ends with, found by going through all of it."""
    over = 0  # bytes of an event that the block before began
    with path.open("rb") as file:
        file.seek(_HEADER)
        while data := file.read(most):
            over = _left_over(np.frombuffer(data, np.uint8), (_EVENT - over) % _EVENT, only_time)
    return over


def _left_over(data: npt.NDArray[np.uint8], start: int, only_time: int) -> int:
    """Bytes of an unfinished event at the end of `data`, in which an event begins at `start`.

    Between two bytes that only let time pass, events lie five bytes apart; so of such bytes the next one is looked up among those at the
    same place modulo five.
    """
    candidates = np.flatnonzero(data >= only_time)
    at_place = [candidates[candidates % _EVENT == place].tolist() for place in range(_EVENT)]
    reached = [0] * _EVENT
    at = start
    while True:
        place = at % _EVENT
        stops, k = at_place[place], reached[place]
        while k < len(stops) and stops[k] < at:
            k += 1
        reached[place] = k
        if k == len(stops):
            return (len(data) - at) % _EVENT if at <= len(data) else _EVENT - (at - len(data))
        at = stops[k] + 1


def _is_event_stream(head: Head) -> bool:
    return head.start.startswith(_MAGIC)


FORMATS = (Format("es", "Event Stream", read, _is_event_stream, faery_writer("Event Stream", "es"), (".es",)),)
