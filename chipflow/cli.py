"""The command line. Exit 0: fine; 1: the input was judged and found wanting; 2: wrong use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from hwconfig.errors import DeploymentError

if TYPE_CHECKING:
    from chipflow.events.result import RunResult
    from chipflow.program import Program
    from hwconfig import ChipConfig, Report

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="From a trained network to a Speck configuration, and its emulation."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


class Quantization(StrEnum):
    """How scales are chosen; `chipflow.quantization.Mode` for the command line."""

    default = "default"
    sinabs = "sinabs"


class OnOutside(StrEnum):
    """What happens to events outside the input map; `chipflow.events.array.OnOutside` for the command line."""

    error = "error"
    drop = "drop"


ProgramPath = Annotated[Path, typer.Argument(help="A program file, or a bare configuration JSON.")]


@app.command()
def chips(as_json: AsJson = False) -> None:
    """The known chips and their cores."""
    from chipflow.tables import table
    from hwconfig import chip_names, get_chip

    specs = [get_chip(name) for name in chip_names()]
    if as_json:
        return _print_json([spec.model_dump(mode="json") for spec in specs])
    header = ["core", "kernel words", "neuron words", "bias words", "synaptic operations / s (second-hand)", "parallel"]
    for spec in specs:
        rows = [
            [
                str(core.id),
                str(core.kernel_words),
                str(core.neuron_words),
                str(core.bias_words),
                f"{core.synops_per_second:,}",
                "yes" if core.parallel else "no",
            ]
            for core in spec.cores
        ]
        typer.echo(table(f"{spec.name}: {spec.description}", header, rows))
    return None


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
    with _names("--chip"):
        spec = get_chip(chip)
    module, images = _load_model(model, weights, as_json), None if calibration is None else _load_images(calibration)
    with _judged(as_json):
        from chipflow.compiler import compile as compile_model

        program = compile_model(module, spec, shape, calibration=images, quantization=quantization.value)
        _write(lambda: program.save(output), output)
    if as_json:
        return _print_json({"program": str(output), "hash": program.config.hash, "layers": program.memory_rows()})
    typer.echo(program.summary())
    typer.echo(f"wrote {output}")
    return None


@app.command()
def check(
    path: ProgramPath,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules first.")] = False,
    accept_edit: Annotated[bool, typer.Option(help="Stamp a legal file that was edited by hand anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a configuration by the design rules."""
    from hwconfig import RULES

    with _judged(as_json):
        loaded, stale = _read(path)
    report = _config(loaded).violations()
    if stale:
        stale = "; ".join([stale, *_contradictions(loaded)])
    if stale and accept_edit and report.ok and not _contradictions(loaded):
        _write(lambda: _save(loaded, path), path)
        stale = ""
    if as_json:
        problems = report.as_dicts()
        _print_json({"ok": report.ok and not stale, "stale": stale, "violations": problems})
    else:
        for rule in RULES.values() if rules else ():
            typer.echo(f"{rule.name} ({rule.grade}): {rule.sentence}")
        _print_report(report, stale, path)
    if stale or not report.ok:
        raise typer.Exit(1)


@app.command()
def run(
    path: ProgramPath,
    recording: Annotated[Path, typer.Argument(help="Events as npz with x, y, t, p.")],
    device: Annotated[str, typer.Option(help="emulator, or emulator:CHIP.")] = "emulator",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write the spikes (npz).")] = None,
    duration: Annotated[int | None, typer.Option(help="Microseconds; by default up to the last event.")] = None,
    on_outside: Annotated[
        OnOutside, typer.Option(help="Events outside the input map: refuse the recording, or drop and count them.")
    ] = OnOutside.error,
    strict: Annotated[bool, typer.Option(help="Stop where a state leaves its 16 bits, or only count it.")] = True,
    as_json: AsJson = False,
) -> None:
    """Run a recording through a program."""
    from chipflow.backends.base import open_device
    from chipflow.events.files import load_events, save_events

    _existing(recording)
    with _names("--device"):
        opened = open_device(device)
    with _judged(as_json), opened:
        loaded, stale = _read(path)
        if stale:
            _fail(f"{path}: {stale}", as_json)
        events = load_events(recording)
        result = opened.run(loaded, events, duration=duration, strict=strict, on_outside=on_outside.value)
        if output is not None:
            target = output
            _write(lambda: save_events(target, result.events), output)
    _print_run(result, output, as_json)


def _print_run(result: RunResult, output: Path | None, as_json: bool) -> None:
    from dataclasses import asdict

    from chipflow.tables import table

    totals = result.accounting
    if as_json:
        counters = {core: asdict(counter) | {"layer": result.names.get(core)} for core, counter in result.counters.items()}
        return _print_json({"accounting": asdict(totals), "counters": counters, "output": output and str(output)})
    header = ["core", "layer", "events in", "dropped", "synaptic operations", "spikes", "at the lower bound"]
    rows = [
        [str(core), result.names.get(core, "")]
        + [f"{count:,}" for count in (c.events_in, c.dropped, c.synops, c.spikes, c.lower_clamped)]
        for core, c in result.counters.items()
    ]
    typer.echo(table("run", header, rows))
    dropped = f", {totals.dropped:,} dropped on the way" if totals.dropped else ""
    wrote = f", wrote {output}" if output else ""
    typer.echo(f"{totals.sent:,} events sent{dropped}, {totals.received:,} spikes reported{wrote}")
    return None


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
        _fail("the demo needs scikit-learn: pip install 'chipflow[demo]'", as_json, code=2)
    from chipflow.demo import run_demo

    _write(lambda: output.mkdir(parents=True, exist_ok=True), output)
    with _judged(as_json):
        outcome = run_demo(output, images)
    _print_json(outcome.as_dict()) if as_json else typer.echo(outcome.text())


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
        _fail(f"{file}: {type(error).__name__}: {error}", as_json)
    if not callable(made):
        raise typer.BadParameter(f"{file} has no function {function!r}", param_hint="MODEL")
    from torch import nn

    try:
        module: Any = made()
    except Exception as error:
        _fail(f"{spec}: {type(error).__name__}: {error}", as_json)
    if not isinstance(module, nn.Module):
        _fail(f"{spec} returned {type(module).__name__}, an nn.Module is needed", as_json)
    if weights is not None:
        _load_weights(module, _existing(weights), as_json)
    return module.eval()


def _load_weights(module: Any, path: Path, as_json: bool) -> None:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch's own advice would be to load it unsafely
        _fail(f"{path}: no state dict: save one with torch.save(model.state_dict(), ...)", as_json)
    try:
        module.load_state_dict(state)
    except Exception as error:
        _fail(f"{path}: no state dict for this model: {error}", as_json)


def _load_images(path: Path) -> Any:
    """The array of an npy file."""
    import numpy as np

    try:
        with _existing(path).open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise typer.BadParameter(f"{path}: no array of numbers: save one with numpy.save", param_hint="--calibration") from None


def _read(path: Path) -> tuple[Program | ChipConfig, str]:
    """What is in a program file or a bare configuration, and how its hash is stale."""
    from chipflow.errors import ProgramFileError
    from chipflow.program import Program
    from hwconfig import HwconfigError, files

    try:
        document = files.parse(_existing(path).read_text(encoding="utf-8"), "program or configuration")
        if document.get("format") != files.FORMAT:
            return Program.read(path)
        config, stated = files.read_document(document)
    except (OSError, UnicodeDecodeError, HwconfigError) as error:
        raise ProgramFileError(f"{path}: {error}") from None
    return config, "" if stated == config.hash else files.stale_message(stated, config.hash)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise typer.BadParameter(f"{path}: no such file")
    return path


@contextmanager
def _names(option: str) -> Iterator[None]:
    """A name that does not exist is wrong use of the option."""
    try:
        yield
    except DeploymentError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _contradictions(loaded: Program | ChipConfig) -> list[str]:
    from chipflow.program import Program
    from chipflow.program_file import contradictions

    return contradictions(loaded) if isinstance(loaded, Program) else []


def _config(loaded: Program | ChipConfig) -> ChipConfig:
    from chipflow.program import Program

    return loaded.config if isinstance(loaded, Program) else loaded


def _save(loaded: Program | ChipConfig, path: Path) -> None:
    from chipflow.program import Program
    from hwconfig.files import write_text

    if isinstance(loaded, Program):
        loaded.save(path)
    else:
        write_text(path, loaded.to_json())


def _write(action: Any, path: Path) -> None:
    try:
        action()
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from None


def _print_report(report: Report, stale: str, path: Path) -> None:
    if stale:
        typer.echo(f"stale: {stale}")
    typer.echo(str(report) if report.violations else f"{path}: no design rule is broken")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1))


class _judged:  # noqa: N801  # reads as a word in `with _judged(...)`
    """Turns an error about the input into a message and exit 1."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DeploymentError):
            _fail(str(error), self.as_json)


def _fail(message: str, as_json: bool, code: int = 1) -> NoReturn:
    if as_json:
        _print_json({"ok": False, "error": message})
    else:
        typer.echo(message, err=True)
    raise typer.Exit(code)
