"""The simulator between time-stepped simulation and the chip: its two ends, and every combination on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chipflow.emulator import Emulator
from chipflow.emulator.time_steps import ALL_CAUSES, CAUSES, Causes, SteppedSpikes, TimeSteps
from chipflow.emulator.time_steps_numbers import CoreNumbers
from chipflow.errors import EmulatorError
from chipflow.events import make_events
from hwconfig import ChipConfig, Destination
from tests.emulator import time_steps_reference as reference
from tests.emulator.builders import chip, pointwise, relay
from tests.emulator.networks import Case, cases

ONE_PIXEL = (1, 1, 1)


def one_core(weights: Any, **fields: Any) -> ChipConfig:
    """A core of one neuron that reads as many features as there are weights."""
    return chip({0: pointwise((len(weights), 1, 1), [weights], **fields)})


def answer(config: ChipConfig, features: Any, times: Any, causes: Causes, **options: Any) -> tuple[list[int], float]:
    """Times of the neuron's spikes, and its state at the end; steps of 10 us."""
    run = TimeSteps(config, time_step_us=10, **options).run(make_events(0, 0, times, features), causes)
    return run.spikes[0].t.tolist(), float(run.states[0].squeeze())


def test_each_cause_alone() -> None:
    """Two events of +3 and one of -9 in one step, threshold 2, lower bound -1."""
    config = one_core([3, -9], threshold_high=2, threshold_low=-1)
    given = ([0, 0, 1], [0, 1, 2])
    assert answer(config, *given, Causes(rounding=True)) == ([], -1)
    assert answer(config, *given, Causes(rounding=True, order=True)) == ([0, 1, 1], -1)
    assert answer(config, [1, 0, 0], [0, 1, 2], Causes(rounding=True)) == ([], -1)
    assert answer(config, [1, 0, 0], [0, 1, 2], Causes(rounding=True, clamp=True)) == ([10, 10], 1)
    assert answer(config, [0], [0], Causes(rounding=True)) == ([10], 1)
    assert answer(config, [0, 0], [0, 1], Causes(rounding=True)) == ([10, 10, 10], 0)
    assert answer(config, [0, 0], [0, 1], Causes(rounding=True, one_spike=True)) == ([10, 10], 2)
    assert answer(config, *given, ALL_CAUSES) == ([0, 1], -1)


def test_biases_at_the_end_of_a_step_or_at_a_tick() -> None:
    config = one_core([0], biases=np.array([2]), threshold_high=3, leak_enable=True)
    options = {"slow_clock_period_us": 4}
    assert answer(config, [0], [25], Causes(rounding=True), **options) == ([20, 30], 0)
    assert answer(config, [0], [25], Causes(rounding=True, leak=True), **options) == ([10, 20, 20, 30], 0)
    assert answer(config, [0], [25], ALL_CAUSES, **options) == ([8, 12, 20, 24], 0)


def test_a_step_that_ends_at_a_tick_decides_after_it() -> None:
    """Also where the steps before were silent, which are passed over."""
    config = one_core([0], biases=np.array([2]), threshold_high=1, leak_enable=True)
    leaking = Causes(rounding=True, leak=True)
    assert answer(config, [0], [45], leaking, slow_clock_period_us=20) == ([20, 20, 40, 40], 0)


def test_floats_are_needed_without_rounding() -> None:
    simulator = TimeSteps(one_core([1]), time_step_us=10)
    with pytest.raises(EmulatorError, match="floats"):
        simulator.run(make_events(0, 0, [1], 0), Causes())


def test_floats_of_another_shape_are_refused() -> None:
    wrong = CoreNumbers(np.zeros((1, 2, 1, 1)), np.zeros(1), 1.0, -1.0, np.zeros(ONE_PIXEL))
    with pytest.raises(EmulatorError, match=r"weights.*\(1, 2, 1, 1\).*\(1, 1, 1, 1\)"):
        TimeSteps(one_core([1]), time_step_us=10, floats={0: wrong})


def test_streams_that_merge_do_so_depth_first() -> None:
    """Two spikes of one event, each by both ways of a diamond before the next."""
    two, four = (2, 1, 1), (4, 1, 1)
    ways = {1: relay(two, 3), 2: relay(two, Destination(layer=3, feature_shift=2)), 3: relay(four)}
    config = chip({0: pointwise(ONE_PIXEL, [[1], [1]], 1, 2)} | ways)
    spikes = TimeSteps(config, time_step_us=10).run(make_events(0, 0, [1, 1], 0)).spikes[3].events()
    assert spikes["p"].tolist() == [0, 2, 1, 3] * 2
    assert spikes["t"].tolist() == [1] * 8


@given(cases(), st.integers(1, 50))
@settings(deadline=None, max_examples=60)
def test_with_all_causes_it_is_the_chip(drawn: Case, step_us: int) -> None:
    """Whatever merges, spike for spike and state for state."""
    cores = {core: part.with_changes(monitor_enable=True) for core, part in drawn.config.cnn_layers.items()}
    readout = drawn.config.readout.with_changes(monitor_enable=False)
    case = replace(drawn, config=drawn.config.with_changes(cnn_layers=cores, readout=readout))
    options = {"entries": case.entries, "slow_clock_period_us": case.period, "on_outside": "drop"}
    emulator = Emulator(case.config, strict=False, **options)
    wanted = emulator.run(case.events, duration=case.duration)
    run = TimeSteps(case.config, time_step_us=step_us, **options).run(case.events, duration=case.duration)
    for core in case.config.active_cores:
        found = run.spikes[core].events()
        mine = wanted.events[wanted.events["layer"] == core][["x", "y", "t", "p"]]
        np.testing.assert_array_equal(found, mine.astype(found.dtype))
        np.testing.assert_array_equal(run.spikes[core].counts(), wanted.counts(core))
        np.testing.assert_array_equal(run.states[core], emulator.state(core))


def halved(part: Any) -> CoreNumbers:
    """Floats that are exact, and not the integers."""
    rng = np.random.default_rng(part.weights.size)
    weights, biases = (values / 2 + rng.integers(-1, 2, values.shape) / 4 for values in (part.weights, part.biases))
    initial = np.asarray(part.neurons_initial_value) / 2
    return CoreNumbers(weights, biases, part.threshold_high / 2, part.threshold_low / 2, initial)


@given(cases(), st.integers(1, 50), st.integers(0, 2 ** len(CAUSES) - 1))
@settings(deadline=None, max_examples=60)
def test_every_combination_is_what_the_rules_say(case: Case, step_us: int, chosen: int) -> None:
    """On the first core that the events enter."""
    config = case.config
    assume(case.entries is not None)
    assert case.entries is not None
    core = case.entries[0]
    part = config.core(core).with_changes(destinations=[], output_decimator_enable=False, monitor_enable=True)
    events = make_events(*(case.events[name] for name in ("x", "y", "t", "p")))
    causes = Causes.of(name for i, name in enumerate(CAUSES) if chosen >> i & 1)
    simulator = TimeSteps(
        config.with_changes(cnn_layers={core: part}, dvs_layer=type(config.dvs_layer)()),
        time_step_us=step_us, slow_clock_period_us=case.period, floats={core: halved(part)}, on_outside="drop",
    )  # fmt: skip
    run = simulator.run(events, causes, duration=case.duration)
    last = int(events["t"][-1]) if len(events) else 0
    steps = last // step_us + 1 if case.duration is None else -(-case.duration // step_us)
    numbers = halved(part) if not causes.rounding else _integers(part)
    shape = part.dimensions.input_shape
    inside = [(2 * int(t) + 1, int(p), int(y), int(x)) for x, y, t, p in events.tolist() if _within((p, y, x), shape)]
    clock = (step_us, steps, case.period, last if case.duration is None else case.duration)
    spikes, states = reference.run_core(part, numbers, causes, inside, clock)
    assert _as_tuples(run.spikes[core]) == spikes
    np.testing.assert_array_equal(run.states[core], states)


def _within(place: tuple[int, int, int], shape: tuple[int, int, int]) -> bool:
    return all(0 <= at < size for at, size in zip(place, shape, strict=True))


def _integers(part: Any) -> CoreNumbers:
    return CoreNumbers(part.weights, part.biases, part.threshold_high, part.threshold_low, np.asarray(part.neurons_initial_value))


def _as_tuples(spikes: SteppedSpikes) -> list[tuple[int, ...]]:
    return [tuple(map(int, spike)) for spike in zip(spikes.keys, *np.unravel_index(spikes.neurons, spikes.shape), strict=True)]
