"""All formats by name, which one a file has by its first bytes, and which one a name asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chipflow.errors import EventError
from chipflow.events.formats import aedat2, aedat3, aedat4, csv, event_stream, hdf5, nmnist, npz, prophesee
from chipflow.events.formats.base import Format, Head, refused
from chipflow.events.formats.text_header import aedat_version

_MODULES = (aedat2, aedat3, aedat4, prophesee, event_stream, npz, hdf5, csv, nmnist)  # the one without a header comes last
FORMATS: Mapping[str, Format] = {format.name: format for module in _MODULES for format in module.FORMATS}
"""Format by name."""

_HEAD_CHUNK = 1 << 16
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf": "7z"}
_NEVER_WRITTEN = {".aedat": "AEDAT 2 or 3", ".bin": "N-MNIST", ".bs2": "N-MNIST"}


def recognise(path: Path) -> Format:
    """The format that a file's first bytes show; its name plays no part.

    Raises:
        EventFileError: none, or one that is known and not read.
    """
    with path.open("rb") as file:
        head = Head(file.read(_HEAD_CHUNK), path.stat().st_size)
    for found in FORMATS.values():
        if found.recognises is not None and found.recognises(head):
            return found
    raise refused(path, f"{_what_else(head)}; the formats that are read: {', '.join(FORMATS)}")


def _what_else(head: Head) -> str:
    packed = next((name for magic, name in _PACKED.items() if head.start.startswith(magic)), None)
    if packed:
        return f"packed with {packed}: unpack it first"
    if version := aedat_version(head):
        return f"AEDAT {version} is not read: convert it with DV first"
    if evt := prophesee.evt_version(head):
        return f"Prophesee EVT {evt} is not read: convert it with Metavision first"
    if head.start.startswith(b"%"):
        return "a Prophesee header that tells neither DAT nor the version of EVT: give format="
    return "no known format of event files begins like this: give format= if you know better"


def named(name: str) -> Format:
    """The format of that name.

    Raises:
        EventError: there is none.
    """
    if name not in FORMATS:
        raise EventError(f"format {name!r} does not exist; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def for_writing(path: Path, name: str | None) -> Format:
    """The format to write: the one of that name, else the one of the file's extension, else npz.

    Raises:
        EventError: it does not exist, or is only read.
    """
    extension = path.suffix.lower()
    writable = [format for format in FORMATS.values() if format.write is not None]
    if name is None and extension in _NEVER_WRITTEN:
        title = _NEVER_WRITTEN[extension]
    else:
        by_extension = next((format for format in writable if extension in format.extensions), FORMATS["npz"])
        chosen = by_extension if name is None else named(name)
        if chosen.write is not None:
            return chosen
        title = chosen.title
    raise EventError(
        f"{path}: {title} files are only read; those that are written: {', '.join(format.name for format in writable)}"
    )
