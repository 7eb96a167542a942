"""The application that the commands add themselves to, and the arguments that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="From a trained network to a Speck configuration, and its emulation."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ProgramPath = Annotated[Path, typer.Argument(help="A program file, or a bare configuration JSON.")]
