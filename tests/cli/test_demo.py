"""chipflow demo: the main job on a small data set."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from chipflow import Program, demo
from tests.cli.command_line import OK, WRONG_USE, chipflow, refused

STAGES = ["ANN", "spiking", "quantised", "emulated chip"]


def test_json_has_all_stages_and_layers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "EPOCHS", 4)
    outcome = chipflow("demo", "--images", "10", "-o", "made/here", "--json")
    found = outcome.document
    assert outcome.code == OK
    assert found == json.loads(Path("made/here/results.json").read_text())
    assert (found["images"], list(found["accuracy"])) == (10, STAGES)
    program = Program.load("made/here/digits.chipflow")
    assert {row["layer"]: row["core"] for row in found["layers"]} == program.placement
    assert all(row["synops"] > 0 and row["spikes"] > 0 for row in found["layers"])
    assert all(Path(path).is_file() for path in found["files"])


def test_a_number_of_images_below_one_is_wrong_use():
    assert "--images" in refused("demo", "--images", "0", code=WRONG_USE)


def test_without_scikit_learn_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "chipflow[demo]" in refused("demo", "-o", "made", code=WRONG_USE)


def test_a_folder_that_cannot_be_made_is_wrong_use_before_any_training(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "train", lambda *_: pytest.fail("trained first"))
    assert "model.py" in refused("demo", "-o", "model.py", code=WRONG_USE)
