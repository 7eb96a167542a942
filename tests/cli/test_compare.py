"""chipflow compare: what it prints, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.cli.programs import edit, legal

GOOD = ("compare", "program.chipflow", "recording.npz")
MODEL = ("--model", "model.py:make_model", "--weights", "weights.pt")


def labelled(text: str) -> str:
    Path("labels.txt").write_text(text)
    return "labels.txt"


def test_stages_and_causes_as_text(folder: Path) -> None:
    outcome = chipflow(*GOOD)
    assert outcome.code == OK
    for words in ("quantised", "emulated chip", "clamping at each event", "note: without model="):
        assert words in outcome.out


@pytest.mark.parametrize("line", ["recording 2", "recording,2\nother,1", "#sample #class\nrecording\t2"])
def test_with_labels_and_published_accuracies(folder: Path, line: str) -> None:
    outcome = chipflow(*GOOD, "--labels", labelled(line), "--published", 0.985, 0.954, "--json")
    assert outcome.code == OK
    assert outcome.document["recordings"] == ["recording.npz"]
    assert outcome.document["stages"][-1]["accuracy"]["trials"] == 1
    assert outcome.document["prospects"]["published"] == [0.985, 0.954]


def test_another_device_and_another_step(folder: Path) -> None:
    outcome = chipflow(*GOOD, "--device", "emulator:speck2f", "--time-step-us", 500, "--json")
    assert [stage["name"] for stage in outcome.document["stages"]] == ["quantised", "emulated chip", "emulator:speck2f"]
    assert outcome.document["time_step_us"] == 500


def test_the_model_adds_the_stages_in_floats(folder: Path) -> None:
    assert (
        chipflow("compile", "model.py:make_model", "--weights", "weights.pt", "--input-shape", "2,8,8", "-o", "own.chipflow").code
        == OK
    )
    outcome = chipflow("compare", "own.chipflow", "recording.npz", *MODEL, "--json")
    assert [stage["name"] for stage in outcome.document["stages"]] == ["analog", "spiking", "quantised", "emulated chip"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("compare", "config.json", "recording.npz"), WANTING, "bare configuration"),
        (("compare", "program.chipflow", "missing.npz"), WRONG_USE, "missing.npz"),
        ((*GOOD, "--device", "speck9"), WRONG_USE, "speck9"),
        ((*GOOD, "--weights", "weights.pt"), WRONG_USE, "--model"),
        ((*GOOD, "--labels", "missing.txt"), WRONG_USE, "missing.txt"),
        ((*GOOD, "--model", "model.py:make_model", "--input-shape", "2,8,8"), WANTING, "give the model that was compiled"),
        ((*GOOD, "--published", 0.9, 0.95), WANTING, "0.95"),
    ],
)
def test_refusals(folder: Path, arguments: tuple[object, ...], code: int, message: str) -> None:
    assert message in refused(*arguments, code=code)


@pytest.mark.parametrize(
    ("text", "message"), [("other 3", "'recording'"), ("recording three", "line 1"), ("\nrecording 1 2", "line 2")]
)
def test_labels_that_cannot_be_used(folder: Path, text: str, message: str) -> None:
    labels = labelled(text)
    assert message in refused(*GOOD, "--labels", labels, code=WANTING)


def test_a_program_that_was_edited_is_refused(folder: Path) -> None:
    edited = edit("program.chipflow", legal)
    assert "hash" in refused("compare", edited, "recording.npz", code=WANTING)
