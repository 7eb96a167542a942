"""Blocks that a chip may lack."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from hwconfig.config import ChipConfig
from hwconfig.rules.catalogue import Case, Finding, Findings, case_rule
from hwconfig.rules.factory import FACTORY
from hwconfig.rules.readout import feeding
from hwconfig.subjects import FILTER, READOUT, SENSOR
from hwconfig.vendor_fields import TABLES

PLACES = {"readout": READOUT, "dvs_filter": FILTER, "dvs_layer": SENSOR, "factory_config": FACTORY}


@case_rule(
    "missing-block",
    "A configuration uses only what the chip has: all fields of a block that it lacks are at their defaults.",
    grade="B",
    source="the vendor's pages on each chip's configuration",
    fix="leave it at its default, or choose a chip that has it",
)
def missing_block(case: Case) -> Findings:
    missing: dict[tuple[int | str, str], list[str]] = {}
    for at, block, field in (*_used_by_cores(case), *_used_around(case.config)):
        if not getattr(case.chip.features, block):
            missing.setdefault((at, block), []).append(field)
    for (at, block), fields in missing.items():
        yield Finding(f"{case.chip.name} has no {_named(block, case)}, but {', '.join(fields)} is set", at=at)


def _used_by_cores(case: Case) -> Iterator[tuple[int, str, str]]:
    """(core, block, field) for all that is not at its default."""
    for core_id, core in case.config.cnn_layers.items():
        for field in TABLES["cnn_layers"]:
            if field.block and not core.is_default(field.name):
                yield core_id, field.block, field.name
    for core_id in dict.fromkeys(core_id for core_id, _, _ in feeding(case)):
        yield core_id, "readout", f"a destination to layer {case.chip.layers.readout}"


def _used_around(config: ChipConfig) -> Iterator[tuple[str, str, str]]:
    """(part in words, block, dotted field) for all outside of the cores that is not at its default."""
    for part, place in PLACES.items():
        for field in TABLES[part]:
            owner, _, name = f"{part}.{field.name}".rpartition(".")
            if field.block and not attrgetter(owner)(config).is_default(name):
                yield place, field.block, f"{owner}.{name}"


def _named(block: str, case: Case) -> str:
    unusable = block == "readout" and case.chip.has_erratum("readout-unusable")
    return {"pixels": "pixels of its own"}.get(block, block.replace("_", " ")) + (" that works (erratum)" if unusable else "")
