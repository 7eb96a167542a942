"""The `nir` package, and files in its format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chipflow.errors import ChipflowError, UnsupportedModelError


def library() -> Any:
    """The `nir` package.

    Raises:
        ChipflowError: it is not installed.
    """
    try:
        import nir
    except ModuleNotFoundError as error:
        if error.name not in ("nir", "h5py"):
            raise
        raise ChipflowError("NIR needs the nir package: pip install 'chipflow[nir]'") from error
    return nir


def read_file(path: str | Path) -> Any:
    """The NIR graph of a file.

    Raises:
        UnsupportedModelError: no such file, or one that the installed `nir` does not read; names the file.
        ChipflowError: the `nir` package is missing.
    """
    nir = library()
    if not Path(path).is_file():
        raise UnsupportedModelError(f"{path}: no such file")
    try:
        return nir.read(path)
    except Exception as error:  # whatever h5py and nir raise for foreign, damaged and newer files
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise UnsupportedModelError(
            f"{path}: not a NIR file that nir {nir.version} reads ({reason}){_written_by(nir, path)}; "
            "write it with nir.write, or update nir if a newer one wrote it"
        ) from error


def _written_by(nir: Any, path: str | Path) -> str:
    """The version that the file states, if it can still say so."""
    try:
        return f"; it was written by nir {nir.serialization.read_version(path)}"
    except Exception:  # the file is already being refused
        return ""
