"""What starting needs: no torch, and little time. (What an import loads is judged in test_architecture.py, and how long commands
take is measured by benchmarks/startup.py: they are too close to their limit for a machine that does other things as well.)"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chipflow import Program, compile
from chipflow.events import make_events
from chipflow.events.files import load_events, save_events
from tests.compiler.networks import small_cnn
from tests.processes import ROOT, python

COMMAND_LINE = "from chipflow.cli import app; app()"
EVENTS = make_events(np.arange(400) % 8, np.arange(400) // 8 % 8, np.arange(400), np.arange(400) % 2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("startup")
    compile(small_cnn(), input_shape=(2, 8, 8)).save(folder / "program.chipflow")
    save_events(folder / "recording.npz", EVENTS)
    return folder


def test_the_block_works():
    for statement in ("import torch", "from torch import nn", "import torch.nn"):
        done = python(statement, blocked=("torch",))
        assert done.returncode == 1
        assert "import of torch" in done.stderr
    assert python("import json", blocked=("torch",)).stderr == ""


@pytest.mark.parametrize("command", ["chips", "check"])
def test_commands_that_only_read_need_neither_torch_nor_numba(files: Path, command: str):
    arguments = [files / "program.chipflow"] if command == "check" else []
    done = python(COMMAND_LINE, command, *arguments, blocked=("torch", "numba"))
    assert (done.returncode, done.stderr) == (0, "")
    assert ("no design rule is broken" if command == "check" else "speck2f") in done.stdout


def test_run_needs_no_torch(files: Path):
    wanted = Program.load(files / "program.chipflow").run(EVENTS)
    arguments = [files / "program.chipflow", files / "recording.npz", "-o", files / "spikes.npz", "--json"]
    done = python(COMMAND_LINE, "run", *arguments, blocked=("torch",))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["accounting"]["sent"] == len(EVENTS)
    assert load_events(files / "spikes.npz").tolist() == wanted.events.tolist() != []


def test_hwconfig_works_with_numpy_and_pydantic_alone(files: Path):
    code = """
import hwconfig, json, sys
document = json.load(open(sys.argv[1]))["config"]
config = hwconfig.ChipConfig.from_json(json.dumps(document))
print(config.violations(), config.hash == hwconfig.ChipConfig.from_json(config.to_json()).hash)
"""
    others = ("torch", "numba", "networkx", "chipflow", "typer", "rich")
    done = python(code, files / "program.chipflow", blocked=others)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "no violations True\n")


def test_import_chipflow_takes_less_than_half_a_second():
    """From the start of the process to its end, the best of five: the others had to share the machine."""
    seconds: list[float] = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import chipflow"], cwd=ROOT, check=True)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5, f"{seconds} s"
