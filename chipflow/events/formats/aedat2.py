"""AEDAT 2 of jAER: a text header, then big-endian pairs of a 32-bit address and a 32-bit time in microseconds.

What an address means depends on the camera, which the header line `AEChip` names. Layouts as published by iniVation
(docs.inivation.com, file formats, AEDAT 1.0 and 2.0). Coordinates are as stored: (0, 0) is the lower left corner. Of a DVS128 the bit is 1
where the light became less, whatever that page says: jAER, which writes these files, and the driver libcaer both take it so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chipflow.events.formats.base import Block, Format, Head, Notes, refused
from chipflow.events.formats.records import Unwrapped, bit_fields, records
from chipflow.events.formats.text_header import aedat_version, header_lines

_RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
_LAYOUTS = {"davis": "frame:1 y:9 x:10 on:1 external:1 sample:10", "dvs128": "frame:16 external:1 y:7 x:7 off:1"}
_SKIPPED = {"frame": "words of frames or IMU", "external": "external events"}


def read(path: Path, notes: Notes, camera: str = "") -> Iterator[Block]:
    """Opens a file; the header names the camera unless `camera` does ("davis", "dvs128").

    Raises:
        EventFileError: no header, or a camera whose addresses are not known here.
    """
    with path.open("rb") as file:
        lines = header_lines(path, file, b"#")
        start = file.tell()
    return _blocks(path, start, notes, _LAYOUTS[camera or _camera(path, lines)])


def _camera(path: Path, lines: list[str]) -> str:
    named = next((line.split("AEChip:")[1].strip() for line in lines if "AEChip:" in line), "")
    found = [camera for camera in _LAYOUTS if camera in named.rpartition(".")[2].lower()]
    if not found:
        says = (
            f"names the camera {named!r}, whose addresses are not known" if named else "names no camera (a line `# AEChip: ...`)"
        )
        raise refused(
            path, f'the AEDAT 2 header {says}: give format="aedat2-davis" or format="aedat2-dvs128" if it was one of these'
        )
    return found[0]


def _blocks(path: Path, start: int, notes: Notes, layout: str) -> Iterator[Block]:
    unwrapped = Unwrapped()
    with path.open("rb") as file:
        file.seek(start)
        for found in records(file, _RECORD, notes.chunk_events):
            fields = bit_fields(found["address"].astype(np.uint32), layout)
            times = unwrapped(found["t"].astype(np.uint32))
            other = np.zeros(len(found), np.bool_)
            for name, what in _SKIPPED.items():
                notes.skip(what, int(np.count_nonzero((fields[name] != 0) & ~other)))
                other |= fields[name] != 0
            keep = ~other
            polarity = fields["on"] if "on" in fields else 1 - fields["off"]
            yield Block(fields["x"][keep], fields["y"][keep], times[keep], polarity[keep])


def _is_aedat2(head: Head) -> bool:
    return aedat_version(head).startswith("2")


def _with_camera(camera: str) -> Format:
    def read_camera(path: Path, notes: Notes) -> Iterator[Block]:
        return read(path, notes, camera)

    return Format(f"aedat2-{camera}", f"AEDAT 2 of a {camera.upper()}", read_camera)


FORMATS = (Format("aedat2", "AEDAT 2", read, _is_aedat2), *(_with_camera(camera) for camera in _LAYOUTS))
