"""The lines of text that AEDAT and Prophesee files begin with."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from chipflow.events.formats.base import Head, refused

AEDAT = b"#!AER-DAT"
_LONGEST_LINE = 1 << 16


def aedat_version(head: Head) -> str:
    """The version in the first line of an AEDAT file, "2.0"; "" for another file."""
    return head.lines[0][len(AEDAT) :].strip().decode("ascii", "replace") if head.start.startswith(AEDAT) else ""


def header_lines(path: Path, file: BinaryIO, mark: bytes, last: bytes = b"", must_end: bool = False) -> list[str]:
    """The lines that begin with `mark`, up to and with the `last` if there is one; the file stands after them.

    Args:
        path: for messages.
        file: at its beginning.
        mark: what every line of the header begins with.
        last: what the last line begins with.
        must_end: whether that line must be there.

    Raises:
        EventFileError: the file ends, or binary data begin, before the header is complete.
    """
    lines: list[str] = []
    while True:
        at = file.tell()
        line = file.readline(_LONGEST_LINE)
        if not line.startswith(mark):
            if must_end:
                raise refused(path, f"the header does not end with {last.decode()}: truncated or damaged, no events to be had")
            file.seek(at)
            return lines
        if not line.endswith(b"\n"):
            raise refused(path, "truncated or damaged inside the header, no events to be had")
        lines.append(line.decode("latin-1").strip())
        if last and line.startswith(last):
            return lines
