"""chipflow bundle and chipflow replay: a run kept in one file, and run again elsewhere or later."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipflow.cli.app import AsJson, ProgramPath, SlowClock, app
from chipflow.cli.layers import layers_named
from chipflow.cli.loaded import read
from chipflow.cli.output import existing, fail, judged, names, print_json, write
from chipflow.cli.run import OnOutside

if TYPE_CHECKING:
    from chipflow.testing import Bundle, Replay, Tolerance

TOLERANCE_HELP = (
    "What the layers may differ in, as equal_neurons=0.95,max_difference=3,cosine=0.999,spikes=0.01,few=2: these are the defaults, "
    "and any may be left out. Without it, devices that repeat a run bit for bit are compared exactly."
)


@app.command()
def bundle(
    path: ProgramPath,
    recording: Annotated[Path, typer.Argument(help="A file of events.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the bundle.")],
    device: Annotated[str, typer.Option(help="Where to run it; see `chipflow devices`.")] = "emulator",
    monitor: Annotated[
        list[str] | None,
        typer.Option(help="A layer to compare, by name or core id; repeat it. By default those the program monitors."),
    ] = None,
    duration: Annotated[int | None, typer.Option(help="Microseconds; by default up to the last event.")] = None,
    on_outside: Annotated[
        OnOutside, typer.Option(help="Events outside the input map: refuse the recording, or drop and count them.")
    ] = OnOutside.error,
    slow_clock_period_us: SlowClock = None,
    strict: Annotated[bool, typer.Option(help="Stop where a state leaves its 16 bits, or only count it.")] = True,
    as_json: AsJson = False,
) -> None:
    """Run a recording through a program, and keep all of it in one file, for `chipflow replay`."""
    from chipflow.backends.opening import open_device
    from chipflow.events import load_events
    from chipflow.testing import Bundle

    existing(recording)
    with names("--device"):
        opened = open_device(device)
    with judged(as_json), opened:
        loaded = read(path)
        if loaded.stale:
            fail(f"{path}: {loaded.stale}", as_json)
        program = loaded.with_clock(slow_clock_period_us)
        made = Bundle.record(
            program,
            load_events(recording),
            device=opened,
            monitor=layers_named(program, monitor),
            duration=duration,
            on_outside=on_outside.value,
            strict=strict,
        )
        write(lambda: made.save(output), output)
    if as_json:
        return print_json(_described(made) | {"output": str(output)})
    return typer.echo(f"{made}; wrote {output}")


@app.command()
def replay(
    path: Annotated[Path, typer.Argument(help="A bundle, written by `chipflow bundle`.")],
    target: Annotated[str, typer.Option("--target", "--device", help="Where to run it; see `chipflow devices`.")] = "emulator",
    tolerance: Annotated[str | None, typer.Option(help=TOLERANCE_HELP)] = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds allowed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a bundle again: exit 0 if the answer is the recorded one, 1 if not, with the first difference."""
    from chipflow.backends.opening import open_device
    from chipflow.testing import Bundle

    existing(path)
    allowed = _tolerance(tolerance)
    with judged(as_json):
        kept = Bundle.load(path)
    with names("--target"):
        opened = open_device(target)
    with judged(as_json), opened:
        found = kept.replay(opened, tolerance=allowed, timeout=timeout)
    if as_json:
        print_json(_answer(kept, found, target))
    else:
        typer.echo(f"{kept}\nreplayed on {target}: {found}")
    raise typer.Exit(0 if found.same else 1)


def _tolerance(text: str | None) -> Tolerance | None:
    """The tolerance in an option; what cannot be one is wrong use."""
    from chipflow.testing import Tolerance

    if text is None:
        return None
    defaults = asdict(Tolerance())
    try:
        pairs = dict(pair.split("=", 1) for pair in text.split(","))
        unknown = sorted(set(pairs) - set(defaults))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is unknown, known are {', '.join(defaults)}")
        return Tolerance(**{name: type(defaults[name])(value) for name, value in pairs.items()})
    except ValueError as error:
        message = f"{text!r}: {error}; give name=number pairs, as in equal_neurons=0.9,few=5"
        raise typer.BadParameter(message, param_hint="--tolerance") from None


def _described(kept: Bundle) -> dict[str, Any]:
    model = {"config_hash": kept.program.config.hash, "graph_hash": kept.graph_hash}
    accounting = asdict(kept.expected.accounting)
    return {"model": model, "device": dict(kept.device), "versions": dict(kept.versions), "accounting": accounting}


def _answer(kept: Bundle, found: Replay, target: str) -> dict[str, Any]:
    first = found.difference.first
    return {
        "same": found.same,
        "target": target,
        "exact": found.tolerance is None,
        "difference": str(found.difference) if found.difference else None,
        "first": first and asdict(first) | {"words": str(first)},
        "tolerance": found.tolerance and asdict(found.tolerance),
        "layers": [asdict(layer) for layer in found.layers],
        "unlike": found.unlike.splitlines(),
        "changed": {name: {"then": then, "now": now} for name, (then, now) in found.changed.items()},
        "bundle": _described(kept),
        "accounting": asdict(found.result.accounting),
    }
