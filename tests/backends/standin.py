"""The stand-in of the vendor's package in its place, for one test."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from chipflow import open_device
from chipflow.backends.base import Device
from chipflow.backends.board import conversation
from chipflow.events import EventArray

FOLDER = Path(__file__).resolve().parents[1] / "samna_standin"


def of_samna() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "samna"]


@contextmanager
def standin(**faults: Any) -> Iterator[Any]:
    """`import samna` is the stand-in, with these faults; yields it. Unless it is to be in real time, time does not matter."""
    before = {name: sys.modules.pop(name) for name in of_samna()}
    environment = {"SAMNA_STANDIN": json.dumps(faults)}
    try:
        with patch.dict(os.environ, environment), patch.object(sys, "path", [str(FOLDER), *sys.path]):
            import samna  # pyright: ignore[reportMissingImports]
            from samna._board import clock  # pyright: ignore[reportMissingImports]

            with patch.object(conversation, "host_clock", conversation.host_clock if faults.get("realtime") else clock):
                yield samna
    finally:
        for name in of_samna():
            del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def opened_on_standin(name: str, seen: EventArray | None) -> Iterator[Device]:
    """A board of the stand-in's."""
    rows = [] if seen is None else seen[["x", "y", "t", "p"]].tolist()
    with standin(seen=rows), open_device(name) as device:
        yield device
