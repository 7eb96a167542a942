"""The file of a replay bundle: a zip of a manifest, the configuration, and arrays, all of them in the manifest's hash."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from chipflow.errors import BundleError
from hwconfig import ConfigFileError
from hwconfig.files import checked_version, parse
from hwconfig.hashing import canonical_hash
from hwconfig.replacing import replacing

FORMAT = "chipflow-bundle"
SCHEMA_VERSION = 1
MANIFEST, CONFIG = "manifest.json", "config.json"
MADE_AT = (1980, 1, 1, 0, 0, 0)  # in every bundle, so that equal bundles are equal files


def write_bundle(path: str | Path, document: Mapping[str, Any], config: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes beside the target, then renames: see `hwconfig.replacing`.

    Raises:
        OSError: the place cannot be written to.
    """
    members = {CONFIG: config.encode(), **{f"{name}.npy": _npy(array) for name, array in arrays.items()}}
    contents = dict(document) | {"members": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}}
    head = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "hash": canonical_hash(contents)}
    manifest = json.dumps(head | contents, indent=1).encode() + b"\n"
    with replacing(path) as beside:
        beside.write_bytes(_zipped({MANIFEST: manifest, **members}))


def read_bundle(path: str | Path) -> tuple[dict[str, Any], str, dict[str, npt.NDArray[Any]]]:
    """Manifest, configuration and arrays of a bundle.

    Raises:
        BundleError: no such file; truncated, foreign, edited, or of a newer version.
    """
    try:
        members = _members(Path(path))
        document = _manifest(members)
        _check_members(document, members)
        arrays = {name.removesuffix(".npy"): _array(name, data) for name, data in members.items() if name.endswith(".npy")}
        return document, members[CONFIG].decode(), arrays
    except (BundleError, ConfigFileError) as error:
        raise BundleError(f"{path}: {error}") from None


def _npy(array: npt.NDArray[Any]) -> bytes:
    with io.BytesIO() as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
        return file.getvalue()


def _zipped(members: Mapping[str, bytes]) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                entry = zipfile.ZipInfo(name, MADE_AT)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, data)
        return file.getvalue()


def _members(path: Path) -> dict[str, bytes]:
    """Every file in the zip, which checks their contents against its own sums."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BundleError(f"not a replay bundle, or a truncated or damaged one ({error})") from None
    except OSError as error:
        raise BundleError(error.strerror or str(error)) from None


def _manifest(members: Mapping[str, bytes]) -> dict[str, Any]:
    if MANIFEST not in members:
        raise BundleError(f"not a replay bundle: a zip without {MANIFEST}")
    try:
        document = parse(members[MANIFEST].decode(), "bundle's manifest")
    except UnicodeDecodeError as error:
        raise BundleError(f"not a replay bundle: {MANIFEST} is no text ({error})") from None
    checked_version(document, FORMAT, SCHEMA_VERSION)
    return document


def _check_members(document: dict[str, Any], members: Mapping[str, bytes]) -> None:
    contents = {name: value for name, value in document.items() if name not in ("format", "schema_version", "hash")}
    if document.get("hash") != canonical_hash(contents):
        raise BundleError(
            f"{MANIFEST} was edited: it states hash {document.get('hash')}, its contents have another; record the run again"
        )
    stated = contents.get("members")
    if not isinstance(stated, dict):
        raise BundleError(f"not a replay bundle: {MANIFEST} lists no members")
    found = {name: hashlib.sha256(data).hexdigest() for name, data in members.items() if name != MANIFEST}
    named = cast("dict[str, Any]", stated)
    wrong = sorted(name for name in {*named, *found} if named.get(name) != found.get(name))
    if wrong or CONFIG not in found:
        raise BundleError(f"edited after it was recorded, or incomplete: {', '.join(wrong) or CONFIG}; record the run again")


def _array(name: str, data: bytes) -> npt.NDArray[Any]:
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise BundleError(f"{name} is no array ({error})") from None
