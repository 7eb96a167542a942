"""What chipflow events info finds in a recording, and how it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chipflow.cli.rewriting import Reading, as_options
from chipflow.errors import EventError
from chipflow.progress import progress

Found = dict[str, Any]
"""Plain data about one recording, as `--json` prints it."""

HEADER = ("recording", "format", "pixels", "events", "seconds", "events / s")


def look(path: Path, reading: Reading) -> Found:
    """Reads a recording once, chunk by chunk."""
    from chipflow.events.summary import EventSummary

    summary = EventSummary()
    found: Found = {"path": str(path), "ok": False, "format": None, "size": None, "damage": "", "skipped": {}}
    try:
        with reading.open(path) as file:
            found["format"] = file.format.name
            for chunk in progress(file, str(path)):
                summary.add(chunk)
            found |= {
                "ok": not file.damage,
                "size": file.size and list(file.size),
                "damage": as_options(file.damage),
                "skipped": file.skipped,
            }
    except EventError as error:
        found["damage"] = str(error)
    return found | summary.as_dict()


def looked_at(looks: list[Found]) -> str:
    """All there is to say of one recording, or a row for each of several; below it what is wrong or was passed over."""
    from chipflow.tables import table, text_table

    if len(looks) > 1:
        shown = table("", HEADER, [[_facts(found)[name] for name in HEADER] for found in looks])
    else:
        shown = text_table(
            "",
            ["recording", looks[0]["path"]],
            [[name, fact] for name, fact in list(_facts(looks[0]).items())[1:] if fact],
        )
    return "\n".join([shown.strip("\n"), *(note for found in looks for note in _notes(found))])


def _facts(found: Found) -> dict[str, str]:
    """In words, in the order of the table."""
    return {
        "recording": found["path"],
        "format": found["format"] or "",
        "pixels": " x ".join(map(str, found["size"] or ())),
        "events": f"{found['events']:,}",
        "first, us": "" if found["first_us"] is None else f"{found['first_us']:,}",
        "last, us": "" if found["last_us"] is None else f"{found['last_us']:,}",
        "seconds": f"{found['duration_us'] / 1e6:,.6g}",
        "events / s": "" if found["rate_hz"] is None else f"{found['rate_hz']:,.0f}",
        "x": " to ".join(map(str, found["x"] or ())),
        "y": " to ".join(map(str, found["y"] or ())),
    } | {f"events with p = {value}": f"{count:,}" for value, count in found["by_polarity"].items()}


def _notes(found: Found) -> list[str]:
    skipped = [f"passed over {count:,} {what}" for what, count in found["skipped"].items()]
    damage = [str(found["damage"]).removeprefix(f"{found['path']}: ")] if found["damage"] else []
    return [f"{found['path']}: {note}" for note in (*skipped, *damage)]
