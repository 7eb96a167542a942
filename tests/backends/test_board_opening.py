"""Which boards there are, who has them, and that they are given back."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chipflow import open_device
from chipflow.backends.opening import devices
from chipflow.errors import DeviceBusyError, DeviceError, VendorPackageError
from chipflow.events import make_events, save_events
from tests.backends.standin import FOLDER, standin
from tests.conformance.conftest import program_for

ROOT = Path(__file__).resolve().parents[2]
MANY = [
    ("Speck2fDevKit", 2, 3), ("Speck2eTestBoard", 1, 1), ("XyloAudio3TestBoard", 1, 9), ("Speck2fDevKit", 1, 7),
    ("Speck2fModuleDevKit", 1, 2), ("Speck2fDevKit", 1, 4),
]  # fmt: skip
RUN = """
import sys
from pathlib import Path
from chipflow import Program, open_device
from chipflow.events import make_events
with open_device("speck2fdevkit:0") as device:
    print(len(device.run(Program.load(sys.argv[1]), make_events(0, 0, [1, 2], 0)).events), flush=True)
    if len(sys.argv) > 2:
        sys.stdin.read()
"""


def process(program: Path, locks: Path, *more: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "PYTHONPATH": f"{FOLDER}{os.pathsep}{ROOT}",
        "SAMNA_STANDIN": json.dumps({"locks": str(locks)}),
    }
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(program), *more], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=program.parent,
    )  # fmt: skip


def test_boards_are_numbered_by_their_address_and_unknown_ones_left_out() -> None:
    with standin(boards=MANY):
        found = [(info.name, info.chip) for info in devices() if info.kind == "board"]
        assert found == [
            ("speck2e:0", "speck2e"), ("speck2fdevkit:0", "speck2f"), ("speck2fdevkit:1", "speck2f"), ("speck2fdevkit:2", "speck2f"),
            ("speck2fmodule:0", "speck2f"),
        ]  # fmt: skip
        notes = {info.name: info.note for info in devices()}
        assert "USB 1.4" in notes["speck2fdevkit:0"]
        assert "USB 2.3" in notes["speck2fdevkit:2"]


def test_a_name_without_a_number_is_the_first_free_one() -> None:
    with standin(boards=MANY), open_device("speck2fdevkit") as first, open_device("speck2fdevkit") as second:
        assert (first.name, second.name) == ("speck2fdevkit:0", "speck2fdevkit:1")
        free = {info.name: info.free for info in devices() if info.kind == "board"}
        assert [name for name, is_free in free.items() if not is_free] == ["speck2fdevkit:0", "speck2fdevkit:1"]
        with pytest.raises(DeviceBusyError, match=r"speck2fdevkit:1 cannot be opened.*held by another process, or open here"):
            open_device("speck2fdevkit:1")


@pytest.mark.parametrize("name", ["speck2fdevkit:5", "speck2edevkit", "speck2edevkit:0", "speck2fdevkit:"])
def test_a_board_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with standin(boards=MANY), pytest.raises(DeviceError, match=rf"{name}: no such board.*speck2fmodule:0") as caught:
        open_device(name)
    assert "Xylo" not in str(caught.value)


def test_a_chip_that_this_samna_has_not() -> None:
    with standin(boards=[("DynapcnnDevKit", 1, 1)]):
        assert [info.name for info in devices() if info.kind == "board"] == ["dynapcnndevkit:0"]
        with pytest.raises(VendorPackageError, match="has no dynapcnn"):
            open_device("dynapcnndevkit:0")


def test_a_bus_that_cannot_be_read_lists_the_emulators() -> None:
    with standin() as samna:
        samna.device.get_all_devices = None
        assert [info.note[:29] for info in devices() if info.kind == "board"] == ["samna cannot list the boards:"]
        with pytest.raises(DeviceError, match="cannot list the boards"):
            open_device("speck2fdevkit:0")


def test_a_board_is_given_back_whatever_happens() -> None:
    with standin() as samna:
        with pytest.raises(ZeroDivisionError), open_device("speck2fdevkit:0"):
            raise ZeroDivisionError
        assert len(samna.device.get_unopened_devices()) == 2
        device = open_device("speck2fdevkit:0")
        device.close()
        device.close()
        assert len(samna.device.get_unopened_devices()) == 2
        open_device("speck2fdevkit:0")  # and forgotten
        assert len(samna.device.get_unopened_devices()) == 2


def test_opening_and_measuring_again_and_again_leaves_nothing_behind() -> None:
    """Power measured in a loop of openings crashed other tools."""
    program = program_for("speck2f")
    with standin() as samna:
        for _ in range(20):
            with open_device("speck2fdevkit:0") as device:
                with device.measure_power(100) as readings:
                    device.run(program, make_events(0, 0, [1, 2], 0))
                assert readings.total_w > 0
                assert len(device._station.link._graphs) == 2  # pyright: ignore[reportAttributeAccessIssue]
        assert not samna.device._open


def test_the_example_answers_the_same_on_emulator_and_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, rng = ROOT / "examples" / "deploy.py", np.random.default_rng(0)
    assert len(script.read_text(encoding="utf-8").splitlines()) < 40
    program_for("speck2f").save(tmp_path / "program")
    x, y, p = (rng.integers(0, size, 800) for size in (8, 8, 2))
    save_events(tmp_path / "one.npz", make_events(x, y, np.sort(rng.integers(0, 10_000, 800)), p))
    example, answers = runpy.run_path(str(script)), []
    for device in ("emulator", "speck2fdevkit:0"):
        with standin():
            example["main"]([str(tmp_path / "program"), str(tmp_path / "one.npz"), "--device", device])
        answers.append(capsys.readouterr().out)
    assert re.fullmatch(r"one\.npz: class \d \(800 events sent, [1-9]\d* spikes reported\)\n", answers[0])
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_a_second_process_and_a_killed_one(tmp_path: Path) -> None:
    """One process holds the board; another is refused; after kill -9 of the first a third runs, and nothing is left behind."""
    program, locks = tmp_path / "program", tmp_path / "locks"
    locks.mkdir()
    program_for("speck2f").save(program)
    holder = process(program, locks, "wait")
    assert holder.stdout is not None
    answered = holder.stdout.readline()
    refused = process(program, locks)
    assert "DeviceBusyError" in refused.communicate()[1]
    holder.kill()
    holder.communicate()
    again = process(program, locks)
    assert again.communicate() == (answered, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["locks", "program"]
