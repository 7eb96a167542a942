"""A working folder with one good file of each kind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from chipflow import compile
from chipflow.events import make_events
from chipflow.events.files import save_events
from hwconfig.files import write_text
from tests.cli.model import make_model


@pytest.fixture(scope="session")
def good_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model.py, weights.pt, program.chipflow, config.json, recording.npz."""
    folder = tmp_path_factory.mktemp("good")
    model = make_model()
    shutil.copy(Path(__file__).with_name("model.py"), folder / "model.py")
    with torch.no_grad():
        model[0].weight.mul_(0.9)  # so that weights.pt says something which model.py does not
    torch.save(model.state_dict(), folder / "weights.pt")
    program = compile(model, "speck2f", (2, 8, 8))
    program.save(folder / "program.chipflow")
    write_text(folder / "config.json", program.config.to_json())
    save_events(folder / "recording.npz", recording())
    return folder


@pytest.fixture(autouse=True)
def folder(good_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a fresh copy of the good files."""
    shutil.copytree(good_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recording() -> np.ndarray:
    """2,000 events on the map of the model, over 10 ms."""
    rng = np.random.default_rng(0)
    x, y, p = (rng.integers(0, size, 2000) for size in (8, 8, 2))
    return make_events(x, y, np.sort(rng.integers(0, 10_000, 2000)), p)
