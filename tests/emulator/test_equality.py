"""The fast emulator equals the reference, bit for bit, on random networks and streams."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chipflow.emulator import Emulator, ReferenceEmulator, emulator
from chipflow.errors import StrictModeError
from chipflow.events import RunResult

from .networks import Case, cases


def blocks(result: RunResult) -> list[Any]:
    """What sensor and readout block reported."""
    sensor = result.sensor and (result.sensor.counters, result.sensor.raw.tolist())
    readout = result.readout
    return [sensor, readout and (readout.values.tolist(), readout.pins.tolist(), readout.events_in, readout.without_class)]


def assert_same(found: RunResult, wanted: RunResult) -> None:
    """Every event, state and counter."""
    assert found.events.tolist() == wanted.events.tolist()
    assert found.counters == wanted.counters
    assert found.accounting == wanted.accounting
    assert (found.monitored, found.shapes, found.duration) == (wanted.monitored, wanted.shapes, wanted.duration)
    assert found.load == wanted.load
    assert {core: trace.tolist() for core, trace in found.traces.items()} == {
        core: trace.tolist() for core, trace in wanted.traces.items()
    }
    assert blocks(found) == blocks(wanted)
    for core, states in wanted.states.items():
        assert found.states[core].dtype == np.int16
        np.testing.assert_array_equal(found.states[core], states, err_msg=f"core {core}")


@settings(max_examples=150, deadline=None)
@given(cases())
def test_fast_equals_reference(case: Case) -> None:
    fast, slow = (kind(case.config, **case.options(strict=False)) for kind in (Emulator, ReferenceEmulator))
    first = fast.run(case.events, duration=case.duration)
    assert_same(first, slow.run(case.events, duration=case.duration))
    kept = {core: states.copy() for core, states in first.states.items()}
    # The second run continues from the states and decimators of the first, and changes nothing of its result.
    assert_same(fast.run(case.events, duration=case.duration), slow.run(case.events, duration=case.duration))
    for core, states in kept.items():
        np.testing.assert_array_equal(first.states[core], states)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_strict_runs_agree_and_a_failed_one_changes_nothing(case: Case) -> None:
    fast, slow = (kind(case.config, **case.options()) for kind in (Emulator, ReferenceEmulator))
    before = fast.snapshot()
    wanted: RunResult | StrictModeError
    try:
        wanted = slow.run(case.events, duration=case.duration)
    except StrictModeError as error:
        wanted = error
    try:
        found = fast.run(case.events, duration=case.duration)
    except StrictModeError as error:
        assert isinstance(wanted, StrictModeError)
        assert str(error) == str(wanted)
        for name, array in before.image.arrays.items():
            np.testing.assert_array_equal(fast.snapshot().image.arrays[name], array)
    else:
        assert isinstance(wanted, RunResult)
        assert_same(found, wanted)


@settings(max_examples=100, deadline=None)
@given(cases(), st.lists(st.integers(0, 40), max_size=4), st.sampled_from([1, 2, 5, 1 << 16]))
def test_chunks_equal_one_run(case: Case, cuts: list[int], block: int) -> None:
    whole = Emulator(case.config, **case.options(strict=False)).run(case.events, duration=case.duration)
    chunked = Emulator(case.config, **case.options(strict=False))
    usual = emulator.BLOCK
    try:
        emulator.BLOCK = block
        for chunk in np.split(case.events, sorted(cuts)):
            chunked.feed(chunk)
            chunked.restore(chunked.snapshot())
        assert_same(chunked.finish(case.duration), whole)
    finally:
        emulator.BLOCK = usual
