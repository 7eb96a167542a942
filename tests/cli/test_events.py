"""chipflow events: what is in recordings, and recordings written anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chipflow.events import crop, downsample, load_events, make_events, rebase_time, save_events
from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.emulator.silicon import data_folder

RECORDING = "recording.npz"
REWRITINGS = pytest.mark.parametrize("command", [["convert"], ["crop", "--x", "2:6"], ["downsample", "--factor", "2"]])


@pytest.fixture
def events(folder: Path) -> np.ndarray:
    return load_events(folder / RECORDING)


@pytest.fixture
def damaged(events: np.ndarray) -> str:
    """A csv file whose 11th event is no event."""
    lines = [f"{x},{y},{t},{p}" for x, y, t, p in events[:10].tolist()]
    Path("damaged.csv").write_text("\n".join(["x,y,t,p", *lines, "this,is,no,event", ""]))
    return "damaged.csv"


@pytest.fixture
def unsorted(events: np.ndarray) -> str:
    lines = [f"{x},{y},{t},{p}" for x, y, t, p in events[:10][::-1].tolist()]
    Path("unsorted.csv").write_text("\n".join(["x,y,t,p", *lines, ""]))
    return "unsorted.csv"


def test_info_says_what_is_in_a_recording(events):
    document = chipflow("events", "info", RECORDING, "--json").document
    (found,) = document["recordings"]
    first, last = int(events["t"][0]), int(events["t"][-1])
    assert document["ok"] is found["ok"] is True
    assert (found["format"], found["events"], found["first_us"], found["last_us"]) == ("npz", 2000, first, last)
    assert (found["x"], found["y"], found["damage"], found["skipped"]) == ([0, 7], [0, 7], "", {})
    assert found["by_polarity"] == {str(p): int((events["p"] == p).sum()) for p in (0, 1)}
    text = chipflow("events", "info", RECORDING).out
    for words in (RECORDING, "npz", "2,000", f"{last:,}", "0 to 7", f"{found['rate_hz']:,.0f}"):
        assert words in text


def test_info_of_several_is_a_row_each_and_judges_each(damaged):
    outcome = chipflow("events", "info", RECORDING, damaged)
    rows = {line.split()[0]: line.split() for line in outcome.out.splitlines() if line.strip()}
    assert outcome.code == WANTING
    assert rows[RECORDING][1:3] == ["npz", "2,000"]
    assert rows[damaged][1:3] == ["csv", "10"]
    assert f"{damaged}:" in rows
    assert f"{RECORDING}:" not in rows
    document = chipflow("events", "info", RECORDING, damaged, "--json").document
    assert (document["ok"], [found["ok"] for found in document["recordings"]]) == (False, [True, False])


def test_info_of_what_is_no_recording():
    Path("words").write_bytes(b"hello")
    outcome = chipflow("events", "info", "words")
    assert outcome.code == WANTING
    assert "words: " in outcome.out
    assert "--format" in outcome.out
    refused("events", "info", "not-there.npz", code=WRONG_USE)
    refused("events", "info", code=WRONG_USE)
    assert "aedat4" in refused("events", "info", RECORDING, "--format", "jpeg", code=WRONG_USE)


@pytest.mark.parametrize("target", ["out.npz", "out.csv"])
def test_convert_and_back(events, target):
    outcome = chipflow("events", "convert", RECORDING, target)
    assert outcome.out.startswith(f"{RECORDING}: 2,000 events read; wrote {target}: 2,000 events, ")
    chipflow("events", "convert", target, "back", "--to", "npz")
    assert load_events("back").tolist() == events.tolist()


def test_convert_rebases_time(events):
    later = make_events(*(events[name] + (10**15 if name == "t" else 0) for name in "xytp"))
    save_events("later.npz", later)
    document = chipflow("events", "convert", "later.npz", "out.npz", "--rebase", "--json").document
    assert load_events("out.npz").tolist() == rebase_time(events).tolist()
    assert (document["read"], document["written"]["events"], document["written"]["first_us"]) == (2000, 2000, 0)


def test_crop(events):
    outcome = chipflow("events", "crop", RECORDING, "out.npz", "--x", "2:6", "--y", ":5", "--time", "1000:4000", "--json")
    wanted = crop(events, x=(2, 6), y=(0, 5), t=(1000, 4000))
    assert load_events("out.npz").tolist() == wanted.tolist()
    assert outcome.document["written"]["events"] == len(wanted) > 0
    chipflow("events", "crop", RECORDING, "out.npz", "--x", "2:", "--no-rebase")
    assert load_events("out.npz").tolist() == crop(events, x=(2, None), rebase=False).tolist()
    outcome = chipflow("events", "crop", RECORDING, "out.npz", "--time", "90000000:")
    assert outcome.out.startswith(f"{RECORDING}: nothing is left of it\n")
    assert load_events("out.npz").size == 0


def test_downsample(events):
    chipflow("events", "downsample", RECORDING, "out.npz", "--factor", "4")
    assert load_events("out.npz").tolist() == downsample(events, 4).tolist()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["crop", "--x", "6:2"], "x = 6..2"),
        (["crop", "--x", "6"], "START:STOP"),
        (["crop", "--time", "-5:2"], "START:STOP"),
        (["crop"], "--x, --y or --time"),
        (["downsample"], "--factor"),
        (["downsample", "--factor", "0"], "--factor"),
        (["convert", "--to", "jpeg"], "aedat4"),
        (["convert", "--size", "8"], "WIDTH,HEIGHT"),
    ],
)
def test_wrong_use(arguments, words):
    assert words in refused("events", arguments[0], RECORDING, "out.npz", *arguments[1:], code=WRONG_USE)


@REWRITINGS
def test_a_place_that_cannot_be_written_to(command):
    assert "cannot write" in refused("events", command[0], RECORDING, "nowhere/out.npz", *command[1:], code=WRONG_USE)


@REWRITINGS
def test_damage_writes_nothing_unless_it_is_to_be_kept(damaged, events, command):
    name, *options = command
    assert "--on-damage keep" in refused("events", name, damaged, "out.npz", *options, code=WANTING)
    outcome = chipflow("events", name, damaged, "out.npz", *options, "--on-damage", "keep")
    assert outcome.code == OK
    assert "10 events read" in outcome.out.splitlines()[-1]
    assert len(outcome.out.splitlines()) == 2
    assert chipflow("events", name, damaged, "out.npz", *options, "--on-damage", "keep", "--json").document["damage"]


def test_unsorted_recordings_say_so_and_can_be_sorted(unsorted, events):
    assert "--sort" in refused("events", "convert", unsorted, "out.npz", code=WANTING)
    assert "--sort" in refused("events", "info", unsorted, code=WANTING)
    assert chipflow("events", "info", unsorted, "--sort").code == OK
    chipflow("events", "convert", unsorted, "out.npz", "--sort")
    assert load_events("out.npz")["t"].tolist() == events["t"][:10].tolist()


def test_a_recording_replaces_itself_as_a_whole(events):
    chipflow("events", "downsample", RECORDING, RECORDING, "--factor", "2")
    assert load_events(RECORDING).tolist() == downsample(events, 2).tolist()


def test_real_recordings_in_a_format_that_holds_the_size():
    pytest.importorskip("faery")
    source = data_folder("events") / "sample_nmnist.bin"
    message = refused("events", "convert", source, "out.es", code=WANTING)
    assert "--size WIDTH,HEIGHT" in message
    chipflow("events", "crop", source, "out.es", "--size", "34,34", "--x", "1:33", "--y", "1:33")
    (found,) = chipflow("events", "info", "out.es", "--json").document["recordings"]
    assert (found["format"], found["size"], found["events"]) == (
        "es",
        [32, 32],
        len(crop(load_events(source), x=(1, 33), y=(1, 33))),
    )


def test_run_takes_a_recording_of_any_format():
    chipflow("events", "convert", RECORDING, "recording.csv")
    results = [chipflow("run", "program.chipflow", path, "--json").document["counters"] for path in (RECORDING, "recording.csv")]
    assert results[0] == results[1]


def test_one_event_is_told_as_one():
    save_events("one.csv", make_events(1, 2, 3, 1))
    assert "one.csv: 1 event read; wrote out.csv: 1 event, 3 to 3 us" in chipflow("events", "convert", "one.csv", "out.csv").out
    Path("cut.csv").write_text("t,x,y,p\n3,1,2,1\n4,")
    assert "1 event before that can be had with --on-damage keep" in refused(
        "events", "convert", "cut.csv", "out.csv", code=WANTING
    )


def test_several_recordings_fit_a_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    names = ("sample.aedat4", "dvs.es", "prophesee_evt2.raw", "sample_ncars.dat", "sample_nmnist.bin")
    paths = [data_folder("events") / name for name in names]
    table = chipflow("events", "info", *paths).out.split("\n")[:2]
    assert len(table[1]) - max(len(str(path)) for path in paths) < 60
