"""AEDAT 4 of DV and dv-processing: packets of FlatBuffers, unpacked by lz4 and zstandard; written by faery.

The packages that read this format end the process (faery, aedat) or give nothing (dv-processing) where a file is damaged, so the packets
are taken apart here. Layout as published by iniVation (docs.inivation.com, file formats, AEDAT 4.0). Coordinates are as stored: (0, 0) is
the upper left corner. Times are of the epoch, in microseconds, as stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np

from chipflow.events.formats.base import Block, Damaged, Format, Head, Notes, Size, refused
from chipflow.events.formats.flatbuffer import Table
from chipflow.events.formats.libraries import failures, unpacker
from chipflow.events.formats.text_header import aedat_version
from chipflow.events.formats.writing import faery_writer

_MAGIC = b"#!AER-DAT4.0\r\n"
_EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "?")], align=True)  # 16 bytes
_PACKET = np.dtype([("stream", "<i4"), ("size", "<i4")])
_COMPRESSION, _TABLE_POSITION, _INFO = range(3)  # fields of the header
_ELEMENTS = 0  # field of a packet of events
_PREFIX = 4  # bytes of a size
_PACKINGS = ("", "lz4", "lz4", "zstd", "zstd")
_EVENTS = "EVTS"
_KINDS = {_EVENTS: "packets of events", "IMUS": "packets of IMU samples", "TRIG": "packets of triggers", "FRME": "frames"}


@dataclass(frozen=True)
class Header:
    """What the header of a file tells.

    Attributes:
        packing: of the packets: "lz4", "zstd", or "" for none.
        table_position: where the table behind the packets begins; negative: the recording was not closed, there is none.
        kinds: of the streams, by number: "EVTS", ...
        sizes: of the sensors, by number of the stream.
        length: bytes up to the first packet.
    """

    packing: str
    table_position: int
    kinds: dict[int, str]
    sizes: dict[int, Size]
    length: int


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Opens a file; of several streams of events the first is read.

    Raises:
        EventFileError: the package that unpacks it is missing, the header cannot be read, or there is no stream of events.
    """
    try:
        with path.open("rb") as file, failures():
            header = read_header(file)
    except Damaged as error:
        raise refused(path, f"the AEDAT 4 header is truncated or damaged, no events to be had ({error})") from None
    streams = [number for number, kind in header.kinds.items() if kind == _EVENTS]
    if not streams:
        raise refused(path, f"this AEDAT 4 file holds no events, only {', '.join(header.kinds.values()) or 'nothing'}")
    wanted = min(streams)
    notes.size = header.sizes.get(wanted)
    return _blocks(path, header, unpacker(header.packing), wanted, notes)


def read_header(file: BinaryIO) -> Header:
    """The header; the file stands at its beginning.

    Raises:
        ValueError: it makes no sense.
    """
    size = int.from_bytes(file.read(len(_MAGIC) + _PREFIX)[len(_MAGIC) :], "little")
    table = Table.root(file.read(size))
    outputs = ElementTree.fromstring(table.text(_INFO)).findall("./node[@name='outInfo']/node")
    streams = {int(output.attrib["name"]): output for output in outputs}
    sizes = {number: (_number(output, "sizeX"), _number(output, "sizeY")) for number, output in streams.items()}
    return Header(
        _PACKINGS[table.number(_COMPRESSION, "<i4")],
        table.number(_TABLE_POSITION, "<i8", -1),
        {number: output.findtext("attr[@key='typeIdentifier']", "") for number, output in streams.items()},
        {number: size for number, size in sizes.items() if all(size)},
        file.tell(),
    )


def _number(output: ElementTree.Element, key: str) -> int:
    return int(output.findtext(f"node[@name='info']/attr[@key='{key}']", "0"))


def _blocks(path: Path, header: Header, unpack: Callable[[bytes], bytes], wanted: int, notes: Notes) -> Iterator[Block]:
    for stream, data in _packets(path, header):
        if stream != wanted:
            kind = header.kinds[stream]
            notes.skip(f"{_KINDS.get(kind, f'packets of {kind}')} of stream {stream}")
            continue
        with failures():
            found = Table.root(unpack(data), _PREFIX).vector(_ELEMENTS, _EVENT)
        yield Block(found["x"], found["y"], found["t"], found["on"])


def _packets(path: Path, header: Header) -> Iterator[tuple[int, bytes]]:
    """Number of the stream and contents of every packet, up to the table or the file's end."""
    length = path.stat().st_size
    closed = 0 <= header.table_position < length
    end = header.table_position if closed else length
    with path.open("rb") as file:
        at = file.seek(header.length)
        while at + _PACKET.itemsize <= end:
            head = np.frombuffer(file.read(_PACKET.itemsize), _PACKET)[0]
            stream, size = int(head["stream"]), int(head["size"])
            at += _PACKET.itemsize + size
            if stream not in header.kinds or size < 0 or at > end:
                raise Damaged(f"a packet of {size:,} bytes for stream {stream}, where {max(0, end - at + size):,} bytes are left")
            yield stream, file.read(size)
    if at != end:
        raise Damaged("the file ends inside a packet")
    if header.table_position >= length:
        raise Damaged(f"the file has {length:,} bytes, but its table should begin at {header.table_position:,}")


def _is_aedat4(head: Head) -> bool:
    return aedat_version(head).startswith("4")


FORMATS = (Format("aedat4", "AEDAT 4", read, _is_aedat4, faery_writer("AEDAT 4", "aedat"), (".aedat4",)),)
