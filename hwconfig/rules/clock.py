"""The slow clock, at whose ticks biases are added, and by which readout block and event filter tell the time."""

from __future__ import annotations

from collections.abc import Iterator

from hwconfig.config import ChipConfig
from hwconfig.rules.catalogue import Case, Finding, Findings, case_rule
from hwconfig.subjects import FILTER, READOUT


def _clocked(config: ChipConfig) -> Iterator[tuple[int | str, bool, str]]:
    """(what works at ticks, whether with the chip's own clock, what happens without ticks)."""
    for core_id, core in config.cnn_layers.items():
        if core.leak_enable:
            yield core_id, core.leak_internal_slow_clk_enable, "the biases would never be added"
    for at, part in ((READOUT, config.readout), (FILTER, config.dvs_filter)):
        if part.enable:
            yield at, part.internal_slow_clk, "its time would stand still"


@case_rule(
    "slow-clock",
    "What works at the ticks of the slow clock has one: a known period of the clock on the pin, or the chip's own.",
    severity="warning",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.6; the vendor's page on the configuration (leak_enable)",
    fix="give slow_clock_period_us, which a compiled program carries, and switch the board's clock on",
)
def slow_clock(case: Case) -> Findings:
    if case.slow_clock_period_us is not None and case.slow_clock_period_us > 0:
        return
    or_internal = ", or use the chip's own" if case.chip.features.internal_slow_clock else ""
    fix = f"give slow_clock_period_us, which a compiled program carries, and switch the board's clock on{or_internal}"
    for at, internal, consequence in _clocked(case.config):
        if not internal:
            yield Finding(f"it works at the ticks of the slow clock, but none is known: {consequence}", at=at, fix=fix)


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
    for at, internal, consequence in _clocked(case.config):
        if internal:
            yield Finding(f"its slow clock is made from sensor events, and pass_sensor_events is off: {consequence}", at=at)
