"""The application that the commands add themselves to, and the arguments that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="From a trained network to a Speck configuration, and its emulation."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
SlowClock = Annotated[
    int | None,
    typer.Option(
        min=1, help="Microseconds between two ticks of the slow clock; a program knows its own, a bare configuration does not."
    ),
]
ProgramPath = Annotated[Path, typer.Argument(help="A program file, or a bare configuration JSON.")]
