"""Writing by faery: the checks that its formats need, and chunks in its dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError
from chipflow.events.array import EventArray, describe, outside
from chipflow.events.formats.base import Size
from chipflow.events.formats.libraries import faery

_LATEST = {"dat": 32, "evt": 34, "es": 34}  # bits of time; Event Stream has no limit but needs a byte for every 127 us
_TURNS_Y = "es"  # faery turns y over when it writes this format; here y is what the file stores
_POLARITIES = 2


def faery_writer(
    title: str, file_type: str, version: str | None = None
) -> Callable[[Path, Iterator[EventArray], Size | None], None]:
    """A writer of one of faery's formats.

    Args:
        title: of the format, in messages.
        file_type, version: as `faery.file_encoder.events_to_file` calls them.
    """

    def write(path: Path, chunks: Iterator[EventArray], size: Size | None) -> None:
        encoder = faery()
        if size is None:
            raise EventError(f"{title} files hold the sensor's size: give size=(width, height)")
        encoder.file_encoder.events_to_file(
            (_for_faery(chunk, title, file_type, size, encoder.EVENTS_DTYPE) for chunk in chunks),
            path,
            size,
            version=version,
            file_type=file_type,
            zero_t0=False,
            use_write_suffix=False,
        )

    return write


def _for_faery(chunk: EventArray, title: str, file_type: str, size: Size, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    _check_events(chunk, title, size)
    _check_times(chunk, title, _LATEST.get(file_type))
    result = np.empty(len(chunk), dtype)
    for ours, theirs in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
        result[theirs] = chunk[ours]
    if file_type == _TURNS_Y:
        result["y"] = size[1] - 1 - result["y"]
    return result


def _check_events(chunk: EventArray, title: str, size: Size) -> None:
    if "layer" in (chunk.dtype.names or ()):
        raise EventError(f"{title} files hold no layers: select one layer's events, or write npz, csv or hdf5")
    wrong = outside(chunk, (_POLARITIES, size[1], size[0]))
    if wrong.any():
        index = int(np.argmax(wrong))
        within = f"polarities 0 and 1 within {size[0]} x {size[1]}"
        raise EventError(f"{title} files hold {within}, found {describe(chunk, index)}: write npz, csv or hdf5", index)


def _check_times(chunk: EventArray, title: str, bits: int | None) -> None:
    if bits is not None and chunk.size and int(chunk["t"][-1]) >> bits:
        limit = f"{title} files hold times below 2^{bits} us, found {chunk['t'][-1]} us"
        raise EventError(f"{limit}: shift the recording with rebase_time(events)", len(chunk) - 1)
