"""Blocks that a chip may lack, the slow clock that some of them need, and factory settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig
from hwconfig.rules.catalogue import Case, Finding, Findings, case_rule
from hwconfig.rules.network import SENSOR
from hwconfig.rules.readout import READOUT
from hwconfig.rules.sensor import FILTER

FACTORY = "the factory settings"


@case_rule(
    "missing-block",
    "A configuration uses only what the chip has.",
    grade="B",
    source="the vendor's pages on each chip's configuration",
    fix="leave it at its default, or choose a chip that has it",
)
def missing_block(case: Case) -> Findings:
    has, name = case.chip.features, case.chip.name
    for core_id, core in case.config.cnn_layers.items():
        used = {
            "kill_bits": list(core.kill_bits),
            "internal_slow_clock": ["leak_internal_slow_clk_enable"] if core.leak_internal_slow_clk_enable else [],
            "congestion_balancer": ["input_congestion_balancer_enable"] if core.input_congestion_balancer_enable else [],
            "decimator": _decimator_fields(core),
            "readout": _to_readout(core, case.chip.layers.readout),
        }
        for block, fields in used.items():
            if fields and not getattr(has, block):
                yield Finding(f"{name} has no {block.replace('_', ' ')}, but {', '.join(fields)} is set", at=core_id)
    for block, at, field in _used_outside_cores(case.config):
        if not getattr(has, block):
            yield Finding(f"{name} has no {_named(block, case)}, but {field} is set", at=at)


def _decimator_fields(core: CoreConfig) -> list[str]:
    fields = {
        "output_decimator_enable": core.output_decimator_enable,
        "output_decimator_interval": core.output_decimator_interval,
    }
    return [name for name, value in fields.items() if value]


def _to_readout(core: CoreConfig, readout: int) -> list[str]:
    return [f"a destination to layer {readout}"] if any(d.layer == readout for d in core.enabled_destinations) else []


def _used_outside_cores(config: ChipConfig) -> Iterator[tuple[str, str, str]]:
    """(block, what it is about, field) for each block in use."""
    if config.readout.enable:
        yield "readout", READOUT, "readout.enable"
    if config.dvs_layer.pass_sensor_events:
        yield "pixels", SENSOR, "dvs_layer.pass_sensor_events"
    if config.dvs_filter.enable:
        yield "event_filter", FILTER, "dvs_filter.enable"
    if config.factory_config.internal_slow_clk_divider is not None:
        yield "internal_slow_clock", FACTORY, "factory_config.internal_slow_clk_divider"
    for at, part, field in ((READOUT, config.readout, "readout"), (FILTER, config.dvs_filter, "dvs_filter")):
        if part.internal_slow_clk:
            yield "internal_slow_clock", at, f"{field}.internal_slow_clk"


def _named(block: str, case: Case) -> str:
    unusable = block == "readout" and "readout-unusable" in case.chip.errata
    return {"pixels": "pixels of its own"}.get(block, block.replace("_", " ")) + (" that works (erratum)" if unusable else "")


@case_rule(
    "slow-clock",
    "What works at the ticks of the slow clock has one: a known period of the clock on the pin, or the chip's own.",
    severity="warning",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.6; the vendor's page on the configuration (leak_enable)",
    fix="give slow_clock_period_us where it runs (a compiled program carries it) and switch the board's clock on, or use the internal one",
)
def slow_clock(case: Case) -> Findings:
    if case.slow_clock_period_us is not None:
        return
    config = case.config
    for core_id, core in config.cnn_layers.items():
        if core.leak_enable and not core.leak_internal_slow_clk_enable:
            yield Finding("leak_enable is on, but no slow clock is known: the biases would never be added", at=core_id)
    for at, part in ((READOUT, config.readout), (FILTER, config.dvs_filter)):
        if part.enable and not part.internal_slow_clk:
            yield Finding("it is enabled, but no slow clock is known: its time would stand still", at=at)


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
