"""chipflow diff."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwconfig import ChipConfig
from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.cli.programs import edit, legal


def test_a_program_and_its_configuration_do_not_differ():
    outcome = chipflow("diff", "program.chipflow", "config.json")
    assert (outcome.code, outcome.out) == (OK, "no difference\n")
    assert chipflow("diff", "config.json", "config.json", "--json").document == {"equal": True, "differences": [], "stale": []}


def test_what_differs_is_said_core_by_core_under_the_layers_names():
    config = ChipConfig.load("config.json")
    core = config.active_cores[0]
    before = config.core(core).threshold_high
    changed = config.with_core(core, threshold_high=before + 59)
    changed.save("other.json")
    outcome = chipflow("diff", "config.json", "other.json")
    assert outcome.code == WANTING
    name = config.core(core).layer_name
    assert f"core {core} ({name}): threshold_high {before} -> {before + 59}" in outcome.out
    document = chipflow("diff", "config.json", "other.json", "--json").document
    assert document["equal"] is False
    (found,) = document["differences"]
    assert (found["before"], found["after"], found["field"]) == (before, before + 59, "threshold_high")


def test_a_file_edited_by_hand_is_compared_and_named():
    outcome = chipflow("diff", "config.json", edit("config.json", legal))
    assert outcome.code == WANTING
    assert "edited: the configuration was edited by hand" in outcome.out
    assert "threshold_high" in outcome.out
    assert "edited by hand" in chipflow("diff", "config.json", "edited", "--json").document["stale"][0]


@pytest.mark.parametrize("command", [("nowhere.json", "config.json"), ("config.json", "nowhere.json"), ("config.json",)])
def test_where_there_is_no_file_it_is_wrong_use(command):
    refused("diff", *command, code=WRONG_USE)


def test_a_damaged_file_is_named():
    Path("cut.json").write_text(Path("config.json").read_text()[:100])
    assert "cut.json" in refused("diff", "config.json", "cut.json", code=WANTING)
    outcome = chipflow("diff", "config.json", "cut.json", "--json")
    assert json.loads(outcome.out)["ok"] is False
