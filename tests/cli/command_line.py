"""The command line in this process, and what every call of it must keep to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from chipflow.cli import app

OK, WANTING, WRONG_USE = 0, 1, 2
WIDE = {"COLUMNS": "4000", "NO_COLOR": "1"}  # so that no message is wrapped


@dataclass(frozen=True)
class Outcome:
    """Exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def message(self) -> str:
        """What a person reads after a refusal."""
        return self.out + self.err


def chipflow(*arguments: object) -> Outcome:
    """One call; an exception that reaches the top would have been a traceback on a terminal."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env=WIDE)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(f"chipflow {arguments}: a traceback in place of a message") from done.exception
    assert done.exit_code in (OK, WANTING, WRONG_USE)
    assert (done.exit_code == OK) <= (done.stderr == ""), "a call that went well says so on standard output"
    return Outcome(done.exit_code, done.stdout, done.stderr)


def refused(*arguments: object, code: int | tuple[int, ...]) -> str:
    """The message of a call that must fail with this exit code and change no file in the working folder."""
    with unchanged(Path.cwd()):
        outcome = chipflow(*arguments)
    assert outcome.code in (code if isinstance(code, tuple) else (code,)), outcome.message
    assert "Traceback" not in outcome.message
    assert outcome.message.strip()
    return outcome.message


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Every file in the folder is the same, byte for byte, and none has joined."""
    before = _contents(folder)
    yield
    assert _contents(folder) == before


def _contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*") if "__pycache__" not in path.parts}
