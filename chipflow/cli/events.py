"""chipflow events: what is in a recording, and recordings in other formats, cropped or coarser."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.event_info import look, looked_at
from chipflow.cli.output import existing, names, print_json
from chipflow.cli.rewriting import Reading, Rewriting, rewrite

if TYPE_CHECKING:
    from chipflow.events.array import EventArray
    from chipflow.events.transform import Range, Size

events = typer.Typer(no_args_is_help=True, help="Recordings: what is in them, other formats of them, parts of them.")
app.add_typer(events, name="events")


class OnDamage(StrEnum):
    """What happens at the first place where a file is damaged; `chipflow.events.files.OnDamage` for the command line."""

    error = "error"
    keep = "keep"


Source = Annotated[Path, typer.Argument(help="A recording, of any format.")]
Target = Annotated[Path, typer.Argument(help="The recording to write; an existing one is replaced when all is well.")]
From = Annotated[
    str | None,
    typer.Option("--format", help="The recording's format, where its first bytes do not tell; never told by its name."),
]
To = Annotated[str | None, typer.Option("--to", help="The format to write; by default that of the name's ending.")]
Sort = Annotated[bool, typer.Option("--sort", help="Put events in the order of time; the whole recording must fit in memory.")]
Damage = Annotated[
    OnDamage, typer.Option("--on-damage", help="Where the recording is damaged: write nothing, or keep what comes before.")
]
Pixels = Annotated[
    str | None,
    typer.Option("--size", metavar="WIDTH,HEIGHT", help="The sensor's size, for formats that hold it, where it is not known."),
]
Window = "START:STOP, the second not included; either may be left out."


@events.command()
def info(
    paths: Annotated[list[Path], typer.Argument(help="Recordings, of any formats.")],
    format: From = None,
    sort: Sort = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in recordings, and whether they can be read to their end; exit 1 where one cannot."""
    reading = Reading(_format(format, "--format"), sort, "keep")
    looks = [look(existing(path), reading) for path in paths]
    fine = all(found["ok"] for found in looks)
    print_json({"ok": fine, "recordings": looks}) if as_json else typer.echo(looked_at(looks))
    if not fine:
        raise typer.Exit(1)


@events.command()
def convert(
    source: Source,
    target: Target,
    to: To = None,
    format: From = None,
    size: Pixels = None,
    rebase: Annotated[bool, typer.Option("--rebase", help="Count time from the first event.")] = False,
    sort: Sort = False,
    on_damage: Damage = OnDamage.error,
    as_json: AsJson = False,
) -> None:
    """Write a recording in another format."""
    changes = Rewriting(from_zero if rebase else None, _size(size))
    rewrite(source, target, _reading(format, sort, on_damage), _format(to, "--to"), changes, as_json)


@events.command()
def crop(
    source: Source,
    target: Target,
    x: Annotated[str | None, typer.Option("--x", metavar="RANGE", help=f"Columns {Window}")] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="RANGE", help=f"Rows {Window}")] = None,
    time: Annotated[str | None, typer.Option("--time", metavar="RANGE", help=f"Microseconds of the recording {Window}")] = None,
    rebase: Annotated[
        bool, typer.Option("--rebase/--no-rebase", help="Whether pixels and time count from where the window starts.")
    ] = True,
    to: To = None,
    format: From = None,
    size: Pixels = None,
    sort: Sort = False,
    on_damage: Damage = OnDamage.error,
    as_json: AsJson = False,
) -> None:
    """Write the part of a recording that lies in a window of pixels and of time."""
    from chipflow.events import transform

    window = {"x": _range(x, "x"), "y": _range(y, "y")}
    t = _range(time, "time")
    if x is y is time is None:
        raise typer.BadParameter("give --x, --y or --time, or more of them")

    def part(chunks: Iterator[EventArray]) -> Iterator[EventArray]:
        for chunk in chunks:
            if chunk.size and t[1] is not None and chunk["t"][0] >= t[1]:
                return  # nothing that comes later is inside
            yield transform.crop(chunk, **window, t=t, rebase=rebase)

    def size_of(whole: Size) -> Size:
        return transform.cropped_size(whole, **window, rebase=rebase)

    rewrite(
        source, target, _reading(format, sort, on_damage), _format(to, "--to"), Rewriting(part, _size(size), size_of), as_json
    )


@events.command()
def downsample(
    source: Source,
    target: Target,
    factor: Annotated[int, typer.Option(min=1, help="Pixels that become one, along x and along y.")],
    to: To = None,
    format: From = None,
    size: Pixels = None,
    sort: Sort = False,
    on_damage: Damage = OnDamage.error,
    as_json: AsJson = False,
) -> None:
    """Write a recording with fewer pixels; every event is kept."""
    from chipflow.events import transform

    changes = Rewriting(
        lambda chunks: (transform.downsample(chunk, factor) for chunk in chunks),
        _size(size),
        lambda whole: transform.downsampled_size(whole, factor),
    )
    rewrite(source, target, _reading(format, sort, on_damage), _format(to, "--to"), changes, as_json)


def from_zero(chunks: Iterator[EventArray]) -> Iterator[EventArray]:
    """The chunks of a recording, with time counted from its first event."""
    from chipflow.events.array import rebase_time

    start = None
    for chunk in chunks:
        if chunk.size:
            first = int(chunk["t"][0])
            start = first if start is None else start
            yield rebase_time(chunk, first - start)


def _reading(format: str | None, sort: bool, on_damage: OnDamage) -> Reading:
    return Reading(_format(format, "--format"), sort, on_damage.value)


def _format(name: str | None, option: str) -> str | None:
    """A format's name, which must exist."""
    from chipflow.events.formats.registry import named

    with names(option):
        return None if name is None else named(name).name


def _size(text: str | None) -> Size | None:
    """(width, height) of WIDTH,HEIGHT."""
    if text is None:
        return None
    width, comma, height = text.partition(",")
    if not (comma and width.strip().isdecimal() and height.strip().isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(f"{text!r} is not WIDTH,HEIGHT in whole numbers from 1", param_hint="--size")
    return int(width), int(height)


def _range(text: str | None, name: str) -> Range:
    """(start, stop) of START:STOP."""
    from chipflow.events.transform import check_range

    if text is None:
        return None, None
    start, colon, stop = text.partition(":")
    if not (colon and all(part.strip().isdecimal() for part in (start, stop) if part)):
        raise typer.BadParameter(f"{text!r} is not START:STOP in whole numbers from 0", param_hint=f"--{name}")
    bounds = int(start) if start else None, int(stop) if stop else None
    with names(f"--{name}"):
        check_range(name, *bounds)
    return bounds
