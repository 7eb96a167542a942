"""chipflow bundle and chipflow replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from chipflow.backends import opening
from chipflow.testing import Bundle
from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.cli.programs import edit, legal
from tests.testing.runs import FakeBoard

LAYERS = ("0", "4")
MAKE = (
    "bundle",
    "program.chipflow",
    "recording.npz",
    "-o",
    "run.bundle",
    *(part for name in LAYERS for part in ("--monitor", name)),
)


@pytest.mark.parametrize("path", ["program.chipflow", "config.json"])
@pytest.mark.parametrize("target", ["emulator", "emulator:speck2f"])
def test_a_run_is_kept_and_found_again(path, target):
    made = chipflow(*[path if part == "program.chipflow" else part for part in MAKE])
    assert made.code == OK
    assert "wrote run.bundle" in made.out
    done = chipflow("replay", "run.bundle", "--target", target)
    assert done.code == OK
    assert f"replayed on {target}: the same run, event by event" in done.out
    document = chipflow("replay", "run.bundle", "--target", target, "--json").document
    assert (document["same"], document["exact"], document["first"], document["changed"]) == (True, True, None, {})
    assert document["bundle"]["device"]["chip"] == "speck2f"


def test_json_of_a_bundle_has_the_hashes_and_versions():
    document = chipflow(*MAKE, "--json").document
    assert document["output"] == "run.bundle"
    assert document["model"]["config_hash"].startswith("sha256:")
    assert document["model"]["graph_hash"].startswith("sha256:")
    assert document["versions"]["chipflow"]


def test_another_answer_is_exit_1_with_the_first_difference():
    chipflow(*MAKE)
    kept = Bundle.load("run.bundle")
    first = kept.program.config.active_cores[0]
    higher = kept.program.config.with_core(first, threshold_high=kept.program.config.core(first).threshold_high + 1)
    Bundle(type(kept.program)(higher, entries=kept.program.entries), kept.events, kept.options, kept.expected, kept.device).save(
        "run.bundle"
    )
    outcome = chipflow("replay", "run.bundle")
    assert outcome.code == WANTING
    for words in ("another run than recorded", "first difference: layer 0 (core ", "neuron (feature, y, x) = "):
        assert words in outcome.out
    document = chipflow("replay", "run.bundle", "--json").document
    assert document["same"] is False
    assert document["first"]["layer"] == "0"
    assert document["first"]["index"] >= 0
    assert chipflow("replay", "run.bundle", "--tolerance", "equal_neurons=0,max_difference=999,cosine=0,spikes=1").code == OK


def test_a_board_is_compared_within_the_tolerance(monkeypatch):
    """It loses every fourth spike."""
    chipflow(*MAKE)
    monkeypatch.setattr(opening, "open_device", lambda name: FakeBoard(name, missing=4))
    outcome = chipflow("replay", "run.bundle", "--target", "speck2fdevkit:0")
    assert outcome.code == WANTING
    assert "layer 0: " in outcome.out
    call = (
        "replay",
        "run.bundle",
        "--target",
        "speck2fdevkit:0",
        "--tolerance",
        "equal_neurons=0,max_difference=999,spikes=0.5,cosine=0.5",
    )
    assert chipflow(*call).code == OK
    assert chipflow(*call, "--json").document["tolerance"]["few"] == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["--target", "emulater"], ["emulater", "emulator:speck2f"]),
        (["--tolerance", "few=a"], ["few=a", "equal_neurons=0.9"]),
        (["--tolerance", "fews=1"], ["fews", "few"]),
        (["--tolerance", "cosine=2"], ["cosine", "2"]),
        (["--tolerance", "x"], ["'x'"]),
        (["--timeout", "-1"], ["--timeout"]),
    ],
)
def test_wrong_use_of_replay(call, words):
    chipflow(*MAKE)
    message = refused("replay", "run.bundle", *call, code=WRONG_USE)
    for word in words:
        assert word in message


def test_files_that_are_no_bundles():
    assert "nowhere" in refused("replay", "nowhere", code=WRONG_USE)
    for path in ("program.chipflow", "recording.npz"):
        for form in ([], ["--json"]):
            message = refused("replay", path, *form, code=WANTING)
            assert path in message
            assert "not a replay bundle" in message


def test_what_cannot_be_kept_is_refused():
    assert "edited by hand" in refused("bundle", edit("program.chipflow", legal), *MAKE[2:], code=WANTING)
    assert "nowhere" in refused(*MAKE, "--monitor", "nowhere", code=WANTING)
    assert "emulator" in refused(*MAKE, "--device", "emulater", code=WRONG_USE)
    Path("folder").mkdir()
    assert "folder" in refused(*MAKE[:4], "folder", *MAKE[5:], code=WRONG_USE)
