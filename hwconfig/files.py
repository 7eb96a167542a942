"""Configurations as JSON: schema version, content hash, and files that are never half-written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import ValidationError

from hwconfig.arrays import AnyArray, encode_array
from hwconfig.errors import ConfigFileError, EditedConfigError, HwconfigError
from hwconfig.hashing import canonical_hash
from hwconfig.messages import one_line_per_error
from hwconfig.replacing import replacing

if TYPE_CHECKING:
    from hwconfig.config import ChipConfig

FORMAT = "hwconfig"
SCHEMA_VERSION = 2
HEAD = ("format", "schema_version", "hash")


def content_hash(config: ChipConfig) -> str:
    """SHA-256 over the canonical contents, arrays as 64-bit little-endian values; without provenance."""
    return canonical_hash(config.model_dump(mode="python", exclude={"provenance"}))


def to_json(config: ChipConfig, *, readable: bool = False) -> str:
    """The file's text; arrays compact, or nested lists if `readable`."""
    return laid_out(_head(config) | config.model_dump() if readable else to_document(config)) + "\n"


def to_document(config: ChipConfig) -> dict[str, Any]:
    """The file as plain data, arrays compact."""
    return _head(config) | config.model_dump(mode="json")


def _head(config: ChipConfig) -> dict[str, Any]:
    return dict(zip(HEAD, (FORMAT, SCHEMA_VERSION, config.hash), strict=True))


def laid_out(value: Any, indent: str = "") -> str:
    """JSON text: one field a line, one row of an array a line."""
    inner = f"{indent} "
    if isinstance(value, np.ndarray):
        return _array_laid_out(cast("AnyArray", value), inner)
    if isinstance(value, dict) and value:
        fields = cast("dict[Any, Any]", value).items()
        return _block("{}", [f"{json.dumps(str(name))}: {laid_out(item, inner)}" for name, item in fields], indent)
    items = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()
    if any(isinstance(item, dict) for item in items):
        return _block("[]", [laid_out(item, inner) for item in items], indent)
    return json.dumps(value, allow_nan=False)


def _block(brackets: str, lines: Sequence[str], indent: str) -> str:
    separator = f"\n{indent} "
    return f"{brackets[0]}{separator}{f',{separator}'.join(lines)}\n{indent}{brackets[1]}"


def _array_laid_out(array: AnyArray, indent: str) -> str:
    """Nested lists; those of an array without elements would not say its shape."""
    if not array.size:
        return laid_out(encode_array(array), indent)
    return json.dumps(array.tolist()).replace("], [", f"],\n{indent}[")


def load(path: str | Path, *, accept_edit: bool = False) -> ChipConfig:
    """See `ChipConfig.load`."""
    try:
        return from_json(Path(path).read_bytes().decode(), accept_edit=accept_edit)
    except OSError as error:
        raise ConfigFileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigFileError(f"{path}: not a configuration file: {error}") from None
    except ConfigFileError as error:
        raise type(error)(f"{path}: {error}") from None


def from_json(text: str, *, accept_edit: bool = False) -> ChipConfig:
    """See `ChipConfig.from_json`."""
    config, stale = read_document(parse(text, "configuration"))
    if stale and not accept_edit:
        raise EditedConfigError(f"{stale}, accept_edit=True reads it as it is")
    return config


def parse(text: str, what: str) -> dict[str, Any]:
    """A JSON object, or a ConfigFileError that says where the text stops being one."""
    try:
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_repeats)
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        raise ConfigFileError(f"not a {what} file, or a truncated one: {error}") from None
    if not isinstance(document, dict):
        raise ConfigFileError(f"not a {what} file: the top level is a {type(document).__name__}, not an object")
    return cast("dict[str, Any]", document)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def read_document(document: dict[str, Any]) -> tuple[ChipConfig, str]:
    """The configuration in a parsed file of any schema version up to this one's, and in words how its hash is stale ("": it is not).

    Raises:
        ConfigFileError: foreign, of a newer schema, or with wrong fields.
    """
    from hwconfig.migrations import migrated

    version = checked_version(document, FORMAT, SCHEMA_VERSION)
    contents = {key: value for key, value in document.items() if key not in HEAD}
    contents, older_hash = migrated(contents, version, SCHEMA_VERSION)
    config = _validated(contents)
    stated = document.get("hash")
    actual = older_hash or config.hash
    return config, "" if stated == actual else stale_message(stated, actual)


def _validated(contents: Mapping[str, Any]) -> ChipConfig:
    from hwconfig.chip_files import chip_names
    from hwconfig.config import ChipConfig

    chip = contents.get("chip")
    if isinstance(chip, str) and chip not in chip_names():  # a file must not make its reader open another one
        raise ConfigFileError(f"not a valid configuration: unknown chip {chip!r}, known chips are {', '.join(chip_names())}")
    try:
        return ChipConfig.model_validate(contents)
    except ValidationError as error:
        raise ConfigFileError(f"not a valid configuration:\n{one_line_per_error(error)}") from None
    except HwconfigError as error:
        raise ConfigFileError(f"not a valid configuration: {error}") from None


def stale_message(stated: Any, actual: str) -> str:
    """What to tell a person whose file was changed after it was stamped."""
    found = f"states hash {stated}" if isinstance(stated, str) else "states no hash"
    return (
        f"the configuration was edited by hand: it {found}, but its contents have {actual}; "
        "`chipflow check --accept-edit` stamps a legal one anew"
    )


def checked_version(document: Mapping[str, Any], expected_format: str, newest: int) -> int:
    """The schema version that a file states; foreign files and files of a newer schema are refused."""
    if document.get("format") != expected_format:
        raise ConfigFileError(f"foreign file: format is {document.get('format')!r}, expected {expected_format!r}")
    version = document.get("schema_version")
    if type(version) is not int or version < 1:
        raise ConfigFileError(f"schema_version must be a positive integer, found {version!r}")
    if version > newest:
        raise ConfigFileError(f"file has schema version {version}, this version reads up to {newest}; update the package")
    return version


def write_text(path: str | Path, text: str) -> None:
    """Writes beside the target, then renames: see `hwconfig.replacing`."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
