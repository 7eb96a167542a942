"""chipflow doctor: what is installed, what works, and what to do about what does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.output import print_json

if TYPE_CHECKING:
    from chipflow.doctor import Finding, State

UdevRules = Annotated[
    bool, typer.Option("--udev-rules", help="Print rules that let every user open boards on Linux, and nothing else.")
]


@app.command()
def doctor(udev_rules: UdevRules = False, as_json: AsJson = False) -> None:
    """Look at the installation: exit 0 if nothing is broken, though something optional may be missing; else 1."""
    from chipflow.doctor import RULES, examine

    if udev_rules:
        return typer.echo(RULES, nl=False)
    found = examine()
    broken = any(finding.state == "problem" for finding in found)
    if as_json:
        print_json({"ok": not broken, "findings": [asdict(finding) for finding in found]})
    else:
        typer.echo(_listed(found))
    raise typer.Exit(1 if broken else 0)


def _listed(found: list[Finding]) -> str:
    from chipflow.tables import text_table

    rows = [[finding.state, finding.part, finding.name, finding.found] for finding in found]
    table = text_table("doctor", ["", "part", "what", "found"], rows, whole=["", "part", "what"])
    advice = [f"{finding.state}: {finding.name}: {finding.advice}" for finding in found if finding.advice]
    return "\n".join([table, *advice, _verdict(Counter(finding.state for finding in found))])


def _verdict(counts: Counter[State]) -> str:
    numbers = f"{_counted(counts['problem'], 'problem')}, {_counted(counts['note'], 'note')}"
    return f"{numbers}: " + ("something is broken" if counts["problem"] else "nothing is broken; what is noted is optional")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
