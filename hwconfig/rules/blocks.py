"""Blocks that a chip may lack, the slow clock that some of them need, and factory settings."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, cast

from hwconfig.config import ChipConfig
from hwconfig.parts import ConfigPart, same
from hwconfig.rules.catalogue import Case, Finding, Findings, case_rule
from hwconfig.rules.network import SENSOR
from hwconfig.rules.readout import READOUT
from hwconfig.rules.sensor import FILTER
from hwconfig.vendor_fields import TABLES

FACTORY = "the factory settings"


# What belongs to a block beside the fields that the vendor's object has only on chips with it: dotted name -> block.
PARTS = {
    "readout": "readout",
    "dvs_filter": "event_filter",
    "dvs_layer.pass_sensor_events": "pixels",
    "factory_config.dvs_filter": "event_filter",
    "factory_config.dvs_layer": "pixels",
}


@case_rule(
    "missing-block",
    "A configuration uses only what the chip has: all fields of a block that it lacks are at their defaults.",
    grade="B",
    source="the vendor's pages on each chip's configuration",
    fix="leave it at its default, or choose a chip that has it",
)
def missing_block(case: Case) -> Findings:
    config, readout = case.config, case.chip.layers.readout
    used = [(core_id, name, block) for core_id, core in config.cnn_layers.items() for name, block in _used(core, "cnn_layers")]
    used += [(at, f"{part}.{name}", block) for part, at in PLACE_OF.items() for name, block in _used(getattr(config, part), part)]
    used += [(PLACE_OF[path.partition(".")[0]], path, block) for path, block in PARTS.items() if _is_set(config, path)]
    used += [
        (core_id, f"a destination to layer {readout}", "readout")
        for core_id, core in config.cnn_layers.items()
        if any(destination.layer == readout for destination in core.enabled_destinations)
    ]
    missing: dict[tuple[int | str, str], list[str]] = {}
    for at, name, block in used:
        if not getattr(case.chip.features, block):
            missing.setdefault((at, block), []).append(name)
    for (at, block), fields in missing.items():
        yield Finding(f"{case.chip.name} has no {_named(block, case)}, but {', '.join(fields)} is set", at=at)


PLACES = ((READOUT, "readout"), (FILTER, "dvs_filter"))  # what else needs a slow clock
PLACE_OF = {"readout": READOUT, "dvs_filter": FILTER, "dvs_layer": SENSOR, "factory_config": FACTORY}


def _used(part: ConfigPart, table: str) -> Iterator[tuple[str, str]]:
    """(field, block) of all fields that the vendor has only on some chips, and that are not at their defaults."""
    for field in TABLES[table]:
        if field.block and not _is_default(part, field.name):
            yield field.name, field.block


def _is_set(config: ChipConfig, path: str) -> bool:
    *owners, last = path.split(".")
    part: Any = attrgetter(".".join(owners))(config) if owners else config
    return not _is_default(part, last)


def _is_default(part: ConfigPart, name: str) -> bool:
    default = type(part).model_fields[name].get_default(call_default_factory=True, validated_data={})
    return same(getattr(part, name), default)


def _named(block: str, case: Case) -> str:
    unusable = block == "readout" and case.chip.has_erratum("readout-unusable")
    return {"pixels": "pixels of its own"}.get(block, block.replace("_", " ")) + (" that works (erratum)" if unusable else "")


@case_rule(
    "slow-clock",
    "What works at the ticks of the slow clock has one: a known period of the clock on the pin, or the chip's own.",
    severity="warning",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.6; the vendor's page on the configuration (leak_enable)",
    fix="give slow_clock_period_us, which a compiled program carries, and switch the board's clock on",
)
def slow_clock(case: Case) -> Findings:
    if case.slow_clock_period_us is not None:
        return
    or_internal = ", or use the chip's own" if case.chip.features.internal_slow_clock else ""
    fix = f"give slow_clock_period_us, which a compiled program carries, and switch the board's clock on{or_internal}"
    for core_id, core in case.config.cnn_layers.items():
        if core.leak_enable and not core.leak_internal_slow_clk_enable:
            yield Finding("leak_enable is on, but no slow clock is known: the biases would never be added", at=core_id, fix=fix)
    for at, name in PLACES:
        part = getattr(case.config, name)
        if part.enable and not part.internal_slow_clk:
            yield Finding("it is enabled, but no slow clock is known: its time would stand still", at=at, fix=fix)


@case_rule(
    "internal-clock-without-events",
    "The internal slow clock, which is made from sensor events, has some: the chip's own pixels are let in.",
    severity="warning",
    grade="B",
    source="Speck Dev Kit datasheet, 3.2.6.3; whether events sent from outside drive it as well is not public",
    fix="enable dvs_layer.pass_sensor_events, or use the clock on the pin",
)
def internal_clock_without_events(case: Case) -> Findings:
    if case.config.dvs_layer.pass_sensor_events:
        return
    problem = "the internal slow clock ticks with sensor events, and pass_sensor_events is off"
    for core_id, core in case.config.cnn_layers.items():
        if core.leak_enable and core.leak_internal_slow_clk_enable:
            yield Finding(problem, at=core_id)
    for at, name in PLACES:
        part = getattr(case.config, name)
        if part.enable and part.internal_slow_clk:
            yield Finding(problem, at=at)


@case_rule(
    "factory-range",
    "Factory settings concern cores that exist, are not negative, and the internal clock's divider is one of the chip's.",
    grade="B",
    source="Speck Dev Kit datasheet, 3.2.6.3.1, for the divider; the vendor publishes no other range",
    fix="use one of these, or None to leave the setting as it is",
)
def factory_range(case: Case) -> Findings:
    part, allowed = case.config.factory_config, case.chip.limits.internal_clock_dividers
    divider = part.internal_slow_clk_divider
    if case.chip.features.internal_slow_clock and divider is not None and divider not in allowed:
        problem = f"internal_slow_clk_divider is {divider}, allowed are {list(allowed)}"
        yield Finding(problem, divider, at=FACTORY)
    for name, value in _settings(part.model_dump()):
        if value < 0:
            yield Finding(f"{name} is {value}, allowed is 0 or more", value, 0, at=FACTORY)
    unknown = [core for core in part.cnn_layers if core not in case.chip.core_ids]
    if unknown:
        yield Finding(
            f"cnn_layers names cores {unknown}, {case.chip.name} has {list(case.chip.core_ids)}", unknown[0], at=FACTORY
        )


def _settings(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    """Dotted name and value of every number that is set."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _settings(cast("dict[str, Any]", value), f"{prefix}{name}.")
        elif isinstance(value, int):
            yield f"{prefix}{name}", value
