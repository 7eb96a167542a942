"""What a rule is, and how a function becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from hwconfig.chip import ChipSpec
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig
from hwconfig.errata import Grade
from hwconfig.shapes import Shaped
from hwconfig.violations import Severity


@dataclass(frozen=True)
class Finding:
    """One place that breaks a rule.

    Attributes:
        problem: what is wrong, with the number found and the number allowed.
        needed, available, unit: the numbers again, for machines.
        at: id of the core, or what else it is about ("the sensor"); filled in for rules about single cores.
        fix: a better way out than the rule's own.
    """

    problem: str
    needed: int | None = None
    available: int | None = None
    unit: str = ""
    at: int | str = ""
    fix: str = ""


@dataclass(frozen=True)
class Case:
    """A configuration to judge, and what a board or program adds to it.

    Attributes:
        slow_clock_period_us: period of the clock on the pin; None: none is known.
        entries: cores that addressed events enter; None: not known.
    """

    config: ChipConfig
    slow_clock_period_us: int | None = None
    entries: tuple[int, ...] | None = None

    @property
    def chip(self) -> ChipSpec:
        """The configuration's chip."""
        return self.config.chip


Findings = Iterator[Finding]
CoreCheck = Callable[[CoreConfig, ChipSpec], Findings]
ShapeCheck = Callable[[Shaped, ChipSpec], Findings]
CaseCheck = Callable[[Case], Findings]


@dataclass(frozen=True)
class Rule:
    """A design rule.

    Attributes:
        name: by which it is reported and suppressed.
        sentence: what must hold.
        severity: "error" makes a configuration illegal, "warning" does not.
        grade: how surely it is known: A stated by the vendor or seen on silicon, B deduced or relayed, C our choice.
        source: where it is known from.
        fix: the usual way out.
        suppressible: whether a configuration may suppress it. A rule without which a configuration has no meaning may not be.
    """

    name: str
    sentence: str
    severity: Severity
    grade: Grade
    source: str
    fix: str
    suppressible: bool

    def as_dict(self) -> dict[str, Any]:
        """What is documented of it, as plain data for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(Rule)}


@dataclass(frozen=True)
class CoreRule(Rule):
    """A rule about one core, wherever it is placed."""

    check: CoreCheck


@dataclass(frozen=True)
class ShapeRule(CoreRule):
    """A rule about one core that asks for sizes and destinations only, so that it can be asked before there are weights."""

    check: ShapeCheck


@dataclass(frozen=True)
class CaseRule(Rule):
    """A rule about a whole configuration."""

    check: CaseCheck


def core_rule(
    name: str, sentence: str, *, severity: Severity = "error", grade: Grade, source: str, fix: str, suppressible: bool = False
) -> Callable[[CoreCheck], CoreRule]:
    """Makes a function a rule about one core. Warnings may always be suppressed, errors only where they say so."""
    allowed = suppressible or severity == "warning"
    return lambda check: CoreRule(name, sentence, severity, grade, source, fix, allowed, check)


def shape_rule(name: str, sentence: str, *, grade: Grade, source: str, fix: str) -> Callable[[ShapeCheck], ShapeRule]:
    """Makes a function a rule about one core's sizes and destinations."""
    return lambda check: ShapeRule(name, sentence, "error", grade, source, fix, False, check)


def case_rule(
    name: str, sentence: str, *, severity: Severity = "error", grade: Grade, source: str, fix: str, suppressible: bool = False
) -> Callable[[CaseCheck], CaseRule]:
    """Makes a function a rule about a whole configuration. Warnings may always be suppressed, errors only where they say so."""
    allowed = suppressible or severity == "warning"
    return lambda check: CaseRule(name, sentence, severity, grade, source, fix, allowed, check)
