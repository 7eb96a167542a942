"""Versions of what a result depends on, found without importing it."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("chipflow", "numpy", "numba", "llvmlite")


def installed_version(package: str) -> str | None:
    """The version of an installed package; None: it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Python, the packages that an emulated run depends on, and a hash of the emulator's kernels; "" for what is not installed."""
    packages = {name: installed_version(name) or "" for name in PACKAGES}
    return {"python": platform.python_version(), **packages, "emulator kernels": kernels_hash()}


def kernels_hash() -> str:
    """SHA-256 of the sources that the emulator's machine code is made of, its first 12 digits."""
    from chipflow.emulator.object_code import SOURCES

    folder = Path(__file__).parent / "emulator"
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in SOURCES)).hexdigest()[:12]
