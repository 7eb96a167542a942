"""chipflow diff: what differs between two configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.loaded import Loaded, read
from chipflow.cli.output import judged, print_json

FILE = "A program file, or a bare configuration JSON."


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help=FILE)], b: Annotated[Path, typer.Argument(help=FILE)], as_json: AsJson = False
) -> None:
    """Say what differs between two configurations, core by core; exit 1 if anything does."""
    from hwconfig import diff_configs

    with judged(as_json):
        first, second = read(a), read(b)
    found = diff_configs(first.config, second.config)
    notes = [note for path, loaded in ((a, first), (b, second)) for note in _notes(path, loaded)]
    if as_json:
        print_json({"equal": found.equal, "differences": found.as_dicts(), "stale": notes})
    else:
        typer.echo("\n".join([*notes, str(found)]))
    if not found.equal:
        raise typer.Exit(1)


def _notes(path: Path, loaded: Loaded) -> list[str]:
    return [f"{path}: {loaded.stale}"] if loaded.stale else []
