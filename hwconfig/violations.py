"""What the design rules report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Violation:
    """One broken rule at one place.

    Attributes:
        rule: the rule's name.
        subject: the core (or, before placement, the user's layer) it is about.
        problem: what is wrong, with the number found and the number allowed.
        fix: the way out.
        needed, available, unit: the numbers again, for machines; None where the rule has none.
    """

    rule: str
    subject: str
    problem: str
    fix: str
    needed: int | None = None
    available: int | None = None
    unit: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.severity} [{self.rule}] {self.subject}: {self.problem}; {self.fix}"


@dataclass(frozen=True)
class Report:
    """All violations of one configuration, in the order of the rules, then of the cores."""

    violations: tuple[Violation, ...]

    @property
    def errors(self) -> tuple[Violation, ...]:
        """Those that make the configuration illegal."""
        return tuple(violation for violation in self.violations if violation.severity == "error")

    @property
    def ok(self) -> bool:
        """Whether no rule of severity error is broken."""
        return not self.errors

    def as_dicts(self) -> list[dict[str, Any]]:
        """One plain dict per violation, for JSON."""
        return [asdict(violation) for violation in self.violations]

    def __str__(self) -> str:
        return "\n".join(f"  {violation}" for violation in self.violations) or "no violations"
