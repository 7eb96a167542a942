"""chipflow compile: a network to a program file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.model_files import input_shape as shape_of
from chipflow.cli.model_files import load_array, load_model
from chipflow.cli.output import existing, judged, names, print_json, report_table, write
from chipflow.cli.placing import ChipName, InputShape, Objective, Objectives, Pins, Readout, Sensor, Split, pins_of


class Quantization(StrEnum):
    """How scales are chosen; `chipflow.quantization.Mode` for the command line."""

    default = "default"
    sinabs = "sinabs"
    search = "search"


@app.command()
def compile(
    model: Annotated[str, typer.Argument(help="model.py:function, which returns an nn.Module, or a NIR file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The program file to write.")],
    input_shape: InputShape = None,
    weights: Annotated[Path | None, typer.Option(help="A state dict saved by torch.save; weights only, never a pickle.")] = None,
    chip: ChipName = "speck2f",
    quantization: Annotated[Quantization, typer.Option(help="How scales are chosen.")] = Quantization.default,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Images (n, features, y, x) or recordings (n, time, features, y, x) in an npy file: from them the conversion takes "
            "its scales, and --quantization search its spikes."
        ),
    ] = None,
    objective: Objectives = Objective.memory,
    recording: Annotated[
        Path | None,
        typer.Option(
            help="A recording, of any format of `chipflow events`, from which --objective speed counts each layer's work."
        ),
    ] = None,
    split: Split = True,
    pin: Pins = None,
    sensor: Sensor = False,
    readout: Readout = False,
    time_step_us: Annotated[int, typer.Option(min=1, help="Microseconds of a time step: biases are added once in each.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Convert, quantise and place a network; write a program file."""
    from hwconfig import get_chip

    shape = shape_of(input_shape, model)
    pins = pins_of(pin)
    with names("--chip"):
        spec = get_chip(chip)
    module = load_model(model, weights, as_json)
    images = None if calibration is None else load_array(calibration, "--calibration")
    with judged(as_json):
        from chipflow.compiler import compile as compile_model

        program = compile_model(
            module, spec, shape, layer2core_map=pins, calibration=images, quantization=quantization.value, time_step_us=time_step_us,
            objective=objective.value, recording=_events(recording), split=split, sensor=sensor, readout=readout,
        )  # fmt: skip
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


def _events(recording: Path | None) -> Any:
    from chipflow.events.files import load_events

    return None if recording is None else load_events(existing(recording))
