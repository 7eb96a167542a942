"""Configurations as JSON: schema version, content hash, and files that are never half-written."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import ValidationError

from hwconfig.errors import ConfigFileError, EditedConfigError, HwconfigError
from hwconfig.messages import one_line_per_error

if TYPE_CHECKING:
    from hwconfig.config import ChipConfig

FORMAT = "hwconfig"
SCHEMA_VERSION = 1


def content_hash(config: ChipConfig) -> str:
    """SHA-256 over the canonical contents, arrays as 64-bit little-endian values; without provenance."""
    contents = config.model_dump(mode="python", exclude={"provenance"})
    return canonical_hash(contents)


def canonical_hash(contents: Any) -> str:
    """SHA-256 of plain data with arrays in it, the same under any spelling in a file."""
    text = json.dumps(contents, default=_array_digest, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _array_digest(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"cannot hash a {type(value).__name__}")
    array = cast("np.ndarray[Any, Any]", value)
    values = np.ascontiguousarray(array, dtype="<f8" if array.dtype.kind == "f" else "<i8")
    return {"shape": list(array.shape), "sha256": hashlib.sha256(values.tobytes()).hexdigest()}


def to_json(config: ChipConfig, *, readable: bool = False) -> str:
    """The file's text; arrays compact, or nested lists if `readable`."""
    return json.dumps(to_document(config, readable=readable), indent=1) + "\n"


def to_document(config: ChipConfig, *, readable: bool = False) -> dict[str, Any]:
    """The file as plain data."""
    head = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "hash": config.hash}
    return head | config.model_dump(mode="json", context={"readable": readable})


def from_json(text: str) -> ChipConfig:
    """See `ChipConfig.from_json`."""
    return from_document(parse(text, "configuration"))


def from_document(document: dict[str, Any]) -> ChipConfig:
    """The configuration in a parsed file, refused if its hash is stale."""
    config, stated = read_document(document)
    if stated != config.hash:
        raise EditedConfigError(stale_message(stated, config.hash))
    return config


def stale_message(stated: str | None, actual: str) -> str:
    """What to tell a person whose file was changed after it was stamped."""
    found = f"states hash {stated}" if stated else "states no hash"
    return (
        f"the configuration was edited by hand: it {found}, but its contents have {actual}; "
        "`chipflow check --accept-edit` stamps a legal one anew"
    )


def parse(text: str, what: str) -> dict[str, Any]:
    """A JSON object, or a ConfigFileError that says where the text stops being one."""
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        raise ConfigFileError(f"not a {what} file, or a truncated one: {error}") from None
    if not isinstance(document, dict):
        raise ConfigFileError(f"not a {what} file: the top level is a {type(document).__name__}, not an object")
    return cast("dict[str, Any]", document)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def read_document(document: dict[str, Any]) -> tuple[ChipConfig, str | None]:
    """The configuration in a parsed file and the hash that the file states, which may be stale or missing."""
    from hwconfig.config import ChipConfig

    check_head(document, FORMAT, SCHEMA_VERSION)
    contents = {key: value for key, value in document.items() if key not in ("format", "schema_version", "hash")}
    try:
        config = ChipConfig.model_validate(_integer_keys(contents))
    except ValidationError as error:
        raise ConfigFileError(f"not a valid configuration:\n{one_line_per_error(error)}") from None
    except HwconfigError as error:
        raise ConfigFileError(f"not a valid configuration: {error}") from None
    stated = document.get("hash")
    return config, stated if isinstance(stated, str) else None


def _integer_keys(contents: dict[str, Any]) -> dict[str, Any]:
    """JSON's object keys are strings; core ids are integers."""
    layers = contents.get("cnn_layers")
    if not isinstance(layers, dict):
        return contents
    cores = cast("dict[str, Any]", layers)
    return contents | {"cnn_layers": {int(key) if key.isdecimal() else key: core for key, core in cores.items()}}


def check_head(document: dict[str, Any], expected_format: str, newest: int) -> None:
    """Refuses foreign files and files of a newer schema."""
    if document.get("format") != expected_format:
        raise ConfigFileError(f"foreign file: format is {document.get('format')!r}, expected {expected_format!r}")
    version = document.get("schema_version")
    if type(version) is not int or version < 1:
        raise ConfigFileError(f"schema_version must be a positive integer, found {version!r}")
    if version > newest:
        raise ConfigFileError(f"file has schema version {version}, this version reads up to {newest}; update the package")


def write_text(path: str | Path, text: str) -> None:
    """Writes beside the target, then renames: the file is the old one or the new one, never half of either."""
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
