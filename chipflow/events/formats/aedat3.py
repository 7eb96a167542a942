"""AEDAT 3.1 of cAER: a text header that says where it ends, then little-endian packets of events of one type.

Layout as published by iniVation (docs.inivation.com, file formats, AEDAT 3.1): of a polarity event, bit 0 says that it is valid, then
polarity, y, x and 31 bits of time, which the packet's header makes 62. Coordinates are as stored: (0, 0) is the upper left corner.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from chipflow.events.formats.base import Block, Damaged, Format, Head, Notes, refused
from chipflow.events.formats.records import bit_fields, records
from chipflow.events.formats.text_header import aedat_version, header_lines

_PACKET = np.dtype(
    [("type", "<i2"), ("source", "<i2"), *((name, "<i4") for name in ["size", "t_at", "wraps", "capacity", "number", "valid"])]
)
_EVENT = np.dtype([("data", "<u4"), ("t", "<i4")])
_LAYOUT = "x:15 y:15 p:1 valid:1"
_RAW = "RAW"
_POLARITY = 1
_TYPES = dict(enumerate(["special", "polarity", "frame", "imu6", "imu9", "sample", "ear", "config"]))
_TIME_BITS = 31


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Opens a file; of several cameras the first that gives events is read.

    Raises:
        EventFileError: the header has no end, or tells of packed data.
    """
    with path.open("rb") as file:
        lines = header_lines(path, file, b"#", b"#!END-HEADER", must_end=True)
        start = file.tell()
    packing = next((line.partition(":")[2].strip() for line in lines if line.startswith("#Format:")), _RAW)
    if packing != _RAW:
        raise refused(path, f"AEDAT 3.1 in the format {packing} is not read, only {_RAW}: convert it with DV first")
    return _blocks(path, start, notes)


def _blocks(path: Path, start: int, notes: Notes) -> Iterator[Block]:
    camera: int | None = None
    with path.open("rb") as file:
        file.seek(start)
        for header in records(file, _PACKET, 1):
            packet = header[0]
            _check(packet)
            if packet["type"] == _POLARITY and camera in (None, packet["source"]):
                camera = int(packet["source"])
                yield from _events(file, packet, notes)
            else:
                notes.skip(_kind(packet), int(packet["number"]))
                _pass_over(path, file, int(packet["size"]) * int(packet["capacity"]))


def _kind(packet: np.void) -> str:
    other = f" of camera {packet['source']}" if packet["type"] == _POLARITY else ""
    return f"{_TYPES.get(int(packet['type']), 'other')} events{other}"


def _check(packet: np.void) -> None:
    sizes_fit = 0 <= packet["number"] <= packet["capacity"] and packet["size"] > 0 and packet["wraps"] >= 0
    if not sizes_fit or (packet["type"] == _POLARITY and packet["size"] != _EVENT.itemsize):
        raise Damaged(f"a packet's header makes no sense: {dict(zip(_PACKET.names or (), packet.tolist(), strict=True))}")


def _events(file: BinaryIO, packet: np.void, notes: Notes) -> Iterator[Block]:
    """The packet's events; the places up to its capacity follow them, unused."""
    left = int(packet["number"])
    for found in records(file, _EVENT, notes.chunk_events, int(packet["capacity"])):
        yield _block(found[:left], int(packet["wraps"]), notes)
        left = max(0, left - len(found))


def _block(found: npt.NDArray[Any], wraps: int, notes: Notes) -> Block:
    fields = bit_fields(found["data"], _LAYOUT)
    valid = fields["valid"] != 0
    notes.skip("events marked invalid", int(np.count_nonzero(~valid)))
    times = (np.int64(wraps) << _TIME_BITS) + found["t"]
    return Block(*(column[valid] for column in (fields["x"], fields["y"], times, fields["p"])))


def _pass_over(path: Path, file: BinaryIO, size: int) -> None:
    if file.tell() + size > path.stat().st_size:
        raise Damaged("the file ends inside a packet")
    file.seek(size, 1)


def _is_aedat3(head: Head) -> bool:
    return aedat_version(head) == "3.1"


FORMATS = (Format("aedat3.1", "AEDAT 3.1", read, _is_aedat3),)
