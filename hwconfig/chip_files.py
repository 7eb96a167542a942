"""Chips by name or by TOML file. A file may say `like = "speck2f"` and then only what differs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from hwconfig.chip import ChipSpec, CoreSpec, LayerIds
from hwconfig.errors import ChipFileError, UnknownChipError
from hwconfig.messages import one_line_per_error

Table = dict[str, Any]


@cache
def chip_names() -> tuple[str, ...]:
    """Names of the chips that ship with the package, sorted."""
    folder = resources.files("hwconfig") / "chips"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def get_chip(name_or_path: str | Path) -> ChipSpec:
    """The chip of this name, on the board of this name ("speck2fdevkit", "speck2fdevkit:0"), or described by the TOML file at this path.

    Raises:
        UnknownChipError: neither a known chip or board nor an existing file; the message lists the chips.
        ChipFileError: the file is not a chip description; the message lists what is wrong with each field.
    """
    name = str(name_or_path)
    if name in chip_names():
        return _built_in(name)
    board = name.partition(":")[0]
    on_board = [chip for chip in map(_built_in, chip_names()) if board in (device.name for device in chip.devices)]
    return on_board[0] if on_board else _read(name)


def _read(name: str) -> ChipSpec:
    return _described(_table(name, Path(), ()), name)


_built_in = cache(_read)  # a user's own file may change, those of the package do not


def _described(table: Table, source: str) -> ChipSpec:
    try:
        return ChipSpec.model_validate(table)
    except ValidationError as error:
        raise ChipFileError(f"{source}: not a chip description:\n{one_line_per_error(error)}") from None


def _table(name: str, folder: Path, asked_by: tuple[str, ...]) -> Table:
    """A description as plain data, with what it takes over from others filled in."""
    path = None if name in chip_names() else folder / name
    source = name if path is None else str(path)
    if source in asked_by:
        raise ChipFileError(f"{asked_by[0]}: `like` leads in a circle: {' -> '.join((*asked_by, source))}")
    table = _parsed(_content(name, path), source)
    if "like" not in table:
        return table
    model = table.pop("like")
    if not isinstance(model, str):
        raise ChipFileError(f"{source}: like must be a known chip's name or the path of a TOML file, found {model!r}")
    if "name" not in table:
        raise ChipFileError(f"{source}: a chip like {model} needs a name of its own: add name = ...")
    return _merged(_table(model, path.parent if path else Path(), (*asked_by, source)), table)


def _content(name: str, path: Path | None) -> bytes:
    if path is None:
        return (resources.files("hwconfig") / "chips" / f"{name}.toml").read_bytes()
    if not _is_file(path):
        raise UnknownChipError(
            f"unknown chip {name!r}: known chips are {', '.join(chip_names())}; or give the path of a chip's TOML file"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise ChipFileError(f"{path}: cannot be read: {error.strerror}") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with characters that no path has
        return False


def _parsed(data: bytes, source: str) -> Table:
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChipFileError(f"{source}: not a TOML file: {error}") from None


def _merged(model: Mapping[str, Any], own: Mapping[str, Any]) -> Table:
    """Tables are merged; numbers, texts and lists are replaced."""
    result = dict(model)
    for key, value in own.items():
        before = model.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[key] = _merged(cast("Table", before), cast("Table", value)) if both else value
    return result


def synthetic_chip(
    cores: Sequence[tuple[int, int, int]],
    *,
    like: str | Path = "speck2f",
    name: str = "synthetic",
    limits: Mapping[str, Any] | None = None,
    features: Mapping[str, bool] | None = None,
    errata: Sequence[str] | None = None,
) -> ChipSpec:
    """A chip that does not exist, for tests and what-if questions.

    Args:
        cores: (kernel, neuron, bias) words of each core, ids counted from 0.
        like: the chip whose limits, blocks and errata it shares.
        name: its name.
        limits: fields of `Limits` that differ.
        features: fields of `Features` that differ.
        errata: names of its errata, if they differ.

    Raises:
        ChipFileError: fields that do not exist or have a wrong value; all of them.
    """
    model = get_chip(like)
    rate = model.cores[-1].synops_per_second
    specs = tuple(
        CoreSpec(id=i, kernel_words=kernel, neuron_words=neuron, bias_words=bias, synops_per_second=rate)
        for i, (kernel, neuron, bias) in enumerate(cores)
    )
    # Readout and sensor keep clear of the core ids, however many cores there are.
    layers = LayerIds(readout=max(model.layers.readout, len(specs)), sensor=max(model.layers.sensor, len(specs) + 1))
    changes: Table = {
        "name": name,
        "description": f"synthetic chip with {len(specs)} cores",
        "devices": (),
        "vendor": None,
        "cores": specs,
        "layers": layers,
        "limits": model.limits.model_dump() | dict(limits or {}),
        "features": model.features.model_dump() | dict(features or {}),
        "errata": model.errata if errata is None else tuple(errata),
        "notes": (),
        "parallel_cores": (),
    }
    return _described(dict(model) | changes, name)
