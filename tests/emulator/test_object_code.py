"""The kernels' file: kept, found again without numba, and never trusted when damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chipflow.emulator.object_code import CACHE_VARIABLE, Compiled

RUN_ONE_EVENT = """
import sys
import numpy as np
from chipflow.emulator import Emulator
from chipflow.events import make_events
from hwconfig import ChipConfig, CoreConfig, Dimensions

size = Dimensions(kernel_size=1, input_shape=(1, 1, 1), output_shape=(1, 1, 1))
core = CoreConfig(dimensions=size, weights=np.full((1, 1, 1, 1), 5), threshold_high=9, threshold_low=-9)
emulator = Emulator(ChipConfig(chip="speck2f", cnn_layers={0: core}))
emulator.run(make_events([0], [0], [0], [0]))
assert emulator.state(0).item() == 5
print("numba" in sys.modules)
"""


def compiles(folder: Path) -> bool:
    """Whether a new process with this cache folder needed numba."""
    environment = os.environ | {CACHE_VARIABLE: str(folder)}
    done = subprocess.run([sys.executable, "-c", RUN_ONE_EVENT], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


@pytest.mark.slow
def test_compiled_once_and_again_only_when_the_file_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on demand"
    assert compiles(folder)
    assert not compiles(folder)
    (kept,) = folder.iterdir()
    kept.write_bytes(kept.read_bytes()[:-100])
    assert compiles(folder)
    assert not compiles(folder)


@pytest.mark.slow
def test_runs_without_a_folder_to_write_to(tmp_path: Path) -> None:
    blocked = tmp_path / "a file, no folder"
    blocked.touch()
    assert compiles(blocked / "below")


def test_a_damaged_file_is_no_code() -> None:
    data = Compiled(b"object code", "advance", ("numba_raise",)).to_bytes()
    assert Compiled.from_bytes(data) == Compiled(b"object code", "advance", ("numba_raise",))
    for cut in range(len(data)):
        assert Compiled.from_bytes(data[:cut]) is None
    assert Compiled.from_bytes(data[:-1] + b"x") is None
    for foreign in (b"\x00\xff\n", b"[1]\n", b"{}\nobject code"):
        assert Compiled.from_bytes(foreign) is None
