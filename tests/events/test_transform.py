"""Windows and coarser recordings, whole and chunk by chunk; what is in a recording."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipflow.errors import EventError
from chipflow.events import crop, downsample, make_events, summarise
from chipflow.events.transform import cropped_size, downsampled_size


def recording(events: int = 300) -> np.ndarray:
    rng = np.random.default_rng(1)
    x, y, p = (rng.integers(0, size, events) for size in (34, 20, 2))
    return make_events(x, y, np.sort(rng.integers(0, 5000, events)), p)


def test_crop_is_half_open_and_counts_from_its_start() -> None:
    events = recording()
    wanted = [(x - 10, y - 5, t - 1000, p) for x, y, t, p in events.tolist() if 10 <= x < 20 and 5 <= y < 15 and 1000 <= t < 4000]
    window: Any = {"x": (10, 20), "y": (5, 15), "t": (1000, 4000)}
    assert crop(events, **window).tolist() == wanted != []
    kept = crop(events, **window, rebase=False)
    assert [(x - 10, y - 5, t - 1000, p) for x, y, t, p in kept.tolist()] == wanted


def test_ranges_may_be_open_and_hold_nothing() -> None:
    events = recording()
    assert crop(events).tolist() == events.tolist()
    assert not np.shares_memory(crop(events), events)
    assert crop(events, x=(10, None))["x"].max() == events["x"].max() - 10
    assert crop(events, t=(None, 1000)).size == (events["t"] < 1000).sum()
    assert crop(events, x=(40_000, 50_000), t=(10**12, None)).size == 0


@pytest.mark.parametrize("window", [{"x": (5, 5)}, {"y": (6, 3)}, {"t": (-1, 4)}, {"x": (None, 0)}])
def test_ranges_without_meaning_are_refused(window: dict[str, Any]) -> None:
    with pytest.raises(EventError, match=f"range {next(iter(window))} = "):
        crop(recording(), **window)


def test_downsample_keeps_every_event_by_whole_division() -> None:
    events = recording()
    assert downsample(events, 4).tolist() == [(x // 4, y // 4, t, p) for x, y, t, p in events.tolist()]
    assert downsample(events, (2, 1)).tolist() == [(x // 2, y, t, p) for x, y, t, p in events.tolist()]
    for factor in (0, (2, 0), -1):
        with pytest.raises(EventError, match="whole factors from 1"):
            downsample(events, factor)


def test_sizes() -> None:
    assert cropped_size((34, 20), x=(10, 20), y=(5, None)) == (10, 15)
    assert cropped_size((34, 20), x=(30, 64)) == (4, 20)
    assert cropped_size((34, 20), x=(40, 64), rebase=False) == (34, 20)
    assert downsampled_size((34, 20), 4) == (9, 5)
    assert downsampled_size((34, 20), (1, 3)) == (34, 7)


@given(st.lists(st.integers(0, 300), max_size=5))
def test_chunk_by_chunk_is_the_same(cuts: list[int]) -> None:
    events = recording()
    chunks = np.split(events, sorted(cuts))
    cropped = np.concatenate([crop(chunk, x=(3, 30), t=(500, None)) for chunk in chunks])
    assert cropped.tolist() == crop(events, x=(3, 30), t=(500, None)).tolist()
    assert np.concatenate([downsample(chunk, 3) for chunk in chunks]).tolist() == downsample(events, 3).tolist()
    assert summarise(chunks) == summarise([events])


def test_a_summary_says_what_is_there() -> None:
    events = recording()
    summary = summarise([events])
    first, last = int(events["t"][0]), int(events["t"][-1])
    assert summary.as_dict() == {
        "events": 300,
        "first_us": first,
        "last_us": last,
        "duration_us": last - first,
        "rate_hz": pytest.approx(299e6 / (last - first)),
        "x": [0, 33],
        "y": [0, 19],
        "by_polarity": {0: int((events["p"] == 0).sum()), 1: int((events["p"] == 1).sum())},
    }


def test_a_summary_of_nothing_and_of_one_moment() -> None:
    nothing = summarise([])
    assert (nothing.events, nothing.t, nothing.x, nothing.duration_us, nothing.rate_hz) == (0, None, None, 0, None)
    assert summarise([make_events([1, 2], 0, 5, 0)]).rate_hz is None
