"""chipflow run: a recording, or what a sensor sees, through a program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipflow.cli.app import AsJson, ProgramPath, SlowClock, app
from chipflow.cli.layers import layers_named
from chipflow.cli.loaded import read
from chipflow.cli.output import existing, fail, judged, names, print_json, write
from chipflow.cli.run_output import document

if TYPE_CHECKING:
    from chipflow.backends.base import Device, Runnable
    from chipflow.emulator.what_if import WhatIfs
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
    recording: Annotated[
        Path | None,
        typer.Argument(help="A recording, of any format of `chipflow events`; left out, the device's sensor says what happens."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="emulator, emulator:CHIP, or a board such as speck2fdevkit:0; `chipflow devices` lists them.")
    ] = "emulator",
    sensor: Annotated[Path | None, typer.Option(help="A recording that an emulator's sensor sees.")] = None,
    monitor: Annotated[
        list[str] | None, typer.Option(help="A layer's name, or a core's id, to report; may be given several times.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write the spikes (npz).")] = None,
    duration: Annotated[int | None, typer.Option(help="Microseconds; by default up to the last event.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that the run may take; by default any number.")] = None,
    on_outside: Annotated[
        OnOutside, typer.Option(help="Events outside the input map: refuse the recording, or drop and count them.")
    ] = OnOutside.error,
    slow_clock_period_us: SlowClock = None,
    strict: Annotated[bool, typer.Option(help="Stop where a state leaves its 16 bits, or only count it; on an emulator.")] = True,
    on_overload: Annotated[
        OnOverload, typer.Option(help="A core asked for more than its rating, by an estimate: say so, or fail; on an emulator.")
    ] = OnOverload.warn,
    what_if: Annotated[
        bool,
        typer.Option(
            "--what-if", help="List what the result rests on that is not public, and run again with each other way there is."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a recording through a program, or what a sensor sees."""
    from chipflow.backends.opening import open_device
    from chipflow.events import load_events, save_events

    for file in (recording, sensor):
        if file is not None:
            existing(file)
    _check_source(recording, sensor, [what_if, timeout is not None, on_outside == OnOutside.drop])
    with names("--device"):
        opened = open_device(device, sensor=sensor)
    with judged(as_json), opened:
        loaded = read(path)
        if loaded.stale:
            fail(f"{path}: {loaded.stale}", as_json)
        program = loaded.with_clock(slow_clock_period_us)
        options: dict[str, Any] = {"monitor": layers_named(program, monitor)} | _own_options(opened, strict, on_overload)
        others = None
        if recording is None:
            result = _sensed(opened, program, duration, options)
        else:
            events = load_events(recording)
            options |= {"duration": duration, "on_outside": on_outside.value}
            result = opened.run(program, events, timeout=timeout, **options)
            others = _others(opened, program, events, result, options, as_json) if what_if else None
        if output is not None:
            target = output
            write(lambda: save_events(target, result.events), output)
    if as_json:
        return print_json(document(result, output) | ({} if others is None else others.as_dict()))
    typer.echo(result.summary() + (f"; wrote {output}" if output else ""))
    if others is not None:
        typer.echo(f"\n{others}")
    return None


def _check_source(recording: Path | None, sensor: Path | None, of_recordings: list[bool]) -> None:
    """One source of events, and no option that concerns the other one."""
    if recording is not None and sensor is not None:
        raise typer.BadParameter("events come from the recording or from the sensor, not from both: leave one of them out")
    if recording is None and any(of_recordings):
        raise typer.BadParameter("--what-if, --timeout and --on-outside drop are for a recording: give one, or leave them out")


def _own_options(opened: Device, strict: bool, on_overload: OnOverload) -> dict[str, Any]:
    """What only an emulator looks at; a board is asked for it only where it was asked for, and then says no."""
    options = {"strict": (strict, True), "on_overload": (on_overload.value, OnOverload.warn.value)}
    return {name: value for name, (value, usual) in options.items() if "counters" in opened.capabilities or value != usual}


def _sensed(opened: Device, program: Runnable, duration: int | None, options: dict[str, Any]) -> RunResult:
    """What the monitored layers answer to what the sensor sees."""
    from chipflow.backends.collected import collected
    from chipflow.backends.layers import monitored
    from chipflow.emulator.network import network_of
    from chipflow.events.readings import US_PER_S

    if duration is None and "counters" not in opened.capabilities:
        raise typer.BadParameter(f"the sensor of {opened.name} sees something for ever: give --duration", param_hint="--duration")
    chunks = opened.stream(program, seconds=None if duration is None else duration / US_PER_S, **options)
    config = monitored(program, options["monitor"])
    order = network_of(config, program.entries).order
    return collected(chunks, program, [core for core in order if config.core(core).monitor_enable])


def _others(opened: Device, program: Runnable, events: Any, result: RunResult, options: dict[str, Any], as_json: bool) -> WhatIfs:
    from chipflow.backends.emulated import EmulatedDevice

    if not isinstance(opened, EmulatedDevice):
        fail(f"--what-if needs an emulator, not {opened.name}: on a board the rules are what they are", as_json)
    return opened.what_if(program, events, result, **options)
