"""In what runs differ, and what the assertions say of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chipflow.errors import EventError
from chipflow.events.readings import PIN_DTYPE, READOUT_DTYPE, ReadoutOutput, SensorCounters, SensorOutput
from chipflow.testing import Tolerance, assert_same_run, assert_similar_run, differences, similarities
from tests.testing.runs import FakeBoard, config, events, run, with_events, with_threshold


def test_equal_runs_do_not_differ() -> None:
    found = differences(run(), run())
    assert not found
    assert (found.layers, found.values, found.not_compared) == ((), (), ())
    assert str(found) == "the runs are the same"
    assert_same_run(run(), run())


def test_a_failure_names_layer_neuron_event_and_how_many_and_is_short() -> None:
    a, b = run(), run(with_threshold(61))
    with pytest.raises(AssertionError) as caught:
        assert_same_run(a, b)
    text = str(caught.value)
    first = differences(a, b).first
    assert first is not None
    assert str(first) in text
    for words in ("layer conv (core 3), event", "are in one run only", "layer out:", "accounting: received", "spikes ", "and "):
        assert words in text
    assert "array(" not in text
    assert len(text.splitlines()) < 10


def test_events_in_another_order_are_said_to_be_the_same_ones() -> None:
    a = run()
    times = a.events["t"][a.events["layer"] == 3]
    twin = int(np.flatnonzero(np.diff(times) == 0)[0])
    at = np.flatnonzero(a.events["layer"] == 3)[twin]
    order = np.arange(len(a.events))
    order[[at, at + 1]] = at + 1, at
    found = differences(a, with_events(a, a.events[order]))
    assert [(layer.layer, layer.unmatched, layer.neurons) for layer in found.layers] == [("conv", 0, 0)]
    assert "the same in another order" in str(found)


def test_states_counters_and_accounting_are_compared_where_both_have_them() -> None:
    a = run()
    states = {core: array.copy() for core, array in a.states.items()}
    states[5][2, 0, 0] += 1
    counters = dict(a.counters) | {3: replace(a.counters[3], lower_clamped=-1)}
    b = replace(a, states=states, counters=counters, accounting=replace(a.accounting, lost=2), duration=9)
    words = [str(value) for value in differences(a, b).values]
    for part in (
        "layer out (core 5): state of neuron (feature, y, x) = (2, 0, 0)",
        "lower_clamped",
        "accounting: lost 0 against 2",
    ):
        assert any(part in line for line in words)
    assert any("duration None against 9" in line for line in words)
    board = differences(a, replace(a, states={}, counters={}, accounting=replace(a.accounting, dropped=0)))
    assert not board
    assert board.not_compared == (
        "counters, which the second run does not report",
        "states, which the second run does not report",
    )
    assert "not compared" in str(board)


def test_layers_that_only_one_run_reports_are_a_difference() -> None:
    found = differences(run(), run(monitor=["out"]))
    assert any("layers reported by one run only ['conv'] against none" in str(value) for value in found.values)


def test_cores_that_only_one_run_has_are_said_to_be_left_out() -> None:
    a = run()
    b = replace(a, states={5: a.states[5]}, counters={5: a.counters[5]})
    assert differences(a, b).not_compared == tuple(
        f"{what} of conv, which the second run does not report" for what in ("counters", "states")
    )
    assert differences(b, a).not_compared[0] == "counters of conv, which the first run does not report"


def test_another_shape_of_a_layer_is_a_difference() -> None:
    a = run()
    found = differences(a, replace(a, shapes={**a.shapes, 3: (4, 6, 7)}))
    assert [str(value) for value in found.values] == ["layer conv: shape (4, 6, 6) against (4, 6, 7)"]


def test_events_of_the_sensor_are_left_out_of_likeness_and_not_of_sameness() -> None:
    a = run()
    seen = a.events[:1].copy()
    seen["layer"] = 99
    b = with_events(a, np.concatenate([seen, a.events]))
    assert_similar_run(a, b)
    assert differences(a, b)


def test_sensor_and_readout_are_compared() -> None:
    values = np.array([(10, 5), (20, 6)], READOUT_DTYPE)
    readout = ReadoutOutput(values, np.zeros(0, PIN_DTYPE), events_in=3)
    sensor = SensorOutput(SensorCounters(events_in=2), events()[:2])
    a = replace(run(), readout=readout, sensor=sensor)
    assert not differences(a, a)
    other = values.copy()
    other["value"][1] = 7
    b = replace(
        a,
        readout=replace(readout, values=other, events_in=4),
        sensor=SensorOutput(SensorCounters(events_in=3), events()[:1]),
    )
    text = str(differences(a, b))
    for words in (
        "readout: events_in 3 against 4",
        "values[1] (20, 6) against (20, 7)",
        "sensor: events_in 2 against 3",
        "raw event 1",
    ):
        assert words in text
    assert "sensor, which the second run does not report" in differences(a, run()).not_compared


def test_runs_are_alike_whose_times_are_not() -> None:
    with FakeBoard() as board:
        late = board.run(config(), events(), monitor=("conv", "out"))
    assert differences(run(), late)
    assert_similar_run(run(), late)


def test_a_failure_of_likeness_says_what_was_found_and_allowed_for_each_layer() -> None:
    with FakeBoard(missing=10) as board:
        lossy = board.run(config(), events(), monitor=("conv", "out"))
    with pytest.raises(AssertionError) as caught:
        assert_similar_run(run(), lossy)
    for words in (
        "layer conv: ",
        "needed are 95.00%",
        "off, allowed is 1.00%",
        "largest difference",
        "cosine",
        "first run: 1,200 events sent",
    ):
        assert words in str(caught.value)
    assert_similar_run(run(), lossy, Tolerance(equal_neurons=0, max_difference=100, cosine=0.9, spikes=0.2))


def test_each_bound_is_checked_and_a_few_spikes_are_let_pass() -> None:
    a = run()
    dropped = with_events(a, a.events[1:])
    (conv, *_) = similarities(a, dropped)
    assert (conv.total_difference, conv.max_difference, conv.a_spikes - conv.b_spikes) == (1, 1, 1)
    assert conv.excesses(Tolerance(equal_neurons=1, max_difference=0, cosine=1, spikes=0)) == []
    assert len(conv.excesses(Tolerance(equal_neurons=1, max_difference=0, cosine=1, spikes=0, few=0))) == 4


def test_silence_is_like_silence_and_like_nothing_else() -> None:
    nothing = run(recording=events()[:0])
    assert [layer.cosine for layer in similarities(nothing, nothing)] == [1, 1]
    assert [layer.cosine for layer in similarities(run(), nothing)] == [0, 0]
    with pytest.raises(AssertionError):
        assert_similar_run(nothing, run())


def test_runs_of_other_layers_cannot_be_compared() -> None:
    with pytest.raises(EventError, match=r"only one of them has conv; give both the same monitor="):
        similarities(run(), run(monitor=["out"]))
    other = replace(run(), shapes={3: (4, 6, 7), 5: (3, 1, 1)})
    with pytest.raises(EventError, match="layer conv is"):
        similarities(run(), other)


@pytest.mark.parametrize("bad", [{"equal_neurons": 1.1}, {"cosine": -1}, {"spikes": 2}, {"max_difference": -1}, {"few": -1}])
def test_bounds_out_of_their_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(bad))} is a .*{next(iter(bad.values()))}.*allowed are 0"):
        Tolerance(**bad)  # pyright: ignore[reportArgumentType]
