"""chipflow check: the design rules, and files edited by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwconfig import RULES, ChipConfig
from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.cli.programs import config_part, edit, edit_whole, first_core, illegal, legal

BOTH_KINDS = pytest.mark.parametrize("path", ["program.chipflow", "config.json"])


def stamped(path: str) -> ChipConfig:
    """The configuration in a file, which must carry the right hash."""
    return ChipConfig.from_json(json.dumps(config_part(json.loads(Path(path).read_text()))))


@BOTH_KINDS
def test_a_good_file(path):
    assert chipflow("check", path).out == f"{path}: no design rule is broken\n"
    assert chipflow("check", path, "--json").document == {"ok": True, "stale": "", "violations": []}


def test_rules_lists_every_rule_and_needs_no_file():
    text = chipflow("check", "--rules").out
    for rule in RULES.values():
        note = "; can be suppressed" if rule.suppressible else ""
        assert f"{rule.name} ({rule.severity}, grade {rule.grade}{note})\n  {rule.sentence}\n" in text
        assert f"  way out: {rule.fix}\n  source: {rule.source}\n" in text
    assert chipflow("check", "--rules", "--json").document == {"rules": [rule.as_dict() for rule in RULES.values()]}


@BOTH_KINDS
def test_rules_and_a_verdict(path):
    text = chipflow("check", path, "--rules").out
    assert text.index("suppression") < text.index(f"{path}: no design rule is broken")
    document = chipflow("check", path, "--rules", "--json").document
    assert (len(document["rules"]), document["ok"]) == (len(RULES), True)


def test_without_a_file_and_without_rules_it_is_wrong_use():
    assert "--rules" in refused("check", code=WRONG_USE)


@BOTH_KINDS
def test_an_edited_file_is_reported_with_its_stale_hash_and_every_broken_rule(path):
    message = refused("check", edit(path, illegal), code=WANTING)
    for words in (
        stamped(path).hash,
        "edited by hand",
        "--accept-edit",
        "threshold-low",
        "decimator",
        "is 99",
        "0 to 7",
        "2 errors",
    ):
        assert words in message
    outcome = chipflow("check", "edited", "--json")
    assert (outcome.code, outcome.document["ok"]) == (WANTING, False)
    assert stamped(path).hash in outcome.document["stale"]
    assert {found["rule"] for found in outcome.document["violations"]} == {"threshold-low", "decimator"}
    assert all(found["fix"] for found in outcome.document["violations"])


@BOTH_KINDS
def test_a_legal_edit_is_reported_until_it_is_accepted(folder, path):
    assert "edited by hand" in refused("check", edit(path, legal), code=WANTING)
    present = set(folder.iterdir())
    assert chipflow("check", "edited", "--accept-edit").code == OK
    assert chipflow("check", "edited").code == OK
    assert set(folder.iterdir()) == present
    before, after = stamped(path), stamped("edited")
    core = before.active_cores[0]
    assert after == before.with_core(core, threshold_high=before.core(core).threshold_high + 1)


@BOTH_KINDS
def test_an_illegal_edit_is_not_accepted(path):
    message = refused("check", edit(path, illegal), "--accept-edit", code=WANTING)
    assert "threshold-low" in message
    assert "decimator" in message


@BOTH_KINDS
def test_a_good_file_is_not_written_again(path):
    before = Path(path).stat()
    assert chipflow("check", path, "--accept-edit").code == OK
    assert (Path(path).stat().st_ino, Path(path).stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"inputs": {"input": [5]}}, "5"),
        ({"slow_clock_period_us": -4}, "-4"),
        ({"layers": []}, "layers"),
    ],
)
def test_records_that_contradict_the_configuration_are_not_accepted(change, word):
    edit_whole("program.chipflow", lambda program: program.update(change))
    for option in ([], ["--accept-edit"]):
        assert word in refused("check", "edited", *option, code=WANTING)


def test_a_chip_of_a_file_that_does_not_exist_is_named_with_those_that_do():
    message = refused("check", edit("program.chipflow", lambda config: config.update(chip="speck9")), code=WANTING)
    for words in ("edited", "speck9", "speck2e, speck2f"):
        assert words in message


def test_a_program_with_another_configuration_is_refused():
    """Each of the two is stamped rightly, but they do not belong together."""
    program = json.loads(Path("program.chipflow").read_text())
    config = ChipConfig.load("config.json")
    core = config.active_cores[-1]
    free = next(other for other in config.chip.core_ids if other not in config.active_cores)
    cores = {free if core_id == core else core_id: part for core_id, part in config.cnn_layers.items()}
    program["config"] = json.loads(config.with_changes(cnn_layers=cores).to_json())
    Path("edited").write_text(json.dumps(program))
    assert "compile again" in refused("check", "edited", code=WANTING)
    assert "compile again" in refused("run", "edited", "recording.npz", code=WANTING)


# --- warnings and their suppression ---


def loud(config):
    """A warning: weights above the threshold."""
    first_core(config).update(threshold_high=1)


def stamped_with(change) -> str:
    edit("config.json", change)
    assert chipflow("check", "edited", "--accept-edit").code == OK
    return "edited"


def test_warnings_are_shown_with_the_layer_and_do_not_fail():
    outcome = chipflow("check", stamped_with(loud))
    assert outcome.code == OK
    (layer,) = {core.layer_name for core in stamped("edited").cnn_layers.values() if core.threshold_high == 1}
    for words in ("weight-above-threshold", f"({layer})", "edited: 1 warning"):
        assert words in outcome.out
    (found,) = chipflow("check", "edited", "--json").document["violations"]
    assert (found["severity"], found["layer"], found["suppressed"]) == ("warning", layer, "")


def test_suppressing_a_rule_is_written_into_the_file():
    path = stamped_with(loud)
    outcome = chipflow("check", path, "--suppress", "weight-above-threshold=as trained")
    assert outcome.code == OK
    assert "as trained" in outcome.out
    assert stamped(path).suppressed_rules == {"weight-above-threshold": "as trained"}
    assert "edited: 1 suppressed violation" in chipflow("check", path).out
    (found,) = chipflow("check", path, "--json").document["violations"]
    assert found["suppressed"] == "as trained"


def test_what_a_user_wrote_is_no_markup():
    def change(config):
        loud(config)
        first_core(config)["layer_name"] = "net[conv][/x]:bug:"

    assert "(net[conv][/x]:bug:)" in chipflow("check", stamped_with(change)).out
    outcome = chipflow("check", "edited", "--suppress", "weight-above-threshold=see [issue 5]")
    assert "see [issue 5]" in outcome.out


def test_a_suppression_is_recorded_beside_other_errors_and_said():
    config = ChipConfig.load("config.json")
    core = config.active_cores[0]
    config.with_core(core, threshold_low=0, output_decimator_interval=99).save("edited")
    outcome = chipflow("check", "edited", "--suppress", "threshold-low=works")
    assert outcome.code == WANTING
    assert "edited: suppressed threshold-low" in outcome.out
    assert stamped("edited").suppressed_rules == {"threshold-low": "works"}


def test_a_suppression_of_a_stale_file_is_not_recorded_and_that_is_said():
    edit("config.json", loud)
    outcome = chipflow("check", "edited", "--suppress", "weight-above-threshold=as trained")
    assert "edited: not recorded, as the file is stale: weight-above-threshold" in outcome.out
    assert chipflow("check", "edited", "--suppress", "weight-above-threshold=as trained", "--json").document["recorded"] is False
    assert "as trained" not in Path("edited").read_text()


def test_a_readable_file_stays_readable():
    ChipConfig.load("config.json").save("readable.json", readable=True)
    lines = Path("readable.json").read_text().count("\n")
    assert chipflow("check", "readable.json", "--suppress", "memory=doubtful").code == OK
    assert Path("readable.json").read_text().count("\n") >= lines


def test_a_clock_can_be_given_to_a_bare_configuration():
    config = ChipConfig.load("config.json")
    core = config.active_cores[0]
    biased = config.with_core(core, biases=config.core(core).biases + 1, leak_enable=True)
    biased.save("leak.json")
    assert "slow-clock" in chipflow("check", "leak.json").out
    assert "slow-clock" not in chipflow("check", "leak.json", "--slow-clock-period-us", "1000").out
    assert "slow_clock_period_us" in refused("run", "leak.json", "recording.npz", code=WANTING)
    run = chipflow("run", "leak.json", "recording.npz", "--slow-clock-period-us", "1000", "--json")
    assert run.document["counters"][str(core)]["leak_updates"] > 0
    refused("check", "leak.json", "--slow-clock-period-us", "0", code=WRONG_USE)


def test_an_error_that_may_be_suppressed_is_so_in_one_go_with_the_edit():
    edit("program.chipflow", lambda config: first_core(config).update(threshold_low=0))
    option = ("--suppress", "threshold-low=works on our board")
    assert "edited by hand" in refused("check", "edited", *option, code=WANTING)
    assert chipflow("check", "edited", *option, "--accept-edit").code == OK
    assert chipflow("check", "edited").code == OK
    assert stamped("edited").suppressed_rules == {"threshold-low": "works on our board"}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("array-shape=never mind", "these can: "),
        ("colour=blue", "'colour' cannot be suppressed"),
        ("threshold-low", "threshold-low=REASON"),
        ("threshold-low= ", "says no reason"),
    ],
)
def test_what_cannot_be_suppressed_is_wrong_use(option, words):
    assert words in refused("check", "config.json", "--suppress", option, code=WRONG_USE)
