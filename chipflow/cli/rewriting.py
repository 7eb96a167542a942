"""A recording read chunk by chunk, changed, and written: what the commands of chipflow events share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from chipflow.cli.output import existing, judged, print_json, write
from chipflow.errors import EventError
from chipflow.progress import progress

if TYPE_CHECKING:
    from chipflow.events.array import EventArray
    from chipflow.events.files import EventFile
    from chipflow.events.summary import EventSummary
    from chipflow.events.transform import Size

OPTIONS = {
    'on_damage="keep"': "--on-damage keep",
    "sort=True": "--sort",
    "size=(width, height)": "--size WIDTH,HEIGHT",
    "format= ": "--format ",
    "format=": "--format ",
    "rebase_time(events)": "`chipflow events convert --rebase`",
}
"""Argument in the messages of `chipflow.events` -> its spelling on the command line."""


@dataclass(frozen=True)
class Reading:
    """How a recording is read: its format where it is given, whether it is sorted, and what happens where it is damaged."""

    format: str | None
    sort: bool
    on_damage: Literal["error", "keep"]

    @contextmanager
    def open(self, path: Path) -> Iterator[EventFile]:
        """The recording; what errors advise is spelt as options."""
        from chipflow.events.files import open_events

        try:
            with open_events(path, format=self.format, sort=self.sort, on_damage=self.on_damage) as file:
                yield file
        except EventError as error:
            raise EventError(as_options(str(error)), error.index) from None


def as_options(advice: str) -> str:
    """Arguments of functions, in advice, as the options of these commands."""
    for argument, option in OPTIONS.items():
        advice = advice.replace(argument, option)
    return advice


@dataclass(frozen=True)
class Rewriting:
    """What becomes of a recording.

    Attributes:
        events: of its chunks; None: what they are.
        size: of the sensor, where the file's own is not to be taken.
        size_of: of the sensor's size; None: what it is.
    """

    events: Callable[[Iterator[EventArray]], Iterable[EventArray]] | None = None
    size: Size | None = None
    size_of: Callable[[Size], Size] | None = None

    def new_size(self, known: Size | None) -> Size | None:
        """The size of what is written, where one is known."""
        whole = self.size or known
        return self.size_of(whole) if whole and self.size_of else whole


def rewrite(source: Path, target: Path, reading: Reading, to: str | None, changes: Rewriting, as_json: bool) -> None:
    """Writes `target`, as a whole or not at all, and says what was read and written."""
    from chipflow.events.files import save_events
    from chipflow.events.summary import EventSummary

    existing(source)
    written = EventSummary()
    with judged(as_json), reading.open(source) as file:
        chunks = progress(file, str(source))
        changed = _counted(chunks if changes.events is None else changes.events(chunks), written)
        size = changes.new_size(file.size)
        write(lambda: save_events(target, changed, format=to, size=size), target)
        document = {
            "ok": True, "read": file.read, "damage": as_options(file.damage), "skipped": file.skipped,
            "output": str(target), "size": size and list(size), "written": written.as_dict(),
        }  # fmt: skip
    print_json(document) if as_json else typer.echo(_told(source, document))


def _counted(chunks: Iterable[EventArray], summary: EventSummary) -> Iterator[EventArray]:
    for chunk in chunks:
        summary.add(chunk)
        yield chunk


def _told(source: Path, document: dict[str, Any]) -> str:
    from chipflow.events.event_file import counted

    written, size = document["written"], document["size"]
    notes = [f"passed over {count:,} {what}" for what, count in document["skipped"].items()]
    notes += [document["damage"]] if document["damage"] else []
    notes += ["nothing is left of it"] if document["read"] and not written["events"] else []
    span = "" if written["first_us"] is None else f", {written['first_us']:,} to {written['last_us']:,} us"
    pixels = f", {size[0]} x {size[1]} pixels" if size else ""
    wrote = f"wrote {document['output']}: {counted(written['events'])}{span}{pixels}"
    return "\n".join(f"{source}: {note}" for note in (*notes, f"{counted(document['read'])} read; {wrote}"))
