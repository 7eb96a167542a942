"""Bad input: refused with the way out, and nothing lost."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from chipflow.emulator import Emulator, ReferenceEmulator
from chipflow.errors import EmulatorError, EventError, StrictModeError, UnsupportedConfigError
from chipflow.events import make_events
from hwconfig import (
    ChipConfig,
    CoreConfig,
    DesignRuleError,
    Destination,
    Dimensions,
    ReadoutConfig,
)

BOTH = pytest.mark.parametrize("kind", [Emulator, ReferenceEmulator])


def core(*targets: int, **changes: Any) -> CoreConfig:
    """A 1 x 1 kernel on a 2 x 2 map that passes every event on."""
    size = Dimensions(kernel_size=1, input_shape=(1, 2, 2), output_shape=(1, 2, 2))
    fields = {"weights": np.full((1, 1, 1, 1), 1), "threshold_high": 1, "threshold_low": -1, "monitor_enable": not targets}
    return CoreConfig(dimensions=size, destinations=[Destination(layer=target) for target in targets], **(fields | changes))


def chip(**cores: CoreConfig) -> ChipConfig:
    return ChipConfig(chip="speck2f", cnn_layers={int(name[1:]): part for name, part in cores.items()})


ANEW = {"biases": np.zeros(2, int), "neurons_initial_value": np.zeros((2, 1, 1), int)}
ONE = {"biases": np.zeros(1, int), "neurons_initial_value": np.zeros((1, 1, 1), int)}
CHAIN = chip(c3=core(1), c1=core())
EVENTS = make_events([0, 1, 1], [0, 0, 1], [1, 1, 5], 0)


@BOTH
def test_a_chain_passes_events_on(kind: Any) -> None:
    result = kind(CHAIN).run(EVENTS)
    assert result.events.tolist() == [(0, 0, 1, 0, 1), (1, 0, 1, 0, 1), (1, 1, 5, 0, 1)]
    assert (result.accounting.sent, result.accounting.received, result.accounting.dropped) == (3, 3, 0)


@BOTH
@pytest.mark.parametrize(("x", "p"), [([0, 2], 0), ([0, -1], 0), (0, [0, 1])])
def test_an_event_outside_is_refused_before_the_run_or_dropped_and_counted(kind: Any, x: Any, p: Any) -> None:
    events = make_events(x, 0, [1, 2], p)
    emulator = kind(CHAIN)
    with pytest.raises(EventError, match=r'event 1 .*on_outside="drop"') as caught:
        emulator.run(events)
    assert caught.value.index == 1
    result = kind(CHAIN, on_outside="drop").run(events)
    assert (result.counters[3].events_in, result.counters[3].dropped_outside, result.accounting.dropped) == (2, 1, 1)


@BOTH
def test_unsorted_and_foreign_events_and_late_events_are_refused(kind: Any) -> None:
    with pytest.raises(EventError, match="event 2: t = 1 us comes after 5 us"):
        kind(CHAIN).run(EVENTS[[0, 2, 1]])
    with pytest.raises(EventError, match="x, y, t, p"):
        kind(CHAIN).run(np.zeros(3, [("x", int), ("y", int), ("when", int), ("p", int)]))
    with pytest.raises(EventError, match="duration") as caught:
        kind(CHAIN).run(EVENTS, duration=4)
    assert caught.value.index == 2
    with pytest.raises(EmulatorError, match="duration"):
        kind(CHAIN).run(EVENTS, duration=-1)
    with pytest.raises(EventError, match="layer 2"):
        kind(CHAIN).run(make_events([0, 1], 0, 1, 0, [3, 2]))


@BOTH
def test_an_epoch_time_stamp_is_refused_with_the_call_that_rebases(kind: Any) -> None:
    emulator = kind(CHAIN, slow_clock_period_us=1000)
    with pytest.raises(EventError, match="rebase_time"):
        emulator.run(make_events(0, 0, [10**15], 0))


@BOTH
def test_clocks_that_nobody_gave_are_refused(kind: Any) -> None:
    with pytest.raises(EmulatorError, match="slow_clock_period_us"):
        kind(chip(c0=core(leak_enable=True)))
    with pytest.raises(EmulatorError, match="internal slow clock"):
        kind(chip(c0=core(leak_enable=True, leak_internal_slow_clk_enable=True)))
    kind(chip(c0=core(leak_enable=True, leak_internal_slow_clk_enable=True)), slow_clock_period_us=10)
    for readout in (ReadoutConfig(enable=True), ReadoutConfig(enable=True, internal_slow_clk=True)):
        with pytest.raises(EmulatorError, match="slow_clock_period_us"):
            kind(CHAIN.with_changes(readout=readout))
    for period in (0, -1, 1.5):
        with pytest.raises(EmulatorError, match="slow_clock_period_us"):
            kind(CHAIN, slow_clock_period_us=period)


@BOTH
def test_what_is_not_modelled_is_refused_by_name(kind: Any) -> None:
    with pytest.raises(UnsupportedConfigError, match=r"dvs_filter\.enable"):
        kind(CHAIN.with_changes(dvs_filter={"enable": True}))
    for selector in (0, 1, 2):
        with pytest.raises(UnsupportedConfigError, match=rf"readout_configuration_sel is {selector}"):
            kind(CHAIN.with_changes(readout=ReadoutConfig(enable=True, readout_configuration_sel=selector)))
    with pytest.raises(DesignRuleError, match="threshold_low"):
        kind(chip(c0=core(threshold_low=0)))
    round_trip = chip(c0=core(1), c1=core(0))
    with pytest.raises(DesignRuleError, match="loop"):
        kind(round_trip)
    with pytest.raises(EmulatorError, match=r"cores \[0, 1\] form a loop"):
        kind(round_trip.with_suppressed_rule("loop", "the board copes"))


@BOTH
def test_entries_and_options_that_make_no_sense_are_refused(kind: Any) -> None:
    for entries, words in (([4], "not configured"), ([3, 3], "twice")):
        with pytest.raises(EmulatorError, match=words):
            kind(CHAIN, entries=entries)
    for name in ("on_outside", "order", "zero_weights", "decimator_passes", "on_overload"):
        with pytest.raises(EmulatorError, match=rf"{name} must be .* or .*, found 'ignore'"):
            kind(CHAIN, **{name: "ignore"})
    for window in (0, -1, 1.5, None, float("nan")):
        with pytest.raises(EmulatorError, match="load_window_us"):
            kind(CHAIN, load_window_us=window)
    for trace in ({2: [(0, 0, 0)]}, {1: [(1, 0, 0)]}, {1: [(0, 0)]}, {1: [(0, 0, -1)]}, {1: [(0, 0.5, 0)]}):
        with pytest.raises(EmulatorError, match=r"core [12]"):
            kind(CHAIN, trace=trace)
    two = kind(chip(c0=core(), c1=core()))
    with pytest.raises(EmulatorError, match="entries="):
        two.run(EVENTS)
    assert two.run(make_events([0], 0, 1, 0, [1])).accounting.received == 1


@BOTH
def test_merging_streams_interleave_depth_first(kind: Any) -> None:
    """Core 0 makes two spikes of one event; each goes through core 1 and then itself into core 2, before the next one does.

    So core 2 gets +3, +3, -3, -3 and spikes at the second. Were it +3, -3, +3, -3, it would never spike.
    """
    two = Dimensions(kernel_size=1, input_shape=(2, 1, 1), output_shape=(2, 1, 1))
    parts = {
        0: core(1, 2).with_changes(
            dimensions=Dimensions.convolution((1, 1, 1), 2, 1), weights=np.ones((2, 1, 1, 1), int), **ANEW
        ),
        1: core(2).with_changes(dimensions=two, weights=np.eye(2, dtype=int)[:, :, None, None], **ANEW),
        2: core(threshold_high=4).with_changes(
            dimensions=two.with_changes(output_shape=(1, 1, 1)), weights=np.array([3, -3]).reshape(1, 2, 1, 1), **ANEW | ONE
        ),
    }
    result = kind(ChipConfig(chip="speck2f", cnn_layers=parts)).run(make_events([0], 0, 1, 0))
    assert (result.counters[2].events_in, len(result.events)) == (4, 1)
    assert result.states[2].tolist() == [[[-1]]]


@BOTH
def test_spikes_for_a_disabled_readout_block_are_dropped_and_counted(kind: Any) -> None:
    result = kind(chip(c0=core(12))).run(EVENTS)
    assert (result.accounting.dropped, result.accounting.dropped_at_readout) == (3, 3)


@BOTH
def test_strict_mode_names_layer_neuron_and_time_and_restores(kind: Any) -> None:
    config = chip(c3=core(1), c1=core(threshold_high=32767, weights=np.full((1, 1, 1, 1), 127)))
    emulator = kind(config)
    full = np.array([[[0, 32700], [0, 0]]], np.int16)
    emulator.set_state(1, full)
    with pytest.raises(StrictModeError) as caught:
        emulator.run(EVENTS)
    assert (caught.value.layer, caught.value.neuron, caught.value.time) == (1, (0, 0, 1), 1)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    np.testing.assert_array_equal(emulator.state(1), full)
    counted = kind(config, strict=False)
    counted.set_state(1, full)
    assert counted.run(EVENTS).counters[1].upper_clamped == 1


@BOTH
def test_strict_mode_names_the_neuron_at_the_lower_end(kind: Any) -> None:
    emulator = kind(chip(c0=core(threshold_low=-32768, weights=np.full((1, 1, 1, 1), -1))))
    emulator.set_state(0, np.array([[[0, 0], [0, -32768]]]))
    with pytest.raises(StrictModeError) as caught:
        emulator.run(EVENTS)
    assert (caught.value.neuron, caught.value.time) == ((0, 1, 1), 5)
    assert emulator.state(0)[0, 1].tolist() == [0, -32768]


@BOTH
def test_states_that_do_not_fit_are_refused(kind: Any) -> None:
    emulator = kind(CHAIN)
    for bad in (np.zeros((1, 2, 3), int), np.zeros((1, 2, 2)), np.full((1, 2, 2), 40_000)):
        with pytest.raises(EmulatorError, match="states of core 1"):
            emulator.set_state(1, bad)


def test_a_refused_chunk_leaves_the_fed_run_going() -> None:
    emulator = Emulator(CHAIN)
    emulator.feed(EVENTS[:2])
    for bad in (make_events([9], 0, 7, 0), make_events([0], 0, 0, 0)):
        with pytest.raises(EventError):
            emulator.feed(bad)
    with pytest.raises(EmulatorError, match="finish"):
        emulator.run(EVENTS)
    with pytest.raises(EmulatorError, match="duration"):
        emulator.finish(duration=0)
    emulator.feed(EVENTS[2:])
    assert emulator.finish().events.tolist() == Emulator(CHAIN).run(EVENTS).events.tolist()


def test_snapshots_belong_to_a_configuration() -> None:
    emulator = Emulator(CHAIN)
    snapshot = emulator.snapshot()
    Emulator(CHAIN).restore(snapshot)
    with pytest.raises(EmulatorError, match="another configuration"):
        Emulator(chip(c0=core())).restore(snapshot)


def test_reset_forgets_states_and_a_run_under_way() -> None:
    emulator = Emulator(CHAIN)
    emulator.set_state(1, np.full((1, 2, 2), -1))
    emulator.feed(EVENTS)
    emulator.reset()
    assert (emulator.state(1) == 0).all()
    assert emulator.run(EVENTS).accounting.sent == 3
