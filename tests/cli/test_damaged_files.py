"""Files that hold no program or configuration: check and run read them alike, and name them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.cli.programs import edit_whole

BOTH = pytest.mark.parametrize("command", ["check", "run"])
PNG = b"\x89PNG\r\n\x1a\n" + zlib.compress(bytes(100))
# All examples share the folder: each of them writes its own file anew.
SHARED_FOLDER = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def call(command: str, path: str) -> tuple[str, ...]:
    """The command on this program, with a good recording where it takes one."""
    return (command, path, "recording.npz") if command == "run" else (command, path)


@BOTH
@pytest.mark.parametrize("path", ["nowhere.chipflow", "."])
def test_where_there_is_no_file_it_is_wrong_use(command, path):
    assert f"{path}: " in refused(*call(command, path), code=WRONG_USE)


@BOTH
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("path", ["program.chipflow", "config.json"])
def test_a_truncated_file_is_named(command, path, kept):
    text = Path(path).read_text().rstrip()
    Path("cut.chipflow").write_text(text[: int(kept * len(text))])
    message = refused(*call(command, "cut.chipflow"), code=WANTING)
    assert "cut.chipflow" in message
    assert "truncated" in message


@BOTH
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (PNG, "0x89"),
        (b'{"format": "onnx", "schema_version": 1}', "onnx"),
        (b'{"nodes": []}', "format"),
        (b"[1, 2]", "list"),
        (b'{"format": "chipflow-program", "schema_version": 99}', "99"),
        (b'{"format": "hwconfig", "schema_version": 99}', "99"),
    ],
)
def test_a_foreign_file_is_named(command, content, word):
    Path("picture").write_bytes(content)
    message = refused(*call(command, "picture"), code=WANTING)
    assert "picture" in message
    assert word in message


@BOTH
def test_an_archive_is_refused(command):
    assert "recording.npz: " in refused(*call(command, "recording.npz"), code=WANTING)


@BOTH
@pytest.mark.parametrize("field", ["layers", "inputs", "slow_clock_period_us", "graph", "config"])
def test_a_field_left_out_is_named(command, field):
    edit_whole("program.chipflow", lambda program: program.pop(field))
    message = refused(*call(command, "edited"), code=WANTING)
    assert "edited" in message
    assert field in message


@BOTH
def test_a_field_that_does_not_exist_is_named(command):
    edit_whole("program.chipflow", lambda program: program.update(entires=[3]))
    assert "entires" in refused(*call(command, "edited"), code=WANTING)


def test_an_error_in_json_is_one_document():
    Path("cut.chipflow").write_text("{")
    for command in ("check", "run"):
        outcome = chipflow(*call(command, "cut.chipflow"), "--json")
        assert (outcome.code, outcome.err, outcome.document["ok"]) == (WANTING, "", False)
        assert "truncated" in outcome.document["error"]


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every item of every object and list in a document."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else [])
    return [found for key, item in items for found in ((*way, key), *places(item, (*way, key)))]


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**15, 2**31, -(2**63), 10**30, 1.5, "", "x", "5"]),
    st.lists(st.integers(-1, 9), max_size=3),
    st.just({}),
)


@SHARED_FOLDER
@given(data=st.data())
def test_whatever_stands_in_a_field_there_is_a_message(data):
    """Never a traceback, also not from the run of a program whose edit was accepted."""
    document = json.loads(Path("program.chipflow").read_text())
    *way, last = data.draw(st.sampled_from(places(document)))
    part = document
    for key in way:
        part = part[key]
    part[last] = data.draw(ANYTHING)
    Path("edited").write_text(json.dumps(document))
    accepted = chipflow("check", "edited", "--accept-edit").code == OK
    assert (chipflow("check", "edited").code == OK) == accepted
    assert chipflow("run", "edited", "recording.npz").code in ((OK, WANTING) if accepted else (WANTING,))
