"""numpy's npz: one array per field, or one structured array `events`. Read whole; a truncated one has lost its table of contents."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chipflow.errors import EventError
from chipflow.events.array import EVENT_DTYPE, EventArray
from chipflow.events.formats.base import Block, Format, Head, Notes, Size, refused
from chipflow.events.formats.columns import block_of, unsigned

_ZIP, _NPY = b"PK", b"\x93NUMPY"
_SIZE = ("width", "height")


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Reads a file.

    Raises:
        EventFileError: damaged, or other arrays than those of events.
    """
    arrays = _arrays(path)
    if all(name in arrays and arrays[name].ndim == 0 for name in _SIZE):  # as evutils writes them
        width, height = (int(arrays.pop(name)) for name in _SIZE)
        notes.size = (width, height)
    if set(arrays) == {"events"}:
        events = arrays["events"]
        if events.dtype.names is None:
            raise refused(path, f"the array `events` must be structured, found dtype {events.dtype}")
        arrays = {name: events[name] for name in events.dtype.names}
    return unsigned(iter((block_of(path, arrays),)))


def _arrays(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:  # opened here: numpy leaves a damaged file open
            loaded: Any = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise refused(path, "a single numpy array, not an npz file of events: save it with save_events")
            return {name: loaded[name] for name in loaded.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, NotImplementedError) as error:
        raise refused(path, f"truncated or damaged npz file, of which nothing can be kept ({error})") from None
    except (ValueError, TypeError, SyntaxError, RuntimeError, MemoryError) as error:
        if isinstance(error, EventError):
            raise
        raise refused(path, "not an npz file of events, or truncated or damaged; nothing can be kept") from None


def write(path: Path, chunks: Iterator[EventArray], _size: Size | None) -> None:
    """Writes one compressed array per field; the chunks are gathered in memory first."""
    parts = list(chunks)
    events = np.concatenate(parts) if parts else np.empty(0, EVENT_DTYPE)
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: events[name] for name in events.dtype.names or ()})  # pyright: ignore[reportArgumentType]


def _is_npz(head: Head) -> bool:
    return head.start.startswith((_ZIP, _NPY))


FORMATS = (Format("npz", "npz", read, _is_npz, write, (".npz",)),)
