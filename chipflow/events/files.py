"""Event arrays in numpy's npz files, one array per field."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from chipflow.errors import EventError
from chipflow.events.array import EventArray, as_events, make_events

_NEEDED = {"x", "y", "t", "p"}


def save_events(path: str | Path, events: Any) -> None:
    """Write events to `path`, as it is named; an existing file is replaced only by a complete new one.

    Raises:
        EventError: not an event array.
    """
    array = as_events(events)
    target = Path(path)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            np.savez_compressed(file, **{name: array[name] for name in array.dtype.names or ()})  # pyright: ignore[reportArgumentType]
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def load_events(path: str | Path) -> EventArray:
    """The events of an npz file with one array per field (x, y, t, p, perhaps layer), or one structured array `events`.

    Raises:
        EventError: missing, truncated or foreign file, or events that `as_events` refuses.
    """
    arrays = _read(Path(path))
    try:
        if set(arrays) == {"events"}:
            return as_events(arrays["events"])
        if set(arrays) - {"layer"} != _NEEDED:
            raise EventError(f"needs the arrays x, y, t, p (and optionally layer), found {', '.join(sorted(arrays)) or 'none'}")
        return make_events(arrays["x"], arrays["y"], arrays["t"], arrays["p"], arrays.get("layer"))
    except EventError as error:
        raise EventError(f"{path}: {error}", error.index) from None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise EventError(f"{path}: no such file")
    try:
        with path.open("rb") as file:  # opened here: numpy leaves a damaged file open
            loaded: Any = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise EventError(f"{path}: a single numpy array, not an npz file of events: save it with save_events")
            return {name: loaded[name] for name in loaded.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, NotImplementedError) as error:
        raise EventError(f"{path}: truncated or damaged npz file ({error})") from None
    except ValueError as error:
        if isinstance(error, EventError):
            raise
        raise EventError(f"{path}: not an npz file of events, or truncated") from None
