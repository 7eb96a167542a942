"""chipflow run: a recording through a program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipflow.cli.app import AsJson, ProgramPath, SlowClock, app
from chipflow.cli.loaded import read
from chipflow.cli.output import existing, fail, judged, names, print_json, write

if TYPE_CHECKING:
    from chipflow.backends.base import Device, Runnable
    from chipflow.emulator.what_if import WhatIfs
    from chipflow.events.readings import ReadoutOutput
    from chipflow.events.result import RunResult


class OnOutside(StrEnum):
    """What happens to events outside the input map; `chipflow.events.array.OnOutside` for the command line."""

    error = "error"
    drop = "drop"


class OnOverload(StrEnum):
    """`chipflow.emulator.options.OnOverload` for the command line."""

    warn = "warn"
    error = "error"


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
    slow_clock_period_us: SlowClock = None,
    strict: Annotated[bool, typer.Option(help="Stop where a state leaves its 16 bits, or only count it.")] = True,
    on_overload: Annotated[
        OnOverload, typer.Option(help="A core asked for more than its rating, by an estimate: say so, or fail.")
    ] = OnOverload.warn,
    what_if: Annotated[
        bool,
        typer.Option(
            "--what-if", help="List what the result rests on that is not public, and run again with each other way there is."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a recording through a program."""
    from chipflow.backends.base import open_device
    from chipflow.events.files import load_events, save_events

    existing(recording)
    with names("--device"):
        opened = open_device(device)
    with judged(as_json), opened:
        loaded = read(path)
        if loaded.stale:
            fail(f"{path}: {loaded.stale}", as_json)
        events, program = load_events(recording), loaded.with_clock(slow_clock_period_us)
        options = {"duration": duration, "strict": strict, "on_outside": on_outside.value, "on_overload": on_overload.value}
        result = opened.run(program, events, **options)
        others = _others(opened, program, events, result, options, as_json) if what_if else None
        if output is not None:
            target = output
            write(lambda: save_events(target, result.events), output)
    if as_json:
        return print_json(_document(result, output) | ({} if others is None else others.as_dict()))
    typer.echo(result.summary() + (f"; wrote {output}" if output else ""))
    if others is not None:
        typer.echo(f"\n{others}")
    return None


def _others(opened: Device, program: Runnable, events: Any, result: RunResult, options: dict[str, Any], as_json: bool) -> WhatIfs:
    from chipflow.backends.emulated import EmulatedDevice

    if not isinstance(opened, EmulatedDevice):
        fail(f"--what-if needs an emulator, not {opened.name}: on a board the rules are what they are", as_json)
    return opened.what_if(program, events, result, **options)


def _document(result: RunResult, output: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    counters = {core: asdict(counter) | {"layer": result.names.get(core)} for core, counter in result.counters.items()}
    load = {
        core: asdict(load) | {"mean_per_s": load.mean_per_s, "worst_per_s": load.worst_per_s, "overloaded": load.overloaded}
        for core, load in result.load.items()
    }
    return {
        "accounting": asdict(result.accounting),
        "counters": counters,
        "load_estimate": load,
        "sensor": result.sensor and asdict(result.sensor.counters),
        "readout": result.readout and _readout(result.readout),
        "warnings": result.warnings(),
        "output": output and str(output),
    }


def _readout(block: ReadoutOutput) -> dict[str, Any]:
    return {
        "events_in": block.events_in,
        "without_class": block.without_class,
        "values": [{"t": int(t), "value": int(value)} for t, value in block.values],
        "pins": [{"t": int(t), "index": int(index)} for t, index in block.pins],
    }
