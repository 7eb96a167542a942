"""Times that a format stores in few bits go on across their wrap, also between two chunks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chipflow.events import open_events
from tests.events import by_hand


@pytest.mark.parametrize(
    ("write", "bits"),
    [
        pytest.param(by_hand.evt3, 24, id="EVT3"),
        pytest.param(by_hand.evt2, 34, id="EVT2"),
        pytest.param(by_hand.dat, 32, id="DAT"),
        pytest.param(by_hand.aedat2, 32, id="AEDAT2"),
        pytest.param(by_hand.aedat2, 31, id="AEDAT2 where signed times turn negative"),
        pytest.param(by_hand.aedat3, 31, id="AEDAT3.1"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_times_go_on_across_the_wrap(tmp_path: Path, write: Callable[[by_hand.Events], bytes], bits: int, chunk: int) -> None:
    times = [(1 << bits) + step for step in (-9000, -5000, -100, -100, -1, 0, 1, 4096, 9000)]
    (tmp_path / "a").write_bytes(write(by_hand.ramp(times)))
    with open_events(tmp_path / "a", chunk_events=chunk) as recording:
        chunks = list(recording)
    assert {len(part) for part in chunks[:-1]} <= {chunk}
    assert np.concatenate(chunks)["t"].tolist() == times


def test_evt3_wraps_several_times(tmp_path: Path) -> None:
    times = list(range(100, 60_000_000, 250_000))
    (tmp_path / "a").write_bytes(by_hand.evt3(by_hand.ramp(times)))
    with open_events(tmp_path / "a") as recording:
        assert np.concatenate(list(recording))["t"].tolist() == times


@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_nmnist_marks_of_an_overflow(tmp_path: Path, chunk: int) -> None:
    events = by_hand.ramp([5, 9000, 9000, 20_000, 20_001])
    (tmp_path / "a").write_bytes(by_hand.nmnist(events, marks=(1, 3)))
    with open_events(tmp_path / "a", chunk_events=chunk) as recording:
        assert np.concatenate(list(recording)).tolist() == [(x, y, t, p) for x, y, t, p in events]
        assert recording.skipped == {"marks of a time overflow": 2}


def test_nmnist_marks_as_tonic_reads_them(tmp_path: Path) -> None:
    io = pytest.importorskip("tonic.io")
    (tmp_path / "a").write_bytes(by_hand.nmnist(by_hand.ramp([5, 9000, 20_000]), marks=(1, 2)))
    with open_events(tmp_path / "a") as recording:
        ours = np.concatenate(list(recording))
    assert ours["t"].tolist() == io.read_mnist_file(str(tmp_path / "a"), io.events_struct)["t"].tolist()
