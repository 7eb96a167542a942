"""A fed run whose reports are taken out as it goes: the same bits, in pieces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipflow.emulator import Emulator
from chipflow.emulator.emulator import Taken
from chipflow.errors import EmulatorError, EventError
from chipflow.events import ReadoutOutput, RunResult, make_events

from .builders import chip, relay
from .networks import Case, cases
from .test_equality import assert_same


def joined(taken: list[Taken], rest: RunResult) -> RunResult:
    """What was taken and what was left, as one result."""
    events = np.concatenate([*(some.events for some in taken), rest.events])
    sensor = rest.sensor and replace(rest.sensor, raw=np.concatenate([*(some.raw for some in taken), rest.sensor.raw]))
    blocks = [some.readout for some in taken if some.readout] + ([rest.readout] if rest.readout else [])
    readout = rest.readout and replace(rest.readout, **{name: _all(blocks, name) for name in ("values", "pins")})
    accounting = replace(rest.accounting, received=len(events))
    return replace(rest, events=events, sensor=sensor, readout=readout, accounting=accounting)


def _all(blocks: list[ReadoutOutput], name: str) -> Any:
    return np.concatenate([getattr(block, name) for block in blocks])


@settings(max_examples=80, deadline=None)
@given(cases(), st.lists(st.integers(0, 150), max_size=4), st.booleans())
def test_what_is_taken_is_what_a_run_reports(case: Case, borders: list[int], copied: bool) -> None:
    end = int(case.events["t"][-1]) if case.duration is None and len(case.events) else case.duration or 0
    whole = Emulator(case.config, **case.options(strict=False)).run(case.events, duration=end)
    fed, taken, events = Emulator(case.config, **case.options(strict=False)), [], case.events
    for border in sorted(border for border in borders if border < end):
        inside = int(np.searchsorted(events["t"], border, side="right"))
        fed.feed(events[:inside])
        taken.append(fed.take(border))
        events = events[inside:]
        if copied:
            fed.restore(fed.snapshot())
    fed.feed(events)
    taken.append(fed.take())
    rest = fed.finish(end)
    assert_same(joined(taken, rest), whole)
    if rest.readout:
        assert sum(some.readout.events_in for some in taken if some.readout) <= rest.readout.events_in


def test_nothing_is_kept_of_what_was_taken() -> None:
    emulator = Emulator(chip({0: relay((1, 2, 2))}))
    for first in range(0, 40, 4):
        emulator.feed(make_events(0, 0, np.arange(first, first + 4), 0))
        assert emulator.take().events["t"].tolist() == list(range(first, first + 4))
        assert not len(emulator.take().events)
    rest = emulator.finish()
    assert (len(rest.events), rest.accounting.sent, rest.counters[0].spikes) == (0, 40, 40)


def test_time_does_not_go_back() -> None:
    emulator = Emulator(chip({0: relay((1, 2, 2), biases=[1], leak_enable=True)}), slow_clock_period_us=10)
    assert set(emulator.take(25).events["t"]) == {10, 20}
    with pytest.raises(EventError, match="before"):
        emulator.feed(make_events(0, 0, [24], 0))
    with pytest.raises(EmulatorError, match="longer duration"):
        emulator.take(24)
    emulator.feed(make_events(0, 0, [25], 0))
    assert set(emulator.take(30).events["t"]) == {25, 30}


def test_a_failed_take_changes_nothing() -> None:
    emulator = Emulator(chip({0: relay((1, 2, 2))}))
    emulator.feed(make_events(0, 0, [5], 0))
    with pytest.raises(EmulatorError):
        emulator.take(-1)
    assert len(emulator.take().events) == 1


def test_events_are_checked_without_being_sent() -> None:
    emulator = Emulator(chip({0: relay((1, 2, 2))}))
    good = make_events(0, 0, [5], 0)
    assert emulator.check(good) is good
    with pytest.raises(EventError, match="before"):
        emulator.check(good, after=6)
    with pytest.raises(EventError, match="x=2"):
        emulator.check(make_events(2, 0, [5], 0))
    assert emulator.run(good).counters[0].events_in == 1


def test_a_stop_that_came_too_late_is_taken_back() -> None:
    emulator = Emulator(chip({0: relay((1, 2, 2))}))
    emulator.stop()
    emulator.go_on()
    assert len(emulator.run(make_events(0, 0, [5], 0)).events) == 1
