"""chipflow check: a configuration before the design rules, or a network before it is trained."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipflow.cli.app import AsJson, SlowClock, app
from chipflow.cli.check_model import check_model
from chipflow.cli.loaded import Loaded, read
from chipflow.cli.model_files import is_model
from chipflow.cli.output import judged, print_json, report_table, write
from chipflow.cli.placing import ChipName, InputShape, Objective, Objectives, Pins, Readout, Sensor, Split, pins_of

if TYPE_CHECKING:
    from hwconfig import Report, Rule


@app.command()
def check(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A program file, a bare configuration JSON, or a model as `chipflow compile` takes it, trained or not."
        ),
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules; needs no file.")] = False,
    suppress: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE=REASON", help="Do not count a rule for this file; rule and reason are written into it."),
    ] = None,
    accept_edit: Annotated[bool, typer.Option(help="Stamp a legal file that was edited by hand anew.")] = False,
    slow_clock_period_us: SlowClock = None,
    chip: ChipName = "speck2f",
    input_shape: InputShape = None,
    objective: Objectives = Objective.memory,
    split: Split = True,
    pin: Pins = None,
    sensor: Sensor = False,
    readout: Readout = False,
    alternatives: Annotated[int, typer.Option(min=1, help="Of a model: list so many placements, best first.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Judge a configuration by the design rules; or say whether a network would fit a chip, and what to change if not."""
    if path is not None and is_model(str(path)):
        options = {
            "layer2core_map": pins_of(pin),
            "objective": objective.value,
            "split": split,
            "sensor": sensor,
            "readout": readout,
        }
        return check_model(str(path), chip, input_shape, options, alternatives, as_json)
    answer: dict[str, Any] = {"rules": _rules_json()} if rules else {}
    if rules and not as_json:
        typer.echo(_rules_text())
    if path is None and not rules:
        raise typer.BadParameter("give a file to judge, or --rules to list the rules")
    if path is None:
        return print_json(answer) if as_json else None
    with judged(as_json):
        loaded = read(path)
    loaded = _with_suppressed(loaded, suppress or [])
    report = loaded.violations(slow_clock_period_us)
    stale = loaded.stale
    acceptable = report.ok and not loaded.contradictions()
    written = (accept_edit and acceptable) if stale else bool(suppress)
    if written:
        write(lambda: loaded.save(path), path)
        stale = ""
    answer |= {"ok": report.ok and not stale, "stale": stale, "violations": report.as_dicts()}
    if suppress:
        answer["recorded"] = written
    print_json(answer) if as_json else typer.echo(_verdict(report, stale, path))
    if suppress and not as_json:
        rules_named = ", ".join(option.partition("=")[0] for option in suppress)
        typer.echo(f"{path}: {'suppressed' if written else 'not recorded, as the file is stale:'} {rules_named}")
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
    """A paragraph for each rule."""
    from hwconfig import RULES

    return "\n".join(_rule_text(rule) for rule in RULES.values())


def _rule_text(rule: Rule) -> str:
    from chipflow.tables import terminal_width

    note = "; can be suppressed" if rule.suppressible else ""
    lines = [rule.sentence, f"way out: {rule.fix}", f"source: {rule.source}"]
    indented = [fill(line, terminal_width(), initial_indent="  ", subsequent_indent="    ") for line in lines]
    return "\n".join([f"{rule.name} ({rule.severity}, grade {rule.grade}{note})", *indented])


def _verdict(report: Report, stale: str, path: Path) -> str:
    parts = [f"stale: {stale}"] if stale else []
    if report.violations or report.suppressed:
        parts.append(report_table(report))
    counts = {"error": len(report.errors), "warning": len(report.warnings), "suppressed violation": len(report.suppressed)}
    found = ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count)
    return "\n".join([*parts, f"{path}: {found or 'no design rule is broken'}"])
