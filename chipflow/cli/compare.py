"""chipflow compare: a network from stage to stage, on the same recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.loaded import read
from chipflow.cli.model_files import input_shape as shape_of
from chipflow.cli.model_files import load_array, load_model
from chipflow.cli.output import existing, fail, judged, names, print_json
from chipflow.cli.placing import InputShape


@app.command()
def compare(
    path: Annotated[Path, typer.Argument(help="A program file.")],
    recordings: Annotated[list[Path], typer.Argument(help="Recordings, of any format of `chipflow events`.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="A text file with a recording's name (without its ending) and its class in each line, and perhaps more recordings."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="What the program was compiled from, model.py:function or a NIR file: stages in floats, too."),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A state dict of the model, as for `chipflow compile`.")] = None,
    input_shape: InputShape = None,
    calibration: Annotated[Path | None, typer.Option(help="The npy file that `chipflow compile` was given.")] = None,
    time_step_us: Annotated[
        int | None, typer.Option(min=1, help="Microseconds of a time step; by default the program's slow clock, or 1000.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="A board that runs the recordings, too, such as speck2fdevkit:0.")] = None,
    drop_outside: Annotated[
        bool, typer.Option("--drop-outside", help="Drop events outside the input map instead of refusing the recording.")
    ] = False,
    published: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="BEFORE BEHIND", help="Accuracies that somebody else found, as 0.985 0.954: can these recordings tell?"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how answers change from the model to the chip, and how much of that each cause accounts for."""
    from chipflow.events import load_events

    for file in recordings:
        existing(file)
    with judged(as_json):
        classes = None if labels is None else _classes(existing(labels), recordings, as_json)
        program = _program(path, as_json)
        given = _model(model, weights, input_shape, calibration, as_json)
        with names("--device"):
            board = _opened(device)
        from chipflow.progress import progress
        from chipflow.report import compare as compare_stages

        with board as opened:
            found = compare_stages(
                program, (load_events(file) for file in progress(recordings, "recordings")), classes, names=_called(recordings), **given,
                time_step_us=time_step_us, device=opened, on_outside="drop" if drop_outside else "error", published=published,
            )  # fmt: skip
    if as_json:
        return print_json(found.as_dict())
    typer.echo(found.text())
    return None


def _called(recordings: list[Path]) -> list[str]:
    """Names of the files, with their folders where two have the same."""
    short = [file.name for file in recordings]
    return short if len(set(short)) == len(short) else [str(file) for file in recordings]


def _program(path: Path, as_json: bool) -> Any:
    from chipflow.program import Program

    loaded = read(path)
    if loaded.stale:
        fail(f"{path}: {loaded.stale}", as_json)
    if not isinstance(loaded.content, Program):
        fail(f"{path} is a bare configuration, which does not say what its layers are: give the program file", as_json)
    return loaded.content


def _model(model: str | None, weights: Path | None, shape: str | None, calibration: Path | None, as_json: bool) -> dict[str, Any]:
    """What `compare` is told of the model."""
    if model is None:
        unused = {"--weights": weights, "--input-shape": shape, "--calibration": calibration}
        alone = [name for name, value in unused.items() if value is not None]
        if alone:
            raise typer.BadParameter("it is for a model: give --model, or leave it out", param_hint=alone[0])
        return {}
    return {
        "model": load_model(model, weights, as_json),
        "input_shape": None if shape is None else shape_of(shape, model),
        "calibration": None if calibration is None else load_array(calibration, "--calibration"),
    }


def _opened(device: str | None) -> Any:
    from contextlib import nullcontext

    from chipflow.backends.opening import open_device

    return nullcontext() if device is None else open_device(device)


def _classes(path: Path, recordings: list[Path], as_json: bool) -> list[int]:
    """The class of each recording, by the name of its file without the ending."""
    known: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or line.startswith("#"):
            continue
        if len(words) != 2 or not words[1].isdecimal():
            fail(f"{path}, line {number}: {line!r} is no name and class, as '60001 7' or '60001,7'", as_json)
        known[words[0]] = int(words[1])
    missing = [file.stem for file in recordings if file.stem not in known]
    if missing:
        fail(f"{path} has no class for {len(missing)} of {len(recordings)} recordings, the first is {missing[0]!r}", as_json)
    return [known[file.stem] for file in recordings]
