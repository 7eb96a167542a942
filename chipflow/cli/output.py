"""How commands answer: JSON, text and tables, and errors with the right exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from hwconfig.errors import DeploymentError

if TYPE_CHECKING:
    from hwconfig import Report


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=1))


def fail(message: str, as_json: bool, code: int = 1) -> NoReturn:
    """Ends the command with a message."""
    if as_json:
        print_json({"ok": False, "error": message})
    else:
        typer.echo(message, err=True)
    raise typer.Exit(code)


@contextmanager
def judged(as_json: bool) -> Iterator[None]:
    """Turns an error about the input into a message and exit 1."""
    try:
        yield
    except DeploymentError as error:
        report = getattr(error, "report", None)
        if as_json and report is not None:
            print_json({"ok": False, "error": str(error).splitlines()[0], "report": report.model_dump(mode="json")})
            raise typer.Exit(1) from None
        fail(str(error), as_json)


@contextmanager
def names(option: str) -> Iterator[None]:
    """A name that does not exist is wrong use of the option."""
    try:
        yield
    except DeploymentError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def existing(path: Path) -> Path:
    """The path; a file that is not there is wrong use."""
    if not path.is_file():
        raise typer.BadParameter(f"{path}: no such file")
    return path


def write(action: Callable[[], object], path: Path) -> None:
    """Does what writes `path`; a place that cannot be written to is wrong use."""
    try:
        action()
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from None


def report_table(report: Report) -> str:
    """All violations, one per row; suppressed ones last, with the reason."""
    from chipflow.tables import text_table

    rows = [
        [
            "suppressed" if found.suppressed else found.severity,
            found.grade,
            found.rule,
            found.subject,
            found.problem,
            found.suppressed or found.fix,
        ]
        for found in (*report.violations, *report.suppressed)
    ]
    header = ["", "grade", "rule", "where", "what is wrong", "way out"]
    return text_table("design rules", header, rows, whole=["", "grade", "rule"])
