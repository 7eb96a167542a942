"""The libraries that decode and encode files: loaded when first needed, their failures told in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chipflow.errors import EventFileError
from chipflow.events.formats.base import Damaged

EXTRA = "pip install 'chipflow[events]'"
_OURS = (KeyboardInterrupt, SystemExit, GeneratorExit, Damaged)


def faery() -> Any:
    """faery: Event Stream read, and it, DAT, EVT 2 and AEDAT 4 written.

    Raises:
        EventFileError: it is not installed.
    """
    with _needed("faery", "Event Stream, and for DAT, EVT 2 and AEDAT 4 when written"):
        import faery as library
    return library


def unpacker(packing: str) -> Callable[[bytes], bytes]:
    """What unpacks the packets of an AEDAT 4 file.

    Args:
        packing: "lz4", "zstd", or "" for none.

    Raises:
        EventFileError: the package for it is not installed.
    """
    if packing == "lz4":
        with _needed("lz4", "AEDAT 4 packed with it"):
            from lz4 import frame
        return frame.decompress
    if packing == "zstd":
        with _needed("zstandard", "AEDAT 4 packed with it"):
            import zstandard
        return lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return lambda data: data


def h5py() -> Any:
    """h5py, with the filters of hdf5plugin where that is installed.

    Raises:
        EventFileError: it is not installed.
    """
    with _needed("h5py", "HDF5"):
        import h5py as library
    try:
        import hdf5plugin as filters  # pyright: ignore[reportMissingImports] - registers Blosc and others when loaded
    except ImportError:
        filters = None
    del filters
    return library


@contextmanager
def _needed(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise EventFileError(f"the package {name} is missing, which is needed for {what}: {EXTRA} ({error})") from None


@contextmanager
def failures() -> Iterator[None]:
    """Whatever a library raises on a damaged file becomes `Damaged`; Rust's panics are no `Exception`, so all are caught."""
    try:
        yield
    except _OURS:
        raise
    except BaseException as error:
        raise Damaged(" ".join(str(error).split()) or type(error).__name__) from None
