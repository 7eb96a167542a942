"""chipflow check: a configuration before the design rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.loaded import Loaded, read
from chipflow.cli.output import judged, print_json, write

if TYPE_CHECKING:
    from hwconfig import Report


@app.command()
def check(
    path: Annotated[Path | None, typer.Argument(help="A program file, or a bare configuration JSON.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules; needs no file.")] = False,
    suppress: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE=REASON", help="Do not count a rule for this file; rule and reason are written into it."),
    ] = None,
    accept_edit: Annotated[bool, typer.Option(help="Stamp a legal file that was edited by hand anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a configuration by the design rules."""
    answer: dict[str, Any] = {"rules": _rules_json()} if rules else {}
    if rules and not as_json:
        typer.echo(_rules_text())
    if path is None and not rules:
        raise typer.BadParameter("give a file to judge, or --rules to list the rules")
    if path is None:
        return print_json(answer) if as_json else None
    with judged(as_json):
        loaded = read(path)
    loaded, suppressing = _with_suppressed(loaded, suppress or []), bool(suppress)
    report = loaded.violations()
    stale = "; ".join([loaded.stale, *loaded.contradictions()]) if loaded.stale else ""
    acceptable = report.ok and not loaded.contradictions()
    if acceptable and (accept_edit if stale else suppressing):
        write(lambda: loaded.save(path), path)
        stale = ""
    answer |= {"ok": report.ok and not stale, "stale": stale, "violations": report.as_dicts()}
    print_json(answer) if as_json else typer.echo(_verdict(report, stale, path))
    if not answer["ok"]:
        raise typer.Exit(1)
    return None


def _with_suppressed(loaded: Loaded, options: list[str]) -> Loaded:
    """The file's contents with more rules suppressed; wrong spelling, or a rule that must not be, is wrong use."""
    from hwconfig import RULES

    for option in options:
        rule, _, reason = option.partition("=")
        if not (rule in RULES and RULES[rule].suppressible):
            allowed = ", ".join(name for name, known in RULES.items() if known.suppressible)
            raise typer.BadParameter(f"{rule!r} cannot be suppressed; these can: {allowed}", param_hint="--suppress")
        if not reason.strip():
            raise typer.BadParameter(f"{option!r} says no reason: write {rule}=REASON", param_hint="--suppress")
        loaded = loaded.with_config(loaded.config.with_suppressed_rule(rule, reason.strip()))
    return loaded


def _rules_json() -> list[dict[str, Any]]:
    from hwconfig import RULES

    return [rule.as_dict() for rule in RULES.values()]


def _rules_text() -> str:
    from chipflow.tables import text_table
    from hwconfig import RULES

    rows = [[rule.name, rule.severity, rule.grade, rule.sentence, rule.fix] for rule in RULES.values()]
    return text_table("design rules", ["rule", "severity", "grade", "what must hold", "way out"], rows)


def _verdict(report: Report, stale: str, path: Path) -> str:
    parts = [f"stale: {stale}"] if stale else []
    if report.violations or report.suppressed:
        parts.append(report_table(report))
    counts = {"error": len(report.errors), "warning": len(report.warnings), "suppressed violation": len(report.suppressed)}
    found = ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count)
    return "\n".join([*parts, f"{path}: {found or 'no design rule is broken'}"])


def report_table(report: Report) -> str:
    """All violations, one per row; suppressed ones last, with the reason."""
    from chipflow.tables import text_table

    rows = [
        [
            "suppressed" if found.suppressed else found.severity,
            found.rule,
            found.subject,
            found.problem,
            found.suppressed or found.fix,
        ]
        for found in (*report.violations, *report.suppressed)
    ]
    return text_table("design rules broken", ["", "rule", "where", "what is wrong", "way out"], rows)
