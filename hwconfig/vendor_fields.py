"""Where each field of a configuration stands in the vendor's object: one description, for writing and for reading.

Names: Speck Dev Kit datasheet, 3.2.2, and working scripts (factory settings). Order of axes: sinabs, chips/dynapcnn.py. Which
chip has which block: the vendor's pages on each chip's configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hwconfig.chip import ChipSpec
from hwconfig.factory_config import FactoryDvsLayer, MemoryTiming


@dataclass(frozen=True)
class VendorField:
    """A field of ours, and where the vendor has it.

    Attributes:
        name: ours, dotted below our part.
        paths: the vendor's, dotted below the vendor's part; of a pair or shape one per component, in our order.
        kind: what it holds, be it single or in an array.
        axes: number of axes of an array, 0 if it is none; from three axes on the vendor's last two are x, y, ours are y, x.
        block: the block that it belongs to, by its name in `chip.features`; "": every chip has it.
        kills: of kill bits the array whose shape they have; None of ours is written as all false.
    """

    name: str
    paths: tuple[str, ...]
    kind: type[int] | type[bool] = int
    axes: int = 0
    block: str = ""
    kills: str = ""


@dataclass(frozen=True)
class Renamed:
    """An attribute that older versions of the vendor's package call otherwise.

    Attributes:
        path: today's name, dotted from the top of the vendor's object, without indices.
        older: the name it had.
        before: the first version with today's name; "": not public, so that the attribute that exists decides.
    """

    path: str
    older: str
    before: str = ""


RENAMED = (Renamed("readout.output_mode_sel", older="output_mod_sel"),)  # seen in an older public script


def attribute_name(owner: Any, path: str, version: str) -> str:
    """What `owner`, a part of the vendor's object, calls the last name of `path`, which counts from the top."""
    today = path.rpartition(".")[2]
    older = (entry.older for entry in RENAMED if entry.path == path and _is_older(entry, owner, today, version))
    return next(older, today)


def _is_older(entry: Renamed, owner: Any, today: str, version: str) -> bool:
    found = _numbers_of(version)
    if entry.before and found:
        return found < _numbers_of(entry.before)
    return hasattr(owner, entry.older) and not hasattr(owner, today)


def _numbers_of(version: str) -> tuple[int, ...]:
    """(0, 46) of "0.46.0rc1"; () of what does not begin with a number."""
    start = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(number) for number in start[0].split(".")] if start else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _numbers(*names: str, block: str = "") -> tuple[VendorField, ...]:
    return tuple(VendorField(name, (name,), block=block) for name in names)


def _flags(*names: str, block: str = "") -> tuple[VendorField, ...]:
    return tuple(VendorField(name, (name,), bool, block=block) for name in names)


def _pairs(*names: str, kind: type[int] | type[bool] = int, block: str = "") -> tuple[VendorField, ...]:
    """(y, x) of ours, an object with x and y of the vendor's."""
    return tuple(VendorField(name, (f"{name}.y", f"{name}.x"), kind, block=block) for name in names)


def _shapes(*names: str) -> tuple[VendorField, ...]:
    """(features, y, x) of ours, a feature_count and a size with x and y of the vendor's."""
    return tuple(VendorField(name, (f"{name}.feature_count", f"{name}.size.y", f"{name}.size.x")) for name in names)


def _array(name: str, axes: int) -> VendorField:
    return VendorField(name, (name,), axes=axes)


def _kill_bits(name: str, axes: int, array: str) -> VendorField:
    """Only dynapcnn and speck2b have them."""
    return VendorField(name, (name,), bool, axes, block="kill_bits", kills=array)


CORE = (
    *_numbers("dimensions.kernel_size"),  # one number for both axes
    *_pairs("dimensions.stride", "dimensions.padding"),
    *_shapes("dimensions.input_shape", "dimensions.output_shape"),
    _array("weights", 4),
    _array("biases", 1),
    _array("neurons_initial_value", 3),
    _kill_bits("weights_kill_bit", 4, "weights"),
    _kill_bits("biases_kill_bit", 1, "biases"),
    _kill_bits("neurons_value_kill_bit", 3, "neurons_initial_value"),
    *_numbers("threshold_high", "threshold_low"),
    *_flags("return_to_zero", "leak_enable", "monitor_enable"),
    *_flags("leak_internal_slow_clk_enable", block="internal_slow_clock"),
    *_flags("input_congestion_balancer_enable", block="congestion_balancer"),
    *_flags("output_decimator_enable", block="decimator"),
    *_numbers("output_decimator_interval", block="decimator"),
)
DVS_DESTINATION = (*_flags("enable"), *_numbers("layer"))
DESTINATION = (*DVS_DESTINATION, *_numbers("pooling", "feature_shift"))
DVS_LAYER = (
    *_flags("merge", "on_channel", "off_channel"),
    *_pairs("pooling", "origin", "cut"),  # cut is inclusive: sinabs and its notebook, against an example of the datasheet
    *_pairs("mirror", kind=bool),
    *_flags("mirror_diagonal", "monitor_enable", "raw_monitor_enable"),
    *_flags("pass_sensor_events", block="pixels"),
)
DVS_FILTER = (
    *_flags("enable", "hot_pixel_filter_enable", "low_pass_mode_enable", block="event_filter"),
    *_pairs("filter_size", block="event_filter"),
    *_numbers("threshold", block="event_filter"),
    *_flags("internal_slow_clk", block="internal_slow_clock"),
)
READOUT = (
    *_flags("enable", "low_pass_filter_disable", "low_pass_filter32_not16", "override_threshold_max", block="readout"),
    *_flags("monitor_enable", "readout_pin_monitor_enable", block="readout"),
    *_numbers("readout_configuration_sel", "threshold", "output_mode_sel", "output_neuron_num", block="readout"),
    *_flags("internal_slow_clk", block="internal_slow_clock"),
)
FACTORY = (
    *_numbers("io_sel"),
    *_numbers("internal_slow_clk_divider", block="internal_slow_clock"),
    *_flags("fast_output", "monitor_dual_channel"),
    *_flags("dvs_filter.filter_clk_enable", block="event_filter"),
    *_numbers(*(f"dvs_layer.{name}" for name in FactoryDvsLayer.model_fields), block="pixels"),
)
FACTORY_CORE = _numbers(*(f"{memory}.{name}" for memory in ("kernel", "neuron") for name in MemoryTiming.model_fields))

# By the part's path from the top of the vendor's object, without indices; our parts have the same names.
TABLES: dict[str, tuple[VendorField, ...]] = {
    "dvs_layer": DVS_LAYER,
    "dvs_layer.destinations": DVS_DESTINATION,
    "dvs_filter": DVS_FILTER,
    "readout": READOUT,
    "cnn_layers": CORE,
    "cnn_layers.destinations": DESTINATION,
    "factory_config": FACTORY,
    "factory_config.cnn_layers": FACTORY_CORE,
}


def fields_of(part: str, chip: ChipSpec) -> tuple[VendorField, ...]:
    """The fields of one part that the chip has."""
    return tuple(field for field in TABLES[part] if not field.block or getattr(chip.features, field.block))


def known_paths(chip: ChipSpec) -> dict[str, set[str]]:
    """Path of each object inside the vendor's object ("" is the whole) -> the names known there, today's."""
    leaves = (f"{part}.{path}" for part in TABLES for field in fields_of(part, chip) for path in field.paths)
    known: dict[str, set[str]] = {}
    for owner, name in _steps(leaves):
        known.setdefault(owner, set()).add(name)
    return known


def _steps(paths: Iterable[str]) -> Iterable[tuple[str, str]]:
    """("", a), (a, b), (a.b, c) of a.b.c."""
    for path in paths:
        names = path.split(".")
        yield from ((".".join(names[:i]), name) for i, name in enumerate(names))
