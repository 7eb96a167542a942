"""Recordings and answers of a real Speck2f, where the data is at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chipflow.events import make_events

ROOT = Path(__file__).resolve().parents[2]
FIRST_RECORDINGS = (60004, 60003, 60002, 60019, 60005, 60009, 60012, 60001, 60062, 60008)


def data_path(part: str) -> Path:
    """Where a part of the real data is looked for."""
    return Path(os.environ.get("CHIPFLOW_DATA", ROOT.parent / "shared" / "data")) / part


def data_folder(part: str) -> Path:
    """A folder of the real data; skips the test where it is missing."""
    folder = data_path(part)
    if not folder.is_dir():
        pytest.skip(f"real data not found: no folder {part} in CHIPFLOW_DATA or beside the project")
    return folder


def read_nmnist(path: Path) -> npt.NDArray[Any]:
    """An N-MNIST recording, 5 bytes an event: x, y, polarity in bit 7 over 23 bits of big-endian microseconds."""
    raw = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 5).astype(np.int64)
    t = ((raw[:, 2] & 0x7F) << 16) | (raw[:, 3] << 8) | raw[:, 4]
    order = np.argsort(t, kind="stable")
    return make_events(raw[order, 0], raw[order, 1], t[order], raw[order, 2] >> 7)
