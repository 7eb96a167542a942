"""A configuration before all rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from hwconfig.chip import ChipSpec
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig
from hwconfig.rules import blocks, clock, factory, limits, network, readout, sensor, values
from hwconfig.rules.catalogue import Case, CaseRule, CoreRule, Finding, Findings, Rule, ShapeRule, case_rule
from hwconfig.shapes import Shaped
from hwconfig.subjects import SENSOR, core_words
from hwconfig.violations import Report, Violation


@case_rule(
    "suppression",
    "Suppressed rules exist and may be suppressed: warnings, and errors that rest on uncertain ground.",
    grade="C",
    source="without the other rules a configuration has no meaning, or the emulator could not run it",
    fix="correct the name, or repair what the rule reports",
)
def suppression(case: Case) -> Findings:
    for name in case.config.suppressed_rules:
        if name not in RULES:
            yield Finding(f"there is no rule {name!r} to suppress", at="the configuration", fix=f"rules are {', '.join(RULES)}")
        elif not RULES[name].suppressible:
            yield Finding(f"rule {name!r} cannot be suppressed", at="the configuration")


def _rules_of(part: object) -> Iterator[CoreRule | CaseRule]:
    return (value for value in vars(part).values() if isinstance(value, CoreRule | CaseRule))


_ALL = [rule for part in (limits, values, network, sensor, readout, blocks, clock, factory) for rule in _rules_of(part)]
RULES: dict[str, Rule] = {rule.name: rule for rule in (*_ALL, suppression)}


def check(config: ChipConfig, *, slow_clock_period_us: int | None = None, entries: Sequence[int] | None = None) -> Report:
    """Every rule that the configuration breaks, all at once.

    Args:
        config: the configuration.
        slow_clock_period_us: period of the slow clock on the chip's pin, which is no part of a configuration; None: none is known.
        entries: cores that addressed events enter, as a program names them; None: not known.
    """
    case = Case(config, slow_clock_period_us, None if entries is None else tuple(entries))
    found = [violation for rule in RULES.values() for violation in _violations(rule, case)]
    counted = [violation for violation in found if not violation.suppressed]
    return Report(_errors_first(counted), tuple(violation for violation in found if violation.suppressed))


def check_core(core: CoreConfig, chip: ChipSpec, subject: str) -> Report:
    """The rules that concern one core wherever it is placed; `subject` names it in the report."""
    about_cores = [rule for rule in RULES.values() if isinstance(rule, CoreRule)]
    return Report(_errors_first(_violation(rule, finding, subject) for rule in about_cores for finding in rule.check(core, chip)))


def check_shape(shape: Shaped, chip: ChipSpec, subject: str) -> Report:
    """The rules that concern a layer's sizes and destinations, whatever its weights and wherever it is placed.

    Args:
        shape: a `CoreShape`, or a `CoreConfig`.
        chip: whose limits count.
        subject: names it in the report.
    """
    about_shapes = [rule for rule in RULES.values() if isinstance(rule, ShapeRule)]
    return Report(tuple(_violation(rule, finding, subject) for rule in about_shapes for finding in rule.check(shape, chip)))


def check_sensor_targets(count: int, chip: ChipSpec) -> Report:
    """Whether the sensor's pre-processing can send to so many cores."""
    rule = sensor.sensor_fan_out
    return Report(tuple(_violation(rule, finding, SENSOR) for finding in limits.too_many([True] * count, chip)))


def _errors_first(found: Iterable[Violation]) -> tuple[Violation, ...]:
    return tuple(sorted(found, key=lambda violation: violation.severity))


def _violations(rule: Rule, case: Case) -> Iterator[Violation]:
    config = case.config
    reason = config.suppressed_rules.get(rule.name, "") if rule.suppressible else ""
    for finding in _findings(rule, case):
        if isinstance(finding.at, str):
            yield replace(_violation(rule, finding, finding.at), suppressed=reason)
            continue
        layer = config.cnn_layers[finding.at].layer_name
        found = _violation(rule, finding, core_words(finding.at, layer))
        yield replace(found, core=finding.at, layer=layer, suppressed=reason)


def _findings(rule: Rule, case: Case) -> Findings:
    if isinstance(rule, CaseRule):
        yield from rule.check(case)
    elif isinstance(rule, CoreRule):
        for core_id, core in case.config.cnn_layers.items():
            yield from (replace(finding, at=core_id) for finding in rule.check(core, case.chip))


def _violation(rule: Rule, finding: Finding, subject: str) -> Violation:
    return Violation(
        rule=rule.name,
        subject=subject,
        problem=finding.problem,
        fix=finding.fix or rule.fix,
        needed=finding.needed,
        available=finding.available,
        unit=finding.unit,
        severity=rule.severity,
        grade=rule.grade,
        sentence=rule.sentence,
        source=rule.source,
    )
