"""The event array: adapters, refusals, rasters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chipflow.errors import EventError
from chipflow.events import (
    EVENT_DTYPE,
    EVENT_LAYER_DTYPE,
    as_events,
    events_to_raster,
    make_events,
    raster_to_events,
    rebase_time,
)


def structured(**columns: np.ndarray) -> np.ndarray:
    array = np.zeros(len(next(iter(columns.values()))), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        array[name] = column
    return array


def test_fields_are_taken_by_name() -> None:
    foreign = structured(
        t=np.array([5, 6], np.uint64), p=np.array([True, False]), y=np.array([1, 2], np.uint16), x=np.array([3, 4], np.int64)
    )
    events = as_events(foreign)
    assert events.dtype == EVENT_DTYPE
    assert events.tolist() == [(3, 1, 5, 1), (4, 2, 6, 0)]


def test_scalars_hold_for_every_event_and_layer_is_optional() -> None:
    events = make_events([1, 2], 0, [7, 7], 1, layer=3)
    assert events.dtype == EVENT_LAYER_DTYPE
    assert events.tolist() == [(1, 0, 7, 1, 3), (2, 0, 7, 1, 3)]


def test_no_events_are_fine() -> None:
    assert as_events(make_events([], [], [], [])).size == 0
    assert make_events([], [], [], [], []).dtype == EVENT_LAYER_DTYPE


ONE = np.array([1], np.int64)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 4), np.int64), ["x, y, t, p", "int64", "make_events"]),
        (structured(x=ONE, y=ONE, t=ONE), ["x, y, t, p", "x, y, t"]),
        (structured(x=ONE, y=ONE, when=ONE, p=ONE), ["when", "timestamp"]),
        (structured(x=ONE, y=ONE, t=ONE, p=ONE, extra=ONE), ["extra"]),
        (structured(x=ONE, y=ONE, t=ONE * 0.5, p=ONE), ["t must hold integers", "float64"]),
        (structured(x=ONE, y=ONE, t=ONE, p=ONE).reshape(1, 1), ["one axis", "(1, 1)"]),
    ],
)
def test_foreign_arrays_are_refused_by_name(array: np.ndarray, words: list[str]) -> None:
    with pytest.raises(EventError) as caught:
        as_events(array)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("columns", "index", "word"),
    [
        (([1, 1, 1], 0, [0, 5, 4], 0), 2, "sort"),
        (([1, 1], 0, [-3, 4], 0), 0, "negative"),
        (([1, 40_000], 0, [0, 1], 0), 1, "40000"),
        (([1, 1], [0, -40_000], [0, 1], 0), 1, "-40000"),
        (([1, 1], 0, np.array([0, 2**63], np.uint64), 0), 1, "9223372036854775808"),
        (([1, 1], 0, [0, 1], 0, [0, 256]), 1, "layer = 256"),
        (([1, 1], 0, [0, 1], 0, [0, -1]), 1, "layer = -1"),
    ],
)
def test_bad_values_are_refused_with_their_index(columns: tuple[object, ...], index: int, word: str) -> None:
    with pytest.raises(EventError, match=word) as caught:
        make_events(*columns)
    assert caught.value.index == index
    assert f"event {index}" in str(caught.value)


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(EventError, match="one length"):
        make_events([1, 2, 3], 0, [1, 2], 0)


def test_rebase_time() -> None:
    epoch = make_events([1, 2], 0, [10**15, 10**15 + 7], 0, 4)
    assert rebase_time(epoch)["t"].tolist() == [0, 7]
    assert rebase_time(epoch, 100)["layer"].tolist() == [4, 4]


@given(hnp.arrays(np.int64, st.tuples(*[st.integers(1, 4)] * 4), elements=st.integers(0, 3)), st.integers(1, 5000))
def test_raster_and_back(raster: np.ndarray, dt_us: int) -> None:
    events = raster_to_events(raster, dt_us)
    assert len(events) == raster.sum()
    back = events_to_raster(events, raster.shape[1:], dt_us, duration=len(raster) * dt_us)
    np.testing.assert_array_equal(back, raster)


@pytest.mark.parametrize(
    "raster", [np.zeros((2, 3, 4)), -np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 0.5), np.full((1, 1, 1, 1), np.nan)]
)
def test_bad_rasters_are_refused(raster: np.ndarray) -> None:
    with pytest.raises(EventError):
        raster_to_events(raster)


def test_an_event_outside_the_raster_is_named() -> None:
    events = make_events([0, 5], 0, [0, 1000], 0)
    for shape, duration in (((1, 1, 3), None), ((1, 1, 9), 1000)):
        with pytest.raises(EventError) as caught:
            events_to_raster(events, shape, 1000, duration)
        assert caught.value.index == 1
