"""chipflow compile: a network to a program file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.output import existing, fail, judged, names, print_json, report_table, write


class Quantization(StrEnum):
    """How scales are chosen; `chipflow.quantization.Mode` for the command line."""

    default = "default"
    sinabs = "sinabs"


@app.command()
def compile(
    model: Annotated[str, typer.Argument(help="model.py:function, which returns an nn.Module.")],
    input_shape: Annotated[str, typer.Option(help="features,y,x")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The program file to write.")],
    weights: Annotated[Path | None, typer.Option(help="A state dict saved by torch.save; weights only, never a pickle.")] = None,
    chip: Annotated[str, typer.Option(help="A known chip, or a chip's TOML file.")] = "speck2f",
    quantization: Annotated[Quantization, typer.Option(help="How scales are chosen.")] = Quantization.default,
    calibration: Annotated[
        Path | None, typer.Option(help="Images (n, features, y, x) in an npy file, from which the conversion takes its scales.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert, quantise and place a network; write a program file."""
    from hwconfig import get_chip

    shape = _shape(input_shape)
    with names("--chip"):
        spec = get_chip(chip)
    module, images = _load_model(model, weights, as_json), None if calibration is None else _load_images(calibration)
    with judged(as_json):
        from chipflow.compiler import compile as compile_model

        program = compile_model(module, spec, shape, calibration=images, quantization=quantization.value)
        report = program.violations()
        write(lambda: program.save(output), output)
    if as_json:
        return print_json(
            {
                "program": str(output),
                "hash": program.config.hash,
                "layers": program.memory_rows(),
                "violations": report.as_dicts(),
            }
        )
    typer.echo(program.summary())
    if report.violations:
        typer.echo(report_table(report))
    typer.echo(f"wrote {output}")
    return None


def _shape(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{text!r} is not features,y,x in whole numbers from 1", param_hint="--input-shape")
    return tuple(map(int, parts))


def _load_model(spec: str, weights: Path | None, as_json: bool) -> Any:
    """The module that model.py:function returns, with the weights loaded."""
    file, _, function = spec.partition(":")
    if not function or not Path(file).is_file():
        raise typer.BadParameter(
            f"{spec!r}: give the path of a Python file and a function in it, as model.py:make_model", param_hint="MODEL"
        )
    import runpy

    try:
        made = runpy.run_path(file).get(function)
    except Exception as error:
        fail(f"{file}: {type(error).__name__}: {error}", as_json)
    if not callable(made):
        raise typer.BadParameter(f"{file} has no function {function!r}", param_hint="MODEL")
    from torch import nn

    try:
        module: Any = made()
    except Exception as error:
        fail(f"{spec}: {type(error).__name__}: {error}", as_json)
    if not isinstance(module, nn.Module):
        fail(f"{spec} returned {type(module).__name__}, an nn.Module is needed", as_json)
    if weights is not None:
        _load_weights(module, existing(weights), as_json)
    return module.eval()


def _load_weights(module: Any, path: Path, as_json: bool) -> None:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch's own advice would be to load it unsafely
        fail(f"{path}: no state dict: save one with torch.save(model.state_dict(), ...)", as_json)
    try:
        module.load_state_dict(state)
    except Exception as error:
        fail(f"{path}: no state dict for this model: {error}", as_json)


def _load_images(path: Path) -> Any:
    """The array of an npy file."""
    import numpy as np

    try:
        with existing(path).open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise typer.BadParameter(f"{path}: no array of numbers: save one with numpy.save", param_hint="--calibration") from None
