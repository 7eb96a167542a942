"""Event files: round trip, and what happens to damaged or foreign ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chipflow.errors import EventError
from chipflow.events import load_events, make_events, save_events

EVENTS = make_events([1, 2, 3], [4, 5, 6], [0, 0, 9], [0, 1, 0])


@pytest.mark.parametrize("events", [EVENTS, make_events([1], [2], [3], [1], [8]), make_events([], [], [], [])])
def test_round_trip(tmp_path: Path, events: np.ndarray) -> None:
    path = tmp_path / "recording.npz"
    save_events(path, EVENTS)
    save_events(path, events)
    loaded = load_events(path)
    assert loaded.dtype == events.dtype
    assert loaded.tolist() == events.tolist()
    assert [item.name for item in tmp_path.iterdir()] == ["recording.npz"]


def test_a_structured_array_is_read_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", events=EVENTS)
    assert load_events(tmp_path / "a.npz").tolist() == EVENTS.tolist()


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, part: float) -> None:
    path = tmp_path / "recording.npz"
    save_events(path, make_events(np.arange(5000) % 7, 0, np.arange(5000), 0))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(EventError, match=r"recording\.npz"):
        load_events(path)


def test_damaged_contents_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "recording.npz"
    save_events(path, make_events(np.arange(5000) % 7, 0, np.arange(5000), 0))
    data = bytearray(path.read_bytes())
    data[200:230] = bytes(30)
    path.write_bytes(data)
    with pytest.raises(EventError, match=r"recording\.npz"):
        load_events(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "single.npy", EVENTS)
    np.savez(tmp_path / "pickled.npz", x=np.array([object()], dtype=object), y=EVENTS["y"], t=EVENTS["t"], p=EVENTS["p"])
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("text.npz", "single.npy", "pickled.npz", "other.npz", "absent.npz"):
        with pytest.raises(EventError, match=name.replace(".", r"\.")):
            load_events(tmp_path / name)


def test_unsorted_events_in_a_file_are_named_with_the_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=[1, 1], y=[1, 1], t=[5, 4], p=[0, 0])
    with pytest.raises(EventError, match=r"a\.npz: event 1") as caught:
        load_events(tmp_path / "a.npz")
    assert caught.value.index == 1


def test_events_that_are_refused_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_events(path, EVENTS)
    with pytest.raises(EventError):
        save_events(path, np.zeros(3))
    assert load_events(path).tolist() == EVENTS.tolist()
