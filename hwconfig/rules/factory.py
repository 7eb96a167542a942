"""Factory settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from hwconfig.rules.catalogue import Case, Finding, Findings, case_rule

FACTORY = "the factory settings"


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
