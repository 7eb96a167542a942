"""What the design rules report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from hwconfig.errata import Grade

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Violation:
    """One broken rule at one place.

    Attributes:
        rule: the rule's name.
        subject: the core with its layer's name, the sensor, the readout block, ... or, before placement, the user's layer.
        problem: what is wrong, with the number found and the number allowed.
        fix: the way out.
        needed, available, unit: the numbers again, for machines; None where the rule has none.
        severity: "error" makes a configuration illegal, "warning" does not.
        grade: how surely the rule is known: A stated by the vendor or seen on silicon, B deduced or relayed, C our choice.
        sentence, source: what must hold, and where it is known from.
        core: id of the core; None where it is about something else.
        layer: name of the user's layer on that core, "" where it has none.
        suppressed: why this rule does not count for this configuration; "" where it does.
    """

    rule: str
    subject: str
    problem: str
    fix: str
    needed: int | None = None
    available: int | None = None
    unit: str = ""
    severity: Severity = "error"
    grade: Grade = "C"
    sentence: str = ""
    source: str = ""
    core: int | None = None
    layer: str = ""
    suppressed: str = ""

    def __str__(self) -> str:
        reason = f" (suppressed: {self.suppressed})" if self.suppressed else ""
        return f"{self.severity} [{self.rule}] {self.subject}: {self.problem}; {self.fix}{reason}"


@dataclass(frozen=True)
class Report:
    """All violations of one configuration, errors first, then in the order of the rules.

    Attributes:
        violations: those that count.
        suppressed: those of rules that the configuration suppresses.
    """

    violations: tuple[Violation, ...]
    suppressed: tuple[Violation, ...] = ()

    @property
    def errors(self) -> tuple[Violation, ...]:
        """Those that make the configuration illegal."""
        return tuple(violation for violation in self.violations if violation.severity == "error")

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """Those that a configuration may have and still be legal."""
        return tuple(violation for violation in self.violations if violation.severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether no rule of severity error is broken, suppressed ones apart."""
        return not self.errors

    def as_dicts(self) -> list[dict[str, Any]]:
        """One plain dict per violation, suppressed ones last, for JSON."""
        return [asdict(violation) for violation in (*self.violations, *self.suppressed)]

    def __str__(self) -> str:
        return "\n".join(f"  {violation}" for violation in (*self.violations, *self.suppressed)) or "no violations"
