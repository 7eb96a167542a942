"""chipflow run: a recording through a program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chipflow.cli.app import AsJson, ProgramPath, SlowClock, app
from chipflow.cli.loaded import read
from chipflow.cli.output import existing, fail, judged, names, print_json, write

if TYPE_CHECKING:
    from chipflow.events.result import RunResult


class OnOutside(StrEnum):
    """What happens to events outside the input map; `chipflow.events.array.OnOutside` for the command line."""

    error = "error"
    drop = "drop"


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
        events = load_events(recording)
        result = opened.run(
            loaded.with_clock(slow_clock_period_us), events, duration=duration, strict=strict, on_outside=on_outside.value
        )
        if output is not None:
            target = output
            write(lambda: save_events(target, result.events), output)
    _print_run(result, output, as_json)


def _print_run(result: RunResult, output: Path | None, as_json: bool) -> None:
    from dataclasses import asdict

    from chipflow.tables import table

    totals = result.accounting
    if as_json:
        counters = {core: asdict(counter) | {"layer": result.names.get(core)} for core, counter in result.counters.items()}
        return print_json({"accounting": asdict(totals), "counters": counters, "output": output and str(output)})
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
