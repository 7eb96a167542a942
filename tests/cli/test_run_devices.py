"""chipflow run: layers to report, time allowed, and what a sensor sees in place of a recording."""

from __future__ import annotations

import numpy as np
import pytest

from chipflow import Program, compile, open_device
from chipflow.events import load_events
from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.cli.model import make_model

GOOD = ("run", "program.chipflow", "recording.npz")


@pytest.fixture
def sensing() -> Program:
    program = compile(make_model(), "speck2f", (2, 8, 8), sensor=True)
    program.save("sensing.chipflow")
    return program


def test_layers_are_monitored_by_name_and_by_core():
    program = Program.load("program.chipflow")
    first, *_, last = program.placement
    chipflow(*GOOD, "--monitor", first, "--monitor", str(program.placement[last]), "-o", "spikes.npz")
    assert set(load_events("spikes.npz")["layer"]) == {program.placement[first], program.placement[last]}
    with open_device("emulator") as device:
        wanted = device.run(program, load_events("recording.npz"), monitor=[first, last])
    assert load_events("spikes.npz").tolist() == wanted.events.tolist()
    message = refused(*GOOD, "--monitor", "nowhere", code=WANTING)
    for name in ("nowhere", *program.placement):
        assert repr(name) in message


def test_a_run_that_takes_too_long_is_an_error():
    assert chipflow(*GOOD, "--timeout", "600").code == OK
    assert "allowed were 0" in refused(*GOOD, "--timeout", "0", "-o", "spikes.npz", code=WANTING)


def test_what_a_sensor_sees_runs_in_place_of_a_recording(sensing: Program):
    seen = load_events("recording.npz")
    seen["t"] -= seen["t"][0]
    with open_device("emulator") as device:
        wanted = device.run(sensing, seen)
    call = ("run", "sensing.chipflow", "--sensor", "recording.npz", "-o", "spikes.npz")
    text = chipflow(*call).out
    assert load_events("spikes.npz").tolist() == wanted.events.tolist()
    assert len(wanted.events) > 0
    assert f"{len(seen):,} events sent" in text
    assert f"{len(wanted.events):,}" in text
    document = chipflow(*call, "--duration", "5000", "--json").document
    assert document["accounting"]["sent"] == np.count_nonzero(seen["t"] < 5000)
    assert load_events("spikes.npz").tolist() == wanted.events[wanted.events["t"] < 5000].tolist()


def test_events_come_from_one_place(sensing: Program):
    assert "both" in refused(*GOOD, "--sensor", "recording.npz", code=WRONG_USE)
    call = ("run", "sensing.chipflow", "--sensor", "recording.npz")
    for option in (("--what-if",), ("--timeout", "5"), ("--on-outside", "drop")):
        assert option[0] in refused(*call, *option, code=WRONG_USE)
    assert "no sensor" in refused("run", "sensing.chipflow", code=WANTING)
    assert "reads the sensor" in refused("run", "program.chipflow", "--sensor", "recording.npz", code=WANTING)
    assert "nowhere.npz" in refused("run", "sensing.chipflow", "--sensor", "nowhere.npz", code=WRONG_USE)
    assert "program.chipflow" in refused("run", "sensing.chipflow", "--sensor", "program.chipflow", code=WANTING)


def test_a_board_that_is_not_there_is_wrong_use():
    assert "speck2fdevkit" in refused(*GOOD, "--device", "speck2fdevkit:0", code=WRONG_USE)
    assert "sensor of its own" in refused(
        "run", "program.chipflow", "--sensor", "recording.npz", "--device", "speck2fdevkit:0", code=WRONG_USE
    )
