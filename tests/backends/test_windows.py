"""Cutting a run into windows, whatever the pieces that it comes in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipflow.backends.windows import Windows, checked, microseconds, pieces_of
from chipflow.errors import DeviceError, EventError
from chipflow.events import as_events, make_events


@given(
    st.lists(st.integers(0, 60), max_size=20).map(sorted),
    st.lists(st.integers(0, 20), max_size=3).map(sorted),
    st.integers(1, 70),
    st.none() | st.integers(1, 70),
)
def test_every_event_is_in_its_window(times: list[int], cuts: list[int], chunk_us: int, end_us: int | None) -> None:
    events = make_events(np.arange(len(times)), 0, times, 0)
    windows = list(Windows(chunk_us, end_us).cut(iter(np.split(events, cuts))))
    borders = [window.end_us for window in windows]
    assert [window.start_us for window in windows] == [0, *borders[:-1]][: len(windows)]
    assert all(window.end_us - window.start_us == chunk_us for window in windows[:-1])
    for window in windows:
        for piece in window.pieces:
            assert len(piece)
            assert ((piece["t"] >= window.start_us) & (piece["t"] < window.end_us)).all()
    found = [x for window in windows for piece in window.pieces for x in piece["x"]]
    assert found == [x for x, t in enumerate(times) if end_us is None or t < end_us]
    if end_us is not None:
        assert borders[-1] == end_us
    elif windows:
        assert windows[-1].sent
    assert [window.whole for window in windows] == [*[True] * (len(windows) - 1), end_us is not None][: len(windows)]


def test_an_epoch_time_stamp_is_refused() -> None:
    with pytest.raises(EventError, match="rebase_time"):
        list(Windows(1000).cut([make_events(0, 0, [1_700_000_000_000_000], 0)]))


def test_a_window_comes_as_soon_as_an_event_after_it_is_seen() -> None:
    given = iter([make_events(0, 0, [1, 12], 0)])
    windows = Windows(10).cut(given)
    assert next(windows).sent == 1


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "1", True, 1e-9])
def test_lengths_that_are_none(seconds: float) -> None:
    with pytest.raises(DeviceError, match="seconds"):
        microseconds(seconds)
    with pytest.raises(DeviceError, match="seconds"):
        Windows.of(seconds, 10)


@pytest.mark.parametrize("chunk_us", [0, -5, 1.5, True])
def test_windows_without_a_length(chunk_us: int) -> None:
    with pytest.raises(DeviceError, match="chunk_us"):
        Windows.of(None, chunk_us)


def test_one_array_is_no_iterable_of_arrays() -> None:
    events = make_events(0, 0, [1], 0)
    columns = {"x": [0]}
    for one in (events, columns, [1, 2], 5, None):
        (found,) = pieces_of(one)
        assert found is one
    for many in ([events, events], (events, columns), []):
        assert list(pieces_of(many)) == list(many)
    endless = iter([events])
    assert pieces_of(endless) is endless


def test_arrays_are_checked_in_turn() -> None:
    asked: list[int | None] = []

    def check(array: object, after: int | None) -> np.ndarray:
        asked.append(after)
        return as_events(array)

    nothing, some = make_events([], [], [], []), make_events(0, 0, [3, 7], 0)
    assert len(list(checked([nothing, some, nothing, some], check))) == 4
    assert asked == [None, None, 7, 7]
