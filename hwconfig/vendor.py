"""Configurations as objects of the vendor's package, and back. The package is handed in, never imported.

Which field stands where is data, in `hwconfig.vendor_fields`; here it is written, read and, where it cannot be kept, refused.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, cast

import numpy as np
from pydantic import ValidationError

from hwconfig.arrays import AnyArray
from hwconfig.chip import ChipSpec
from hwconfig.chip_files import chip_names, get_chip
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig
from hwconfig.destinations import Destination, DvsDestination, Target
from hwconfig.errors import DesignRuleError, VendorError
from hwconfig.factory_config import FactoryConfig, FactoryCore
from hwconfig.messages import one_line_per_error
from hwconfig.parts import ConfigPart, same
from hwconfig.vendor_fields import VendorField, fields_of
from hwconfig.vendor_object import Part, plain, refuse_unknown

PARTS = ("dvs_layer", "dvs_filter", "readout")


def to_vendor(config: ChipConfig, module: Any) -> Any:
    """A new object of the vendor's configuration class that says what a legal configuration says.

    Every field of ours is written, defaults too, as the vendor's default of the Speck2e mirrors the sensor (sinabs issue 166);
    destinations not in use are written as disabled. What is left as the vendor has it: cores that are not configured, factory
    settings that are None, blocks that the chip lacks. `layer_name`, `suppressed_rules` and `provenance` have no place there.

    The vendor has arrays as `[...][x][y]` where ours are `[...][y][x]` (sinabs, chips/dynapcnn.py), x and y of a pair by name, one
    kernel size for both axes, and an inclusive `cut` (sinabs, DVSLayer). Only ints, bools and lists of them are handed over.

    Args:
        config: what to write.
        module: the vendor's top package, `samna`.

    Raises:
        DesignRuleError: the configuration breaks design rules.
        VendorError: the package does not have the chip, or its object has no place for a field that is not at its default.
    """
    report = config.violations()
    if not report.ok:
        raise DesignRuleError(report, "the chip would not do what the configuration says")
    whole = _new(config.chip, module)
    blank = ChipConfig(chip=config.chip)
    for name in PARTS:
        _write(whole.child(name), getattr(config, name), getattr(blank, name))
    _write_destinations(whole.child("dvs_layer"), config.dvs_layer.destinations, DvsDestination(layer=0, enable=False))
    for core_id, core in config.cnn_layers.items():
        part = whole.core(core_id, core.layer_name)
        _write(part, core, _blank_core(core))
        _write_destinations(part, core.destinations, Destination(layer=0, enable=False))
    factory = whole.child("factory_config")
    _write(factory, config.factory_config, FactoryConfig())
    for core_id, timing in config.factory_config.cnn_layers.items():
        _write(factory.core(core_id), timing, FactoryCore())
    return whole.element


def from_vendor(obj: Any, chip: str | ChipSpec | None = None) -> ChipConfig:
    """The configuration that an object of the vendor's says. It is read, not judged: see `ChipConfig.violations`.

    A core counts as not configured, and a factory setting as None, where it equals that of a new object of the same class. Kill
    bits of which none is set are None. Layer names, suppressed rules and provenance are not in the vendor's object.

    Args:
        obj: the vendor's whole configuration.
        chip: a known chip's name or a ChipSpec; None: from the module of the object's class.

    Raises:
        VendorError: the chip cannot be told, the object says something that a configuration has no place for, or it is no
            configuration at all.
        UnknownChipError: there is no chip of that name.
    """
    spec = _chip_of(obj) if chip is None else get_chip(chip) if isinstance(chip, str) else chip
    package = type(obj).__module__.partition(".")[0]
    whole = Part(obj, spec, package, _version(sys.modules.get(package)))
    if not whole.cores():
        raise VendorError(
            f"{whole.label}: a {type(obj).__name__} is no whole configuration, it has no cnn_layers; give the object above"
        )
    fresh = replace(whole, element=type(obj)())
    refuse_unknown(whole, fresh)
    contents: dict[str, Any] = {name: _read(whole.child(name)) for name in PARTS}
    contents["cnn_layers"] = _changed_cores(whole, fresh)
    contents["factory_config"] = _read_factory(whole.child("factory_config"), fresh.child("factory_config"))
    try:
        return ChipConfig.model_validate({"chip": spec, **contents})
    except ValidationError as error:
        raise VendorError(f"{whole.label}: its object is no configuration:\n{one_line_per_error(error)}") from None


def _version(module: Any) -> str:
    return str(getattr(module, "__version__", ""))


def _new(chip: ChipSpec, module: Any) -> Part:
    """A new object of the chip's class in the vendor's package."""
    if chip.vendor is None:
        known = ", ".join(name for name in chip_names() if get_chip(name).vendor)
        raise VendorError(f"{chip.name}: the vendor's package has no such chip; configure one that it has: {known}")
    part = Part(None, chip, getattr(module, "__name__", "the vendor's package"), _version(module))
    path = f"{chip.vendor.module}.configuration.{chip.vendor.configuration}"
    try:
        make = attrgetter(path)(module)
    except AttributeError:
        if hasattr(module, "configuration"):
            raise VendorError(f"{chip.name}: give the vendor's whole package (samna), not the module of one chip in it") from None
        raise VendorError(
            f"{chip.name}: {part.label} has no {path}; from 0.46 on samna has the boards with speck2e and speck2f only: "
            "use an older samna, or one of these chips"
        ) from None
    return replace(part, element=make())


def _chip_of(obj: Any) -> ChipSpec:
    """The known chip whose module the object's class lives in."""
    where = type(obj).__module__.split(".")
    chips = (get_chip(name) for name in chip_names())
    found = [chip for chip in chips if chip.vendor and chip.vendor.module in where]
    if len(found) != 1:
        raise VendorError(
            f"the class {'.'.join(where)}.{type(obj).__name__} names {'several' if found else 'no'} known chips: "
            f"give chip=, one of {', '.join(chip_names())}"
        )
    return found[0]


# --- writing ---


def _blank_core(core: CoreConfig) -> CoreConfig:
    """The core with all that may be left out at its default."""
    required = {name: getattr(core, name) for name, info in CoreConfig.model_fields.items() if info.is_required()}
    return CoreConfig(**required)


def _write(part: Part, ours: ConfigPart, blank: ConfigPart) -> None:
    for field in fields_of(part.path, part.chip):
        value = attrgetter(field.name)(ours)
        if value is None and not field.kills:
            continue  # a factory setting that stays as the vendor has it
        places = [part.locate(path) for path in field.paths]
        if all(places):
            _set(part, field, places, _pieces(field, ours, value))
        elif _is_required(ours, field) or not same(value, attrgetter(field.name)(blank)):
            raise VendorError(
                f"{part.subject}: {field.name} is {_shown(value)}, but the object of {part.label} has no such attribute; "
                "leave the field at its default, or use a version that has it"
            )


def _is_required(ours: ConfigPart, field: VendorField) -> bool:
    return type(ours).model_fields[field.name.partition(".")[0]].is_required()


def _set(part: Part, field: VendorField, places: Sequence[Any], pieces: Sequence[Any]) -> None:
    for (owner, name), piece in zip(places, pieces, strict=True):
        try:
            setattr(owner, name, piece)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise VendorError(
                f"{part.subject}: {part.label} does not take this {field.name}: {error}; use one that it takes"
            ) from error


def _shown(value: Any) -> str:
    return f"an array of {len(cast('AnyArray', value))}" if isinstance(value, np.ndarray) else repr(value)


def _pieces(field: VendorField, ours: ConfigPart, value: Any) -> Sequence[Any]:
    """The value as the vendor has it, one piece for each path."""
    if not field.axes:
        return value if len(field.paths) > 1 else (value,)
    array = np.zeros(getattr(ours, field.kills).shape, np.bool_) if value is None else value
    return (_swapped(array).tolist(),)


def _swapped(array: AnyArray) -> AnyArray:
    """[...][y][x] from [...][x][y], and back."""
    return array.swapaxes(-1, -2) if array.ndim > 2 else array


def _write_destinations(part: Part, ours: tuple[Target, ...], unused: Target) -> None:
    slots = part.child("destinations").items()
    if len(ours) > len(slots):
        raise VendorError(f"{part.subject}: {len(ours)} destinations, the object of {part.label} has {len(slots)}; use fewer")
    for i, slot in enumerate(slots):
        _write(slot, ours[i] if i < len(ours) else unused, unused)


# --- reading ---


def _read(part: Part) -> dict[str, Any]:
    """Our fields of a part, nested as ours are; those that the vendor's version lacks are left out."""
    values: dict[str, Any] = {}
    for field in fields_of(part.path, part.chip):
        places = [place for path in field.paths if (place := part.locate(path))]
        if len(places) == len(field.paths):
            *owners, last = field.name.split(".")
            inner = values
            for owner in owners:
                inner = inner.setdefault(owner, {})
            inner[last] = _value(field, [getattr(*place) for place in places])
    slots = part.child("destinations").items()
    return values | {"destinations": [_read(slot) for slot in slots]} if slots else values


def _value(field: VendorField, pieces: Sequence[Any]) -> Any:
    """Ours of the vendor's pieces, one for each path."""
    if field.axes:
        return _array(field, *pieces)
    numbers = tuple(field.kind(piece) if piece in (0, 1) else plain(piece) for piece in pieces)
    return numbers if len(pieces) > 1 else numbers[0]


def _array(field: VendorField, value: Any) -> Any:
    """Ours of a nested list; of an empty one, however flat, an array without elements; of kill bits None if none is set."""
    try:
        array = np.asarray(value)
    except ValueError:
        return value  # lists of unequal length: refused with all else that is no configuration
    if field.kills and not array.any():
        return None
    if not array.size:
        array = np.zeros(array.shape + (0,) * (field.axes - array.ndim), np.int64)
    return _swapped(array)


def _changed_cores(whole: Part, fresh: Part) -> dict[int, dict[str, Any]]:
    found = ((i, _read(core), _read(new)) for i, (core, new) in enumerate(zip(whole.cores(), fresh.cores(), strict=True)))
    return {i: core for i, core, new in found if not all(same(core[name], new[name]) for name in core)}


def _read_factory(part: Part, fresh: Part) -> dict[str, Any]:
    cores = [_without_same(_read(core), _read(new)) for core, new in zip(part.cores(), fresh.cores(), strict=True)]
    return _without_same(_read(part), _read(fresh)) | {"cnn_layers": dict(enumerate(cores))}


def _without_same(some: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ; all others become None by being left out."""
    result: dict[str, Any] = {}
    for name, value in some.items():
        if isinstance(value, dict):
            result[name] = _without_same(cast("dict[str, Any]", value), others[name])
        elif value != others[name]:
            result[name] = value
    return result
