"""Recordings of the past: both emulators must go on giving these bits, whatever becomes of either of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .builders import BOTH, Kind
from .make_golden import FOLDER, from_text, recordings

FILES = sorted(FOLDER.glob("*.json"))
EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def known(found: Any, expected: Any) -> Any:
    """Of an answer what a file has: fields that results got later are in no older file."""
    return {name: known(found[name], part) for name, part in expected.items()} if isinstance(expected, dict) else found


@BOTH
@EACH
def test_the_recording_is_reproduced(path: Path, kind: Kind) -> None:
    recording, expected = from_text(path.read_text(encoding="utf-8"))
    assert known(recording.played(kind), expected) == expected


@EACH
def test_the_configuration_loads_and_keeps_the_rules(path: Path) -> None:
    recording, _ = from_text(path.read_text(encoding="utf-8"))
    assert recording.config.violations(entries=recording.options.get("entries")).ok


def test_every_recording_is_there_and_all_of_them_are_small() -> None:
    assert {path.stem for path in FILES} == set(recordings())
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 60_000


def test_the_two_orders_differ_where_streams_merge() -> None:
    depth, breadth = (from_text((FOLDER / f"residual_{order}_first.json").read_text()) for order in ("depth", "breadth"))
    assert depth[0].config == breadth[0].config
    assert depth[0].events.tolist() == breadth[0].events.tolist()
    assert depth[1]["events"] != breadth[1]["events"]
