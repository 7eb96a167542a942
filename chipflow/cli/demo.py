"""chipflow demo: the main job on a small data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.output import fail, judged, print_json, write


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")] = Path("demo-output"),
    images: Annotated[int, typer.Option(min=1, help="Test images to run.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Train a small network, compile it, run it on the emulator, and compare all stages."""
    try:
        import sklearn  # noqa: F401  # only to see whether it is there
    except ModuleNotFoundError:
        fail("the demo needs scikit-learn: pip install 'chipflow[demo]'", as_json, code=2)
    from chipflow.demo import run_demo

    write(lambda: output.mkdir(parents=True, exist_ok=True), output)
    with judged(as_json):
        outcome = run_demo(output, images)
    print_json(outcome.as_dict()) if as_json else typer.echo(outcome.text())
