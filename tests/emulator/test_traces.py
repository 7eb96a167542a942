"""Traces of chosen neurons by hand: every update, and nothing that is none."""

from __future__ import annotations

import numpy as np
import pytest

from chipflow.emulator import Emulator
from chipflow.errors import EmulatorError
from chipflow.events import make_events
from chipflow.events.readings import TRACE_DTYPE
from hwconfig import get_chip

from .builders import BOTH, NOTHING, Kind, chip, core, pointwise, relay

KILLING = get_chip("dynapcnn")  # it has kill bits, and no decimator


@BOTH
def test_every_update_of_a_traced_neuron_by_events_and_ticks(kind: Kind) -> None:
    """Threshold 5, lower bound -4; weights 3 and -6 for the two input features; biases 2 and 0."""
    part = pointwise((2, 1, 2), [[3, -6], [3, 3]], threshold_high=5, threshold_low=-4, leak_enable=True, biases=np.array([2, 0]))
    events = make_events([0, 0, 1, 0, 0], 0, [4, 10, 15, 15, 26], [0, 0, 0, 1, 0])
    emulator = kind(chip({3: part}), slow_clock_period_us=10, trace={3: [(0, 0, 0), (1, 0, 0)]})
    trace = emulator.run(events, duration=30).traces[3]
    assert trace.dtype == TRACE_DTYPE
    first = [  # t, p, y, x, v_mem, spike
        (4, 0, 0, 0, 3, False),
        (10, 0, 0, 0, 0, True),  # the tick comes first: 3 + 2 is the threshold
        (10, 0, 0, 0, 3, False),
        (15, 0, 0, 0, -3, False),  # not by the event at x = 1
        (20, 0, 0, 0, -1, False),
        (26, 0, 0, 0, 2, False),
        (30, 0, 0, 0, 4, False),
    ]
    second = [  # without a bias: no tick
        (4, 1, 0, 0, 3, False),
        (10, 1, 0, 0, 1, True),
        (15, 1, 0, 0, 4, False),
        (26, 1, 0, 0, 2, True),
    ]
    assert trace[trace["p"] == 0].tolist() == first
    assert trace[trace["p"] == 1].tolist() == second
    assert (np.diff(trace["t"]) >= 0).all()


@BOTH
def test_values_are_those_after_clamp_and_reset(kind: Kind) -> None:
    matrix = [[9, -50]]
    for to_zero, rest in ((False, 4), (True, 0)):
        config = chip({0: pointwise((2, 1, 1), matrix, threshold_high=5, threshold_low=-7, return_to_zero=to_zero)})
        trace = kind(config, trace={0: [(0, 0, 0)]}).run(make_events(0, 0, [1, 2], [0, 1])).traces[0]
        assert trace[["t", "v_mem", "spike"]].tolist() == [(1, rest, True), (2, -7, False)]


@BOTH
def test_a_weight_of_0_is_no_update_unless_it_is_to_be_one(kind: Kind) -> None:
    part = pointwise((2, 1, 1), [[0, 1]], threshold_high=5, neurons_initial_value=np.full((1, 1, 1), 7))
    events = make_events(0, 0, [1, 2, 3], [0, 1, 0])
    updates = {
        option: kind(chip({0: part}), zero_weights=option, trace={0: [(0, 0, 0)]}).run(events).traces[0].tolist()
        for option in ("no_synapse", "synapse")
    }
    assert updates["no_synapse"] == [(2, 0, 0, 0, 3, True)]
    assert updates["synapse"] == [(1, 0, 0, 0, 2, True), (2, 0, 0, 0, 3, False), (3, 0, 0, 0, 3, False)]


@BOTH
def test_a_killed_neuron_is_never_updated_nor_by_a_killed_synapse_or_bias(kind: Kind) -> None:
    ones = np.ones((3, 1, 1, 1), int)
    part = core(
        (1, 1, 2), ones, threshold_high=9, leak_enable=True, biases=np.array([2, 2, 2]),
        neurons_value_kill_bit=np.array([[[1, 0]], [[0, 0]], [[0, 0]]]),
        weights_kill_bit=np.array([0, 1, 0]).reshape(ones.shape),
        biases_kill_bit=np.array([0, 0, 1]),
    )  # fmt: skip
    every = [(f, 0, x) for f in range(3) for x in range(2)]
    result = kind(chip({0: part}, KILLING), slow_clock_period_us=10, trace={0: every}).run(
        make_events([0, 1], 0, [1, 1], 0), duration=10
    )
    trace = result.traces[0]
    seen = {(f, 0, x): trace[(trace["p"] == f) & (trace["x"] == x)][["t", "v_mem"]].tolist() for f, _, x in every}
    assert seen == {
        (0, 0, 0): [],
        (0, 0, 1): [(1, 1), (10, 3)],
        (1, 0, 0): [(10, 2)],
        (1, 0, 1): [(10, 2)],
        (2, 0, 0): [(1, 1)],
        (2, 0, 1): [(1, 1)],
    }
    assert result.counters[0].updates + result.counters[0].leak_updates == len(trace)


@BOTH
def test_a_spike_is_marked_also_where_the_decimator_drops_it(kind: Kind) -> None:
    config = chip({0: relay((1, 1, 1), output_decimator_enable=True, output_decimator_interval=0)})
    result = kind(config, trace={0: [(0, 0, 0)]}).run(make_events(0, 0, [1, 2, 3], 0))
    assert result.traces[0]["spike"].tolist() == [True, True, True]
    assert result.events["t"].tolist() == [2]


@BOTH
def test_updates_of_one_time_are_in_the_order_in_which_they_happen(kind: Kind) -> None:
    """Core 0 makes two spikes of an event; both reach core 1, +3 first, though there they are updates of the same microsecond."""
    cores = {0: pointwise((1, 1, 1), [[1], [1]], 1), 1: pointwise((2, 1, 1), [[3, -1]], threshold_high=9, threshold_low=-9)}
    trace = kind(chip(cores), trace={1: [(0, 0, 0)]}).run(make_events(0, 0, [5, 5], 0)).traces[1]
    assert trace["v_mem"].tolist() == [3, 2, 5, 4]
    assert set(trace["t"].tolist()) == {5}


@BOTH
def test_traces_are_of_the_chosen_cores_only(kind: Kind) -> None:
    config = chip({0: relay((1, 2, 2), 1), 1: relay((1, 2, 2))})
    result = kind(config, trace={1: [(0, 1, 1), (0, 1, 1)], 0: []}).run(make_events([1, 0], 1, 1, 0))
    assert {layer: trace.tolist() for layer, trace in result.traces.items()} == {1: [(1, 0, 1, 1, 0, True)]}  # once
    untouched = kind(config, trace={1: [(0, 0, 0)]}).run(NOTHING).traces[1]
    assert (untouched.size, untouched.dtype) == (0, TRACE_DTYPE)
    assert kind(config).run(NOTHING).traces == {}


def test_tracing_changes_nothing_and_long_traces_are_whole() -> None:
    """More updates than the emulator has room for at a time."""
    count = 50_000
    config = chip({0: relay((1, 2, 2))})
    events = make_events(np.arange(count) % 2, 1, np.arange(count), 0)
    traced = Emulator(config, trace={0: [(0, 1, x) for x in range(2)]}).run(events)
    plain = Emulator(config).run(events)
    np.testing.assert_array_equal(traced.events, plain.events)
    assert traced.counters == plain.counters
    np.testing.assert_array_equal(traced.traces[0]["t"], events["t"])
    np.testing.assert_array_equal(traced.traces[0]["x"], events["x"])
    assert traced.traces[0]["spike"].all()


def test_a_neuron_that_does_not_exist_is_named() -> None:
    with pytest.raises(EmulatorError, match=r"core 0 has no neuron \(0, 2, 0\)"):
        Emulator(chip({0: relay((1, 2, 2))}), trace={0: [(0, 2, 0)]})
