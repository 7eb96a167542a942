"""chipflow run: a recording through a program, and recordings that cannot be used."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from chipflow import Program, open_device
from chipflow.events import RunResult
from chipflow.events.files import load_events
from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions, DvsDestination, DvsLayerConfig, ReadoutConfig
from hwconfig.files import write_text
from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.cli.programs import edit, illegal, legal

GOOD = ("run", "program.chipflow", "recording.npz")


def expected(**options: object) -> RunResult:
    """The same run in Python."""
    with open_device("emulator") as device:
        return device.run(Program.load("program.chipflow"), load_events("recording.npz"), **options)


def write_recording(**columns: object) -> str:
    """Two events, the fields given in place of theirs."""
    np.savez("bad.npz", **({"x": [1, 1], "y": [2, 2], "t": [0, 7], "p": [0, 1]} | columns))
    return "bad.npz"


@pytest.mark.parametrize("path", ["program.chipflow", "config.json"])
@pytest.mark.parametrize("device", ["emulator", "emulator:speck2f"])
def test_the_run_is_that_of_the_python_call(folder, path, device):
    wanted, before = expected(), set(folder.iterdir())
    outcome = chipflow("run", path, "recording.npz", "--device", device, "-o", "spikes.npz", "--json")
    assert outcome.code == OK
    assert {made.name for made in set(folder.iterdir()) - before} == {"spikes.npz"}
    assert load_events("spikes.npz").tolist() == wanted.events.tolist()
    assert len(wanted.events) > 0
    assert outcome.document["output"] == "spikes.npz"
    assert outcome.document["accounting"] == asdict(wanted.accounting)
    counters = {str(core): asdict(counted) | {"layer": wanted.names[core]} for core, counted in wanted.counters.items()}
    assert outcome.document["counters"] == counters


def test_text_has_the_counters_of_every_layer_and_the_file_written():
    wanted = expected()
    text = chipflow(*GOOD, "-o", "spikes.npz").out
    for name, core in Program.load("program.chipflow").placement.items():
        row = next(line.split() for line in text.splitlines() if line.split()[:2] == [str(core), name])
        assert f"{wanted.counters[core].synops:,}" in row
        assert f"{wanted.counters[core].spikes:,}" in row
    for words in ("2,000 events sent", f"{len(wanted.events)} spikes reported", "spikes.npz"):
        assert words in text


def test_duration_is_passed_on():
    assert chipflow(*GOOD, "--duration", "20000").code == OK
    assert "9999" not in refused(*GOOD, "--duration", "-1", code=(WANTING, WRONG_USE))
    message = refused(*GOOD, "--duration", "3", code=WANTING)
    assert "event " in message
    assert "duration of 3 us" in message


def test_an_event_outside_the_map_is_refused_with_its_index():
    write_recording(x=[1, 9])
    for form in ([], ["--json"]):
        message = refused("run", "program.chipflow", "bad.npz", "-o", "spikes.npz", *form, code=WANTING)
        for words in ("event 1", "x=9", "(2, 8, 8)", "drop"):
            assert words in message


def test_an_event_outside_the_map_is_counted_where_dropping_was_asked_for():
    write_recording(x=[1, 9])
    call = ("run", "program.chipflow", "bad.npz", "--on-outside", "drop")
    accounting = chipflow(*call, "--json").document["accounting"]
    assert (accounting["sent"], accounting["dropped"]) == (2, 1)
    assert "1 dropped" in chipflow(*call).out
    assert "ignore" in refused(*call[:-1], "ignore", code=WRONG_USE)


def test_a_state_that_leaves_its_range_is_an_error_or_counted():
    core = CoreConfig(
        dimensions=Dimensions(kernel_size=1, input_shape=(1, 1, 1), output_shape=(1, 1, 1)),
        weights=np.full((1, 1, 1, 1), 127),
        neurons_initial_value=np.full((1, 1, 1), 32700),
        threshold_high=32767,
        threshold_low=-1,
    )
    write_text("full.json", ChipConfig(chip="speck2f", cnn_layers={4: core}).to_json())
    write_recording(x=0, y=0, t=[9], p=0)
    message = refused("run", "full.json", "bad.npz", code=WANTING)
    for words in ("core 4", "(0, 0, 0)", "9 us"):
        assert words in message
    assert chipflow("run", "full.json", "bad.npz", "--no-strict", "--json").document["counters"]["4"]["upper_clamped"] == 1


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"t": [7, 0]}, ["event 1", "sort"]),
        ({"t": [-1, 0]}, ["event 0", "-1"]),
        ({"x": [1.5, 1.0]}, ["x", "integers"]),
        ({"x": [1, 2, 3]}, ["x", "length"]),
        ({"x": [1, 70_000]}, ["event 1", "70000"]),
        ({"polarity": [1, 1]}, ["polarity"]),
        ({"x": np.array([{}, {}], dtype=object)}, []),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused(columns, words):
    write_recording(**columns)
    message = refused("run", "program.chipflow", "bad.npz", "-o", "spikes.npz", code=WANTING)
    for word in ["bad.npz", *words]:
        assert word in message


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_truncated_recording_is_refused(kept):
    data = Path("recording.npz").read_bytes()
    Path("cut.npz").write_bytes(data[: int(kept * len(data))])
    assert "cut.npz" in refused("run", "program.chipflow", "cut.npz", code=WANTING)


@pytest.mark.parametrize("path", ["program.chipflow", "model.py", "weights.pt"])
def test_a_foreign_recording_is_refused_without_unsafe_advice(path):
    message = refused("run", "program.chipflow", path, code=WANTING)
    assert path in message
    assert "allow_pickle" not in message


def test_a_missing_recording_is_wrong_use():
    assert "nowhere.npz" in refused("run", "program.chipflow", "nowhere.npz", code=WRONG_USE)


@pytest.mark.parametrize("path", ["program.chipflow", "config.json"])
@pytest.mark.parametrize("change", [legal, illegal])
def test_an_edited_program_is_not_run_before_it_was_checked(path, change):
    message = refused("run", edit(path, change), "recording.npz", code=WANTING)
    for words in ("edited", "edited by hand", "chipflow check --accept-edit"):
        assert words in message


def test_an_unknown_device_is_wrong_use_and_the_known_ones_are_named():
    for name in ("emulater", "emulator:speck9"):
        message = refused(*GOOD, "--device", name, code=WRONG_USE)
        for words in (name, "emulator:speck2e", "emulator:speck2f"):
            assert words in message


def test_a_program_for_another_chip_is_refused():
    message = refused(*GOOD, "--device", "emulator:speck2e", code=WANTING)
    assert "speck2f" in message
    assert "speck2e" in message


@pytest.mark.parametrize("target", ["nowhere/spikes.npz", "folder"])
def test_an_output_that_cannot_be_written_is_wrong_use(folder, target):
    (folder / "folder").mkdir()
    assert target in refused(*GOOD, "-o", target, code=WRONG_USE)


def test_a_chip_of_the_users_own_is_a_device():
    Path("mine.toml").write_text('like = "speck2f"\nname = "speck2x"\n')
    assert (
        chipflow("compile", "model.py:make_model", "--input-shape", "2,8,8", "--chip", "mine.toml", "-o", "own.chipflow").code
        == OK
    )
    assert chipflow("run", "own.chipflow", "recording.npz", "--device", "emulator:mine.toml").code == OK
    assert chipflow("run", "program.chipflow", "recording.npz", "--device", "emulator:speck2fdevkit").code == OK
    assert "speck2x" in refused("run", "program.chipflow", "recording.npz", "--device", "emulator:mine.toml", code=WANTING)
    refused("run", "program.chipflow", "recording.npz", "--device", "emulator:nothing.toml", code=WRONG_USE)
    refused("run", "program.chipflow", "recording.npz", "--device", "speck2f", code=WRONG_USE)


def write_dense_recording(count: int) -> str:
    """So many events in a millisecond: more than a core is rated for."""
    rng = np.random.default_rng(0)
    x, y, p = (rng.integers(0, size, count) for size in (8, 8, 2))
    np.savez("dense.npz", x=x, y=y, t=np.sort(rng.integers(0, 1000, count)), p=p)
    return "dense.npz"


def test_an_overloaded_core_is_a_warning_and_an_error_where_asked_for():
    assert "overloaded" not in chipflow(*GOOD).out
    assert chipflow(*GOOD, "--json").document["warnings"] == []
    dense = write_dense_recording(20_000)
    usual = chipflow("run", "program.chipflow", dense)
    assert usual.code == OK
    assert "warning: core" in usual.out
    assert "estimated" in usual.out
    assert any(
        load["overloaded"] for load in chipflow("run", "program.chipflow", dense, "--json").document["load_estimate"].values()
    )
    message = refused("run", "program.chipflow", dense, "--on-overload", "error", "-o", "spikes.npz", code=WANTING)
    for words in ("overloaded", "rated at", "second-hand"):
        assert words in message
    assert not Path("spikes.npz").exists()


def test_what_if_lists_what_is_not_public_and_runs_again():
    text = chipflow(*GOOD, "--what-if").out
    for words in ("no-timing", "order-of-spikes", "breadth first", "nothing in this configuration depends on it"):
        assert words in text
    document = chipflow(*GOOD, "--what-if", "--json").document
    assert {found["grade"] for found in document["assumptions"]} <= {"B", "C"}
    assert [run["rule"] for run in document["what_if"]] == ["zero-weights", "depth-first", "decimator"]
    assert all(bool(run["difference"]) == run["changed"] for run in document["what_if"])


def test_what_sensor_and_readout_block_did_is_shown():
    """The emulator's own tests say what is right; here it has to be seen."""
    size = Dimensions(kernel_size=1, input_shape=(1, 4, 4), output_shape=(1, 4, 4))
    core = CoreConfig(
        dimensions=size,
        weights=np.ones((1, 1, 1, 1), int),
        threshold_high=1,
        threshold_low=-1,
        destinations=[Destination(layer=12)],
    )
    config = ChipConfig(
        chip="speck2f",
        cnn_layers={3: core},
        dvs_layer=DvsLayerConfig(merge=True, cut=(3, 3), destinations=[DvsDestination(layer=3)]),
        readout=ReadoutConfig(enable=True, monitor_enable=True, low_pass_filter_disable=True),
    )
    config.save("blocks.json")
    np.savez("seen.npz", x=[0, 1, 9], y=[0, 0, 0], t=[1, 2, 3], p=[0, 1, 0])
    call = ("run", "blocks.json", "seen.npz", "--slow-clock-period-us", "10", "--duration", "20")
    text = chipflow(*call).out
    assert "sensor: 3 events, 2 went on" in text
    assert "1 outside the region" in text
    assert "readout: 2 spikes; 2 values" in text
    document = chipflow(*call, "--json").document
    assert document["sensor"]["events_out"] == 2
    assert document["readout"]["values"] == [{"t": 10, "value": 1 << 20 | 1 << 16 | 2}, {"t": 20, "value": 1 << 20}]
