"""The installed `chipflow` script, in processes of its own: what a shell and its pipes see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from chipflow import Program
from chipflow.events.files import load_events
from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow
from tests.cli.programs import edit, illegal

SCRIPT = Path(sys.executable).with_name("chipflow")


def script(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([SCRIPT, *arguments], env=os.environ | variables, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_compile_writes_the_same_bytes_whatever_the_hash_seed():
    arguments = ("compile", "model.py:make_model", "--weights", "weights.pt", "--input-shape", "2,8,8", "-o")
    done = script(*arguments, "other.chipflow", PYTHONHASHSEED="1")
    assert (done.returncode, done.stderr) == (OK, "")
    chipflow(*arguments, "mine.chipflow")
    assert Path("other.chipflow").read_bytes() == Path("mine.chipflow").read_bytes()


def test_run_prints_json_and_writes_the_spikes():
    done = script("run", "program.chipflow", "recording.npz", "-o", "spikes.npz", "--json")
    assert (done.returncode, done.stderr) == (OK, "")
    spikes = load_events("spikes.npz")
    assert spikes.tolist() == Program.load("program.chipflow").run(load_events("recording.npz")).events.tolist()
    assert json.loads(done.stdout)["accounting"]["received"] == len(spikes) > 0


def test_check_by_its_exit_codes():
    assert script("check", "program.chipflow").returncode == OK
    assert script("check", edit("program.chipflow", illegal)).returncode == WANTING
    assert script("check", "--no-such-option").returncode == WRONG_USE
