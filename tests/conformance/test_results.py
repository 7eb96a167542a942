"""What a run reports: where every event went, and the helpers of the result."""

from __future__ import annotations

import numpy as np
import pytest

from chipflow import Program
from chipflow.backends.base import Device
from chipflow.errors import EventError
from chipflow.events import EventArray, RunResult, make_events
from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions

from .answers import counts
from .conftest import DURATION_US, LAYERS


@pytest.fixture
def result(device: Device, program: Program, events: EventArray) -> RunResult:
    return device.run(program, events, monitor=LAYERS, duration=DURATION_US)


def passing_on(size: int, **fields: object) -> CoreConfig:
    """Every event that is handled is one synaptic operation and one spike."""
    shape = (1, size, size)
    dimensions = Dimensions(kernel_size=1, input_shape=shape, output_shape=shape)
    return CoreConfig(dimensions=dimensions, weights=np.ones((1, 1, 1, 1), int), threshold_high=1, threshold_low=-1, **fields)


def test_every_event_was_handled_or_dropped(device: Device, chip: str) -> None:
    """An odd map, pooled: its last row and column reach no neuron. One event lies outside of the first map."""
    cores = {0: passing_on(3, destinations=[Destination(layer=1, pooling=2)]), 1: passing_on(1, monitor_enable=True)}
    y, x = np.divmod(np.arange(9), 3)
    events = make_events([*x, 7], [*y, 0], np.arange(10), 0)
    result = device.run(ChipConfig(chip=chip, cnn_layers=cores), events, on_outside="drop")
    totals = result.accounting
    assert (totals.sent, totals.received) == (10, 4)
    assert (totals.late, totals.lost, totals.dropped_at_readout) == (0, 0, 0)
    if not counts(device, result):
        return
    assert totals.dropped == 6
    for core, came, outside, remainder in ((0, 10, 1, 0), (1, 9, 0, 5)):
        counted = result.counters[core]
        assert (counted.events_in, counted.dropped_outside, counted.dropped_remainder) == (came, outside, remainder)
        assert counted.events_in == counted.synops + counted.dropped


def test_everything_sent_and_received_is_accounted_for(result: RunResult, events: EventArray) -> None:
    assert (result.accounting.sent, result.accounting.received) == (len(events), len(result.events))
    assert (result.accounting.late, result.accounting.lost, result.accounting.dropped) == (0, 0, 0)
    assert f"{len(events):,} events sent" in result.summary()


def test_what_one_layer_sends_the_next_one_gets(device: Device, result: RunResult, program: Program, events: EventArray) -> None:
    if not counts(device, result):
        return
    counted = [result.counters[program.placement[name]] for name in LAYERS]
    assert [core.events_in for core in counted] == [len(events), counted[0].spikes_out, counted[1].spikes_out]
    assert len(result.events) == sum(core.spikes_out for core in counted)


def test_events_are_spikes_of_neurons_in_order(device: Device, result: RunResult, program: Program) -> None:
    assert result.events.dtype.names == ("x", "y", "t", "p", "layer")
    assert (np.diff(result.events["t"]) >= 0).all()
    for core in program.placement.values():
        mine = result.events[result.events["layer"] == core]
        assert len(mine) > 0
        assert not counts(device, result) or len(mine) == result.counters[core].spikes_out
        assert result.shapes[core] == program.config.core(core).dimensions.output_shape
        for name, size in zip(("p", "y", "x"), result.shapes[core], strict=True):
            assert ((mine[name] >= 0) & (mine[name] < size)).all()


def test_states_are_within_their_bounds(device: Device, result: RunResult, program: Program) -> None:
    for name, core in program.placement.items():
        states, part = device.states(name), program.config.core(core)
        assert not counts(device, result) or states.tolist() == result.states[core].tolist()
        assert (states.dtype, states.shape) == (np.dtype(np.int16), part.dimensions.output_shape)
        assert states.min() >= part.threshold_low
        assert states.max() < part.threshold_high


@pytest.mark.parametrize("name", LAYERS)
def test_counts_and_raster_hold_every_spike(result: RunResult, program: Program, name: str) -> None:
    core = program.placement[name]
    expected = np.zeros(result.shapes[core], int)
    mine = result.events[result.events["layer"] == core]
    for event in mine:
        expected[event["p"], event["y"], event["x"]] += 1
    np.testing.assert_array_equal(result.counts(name), expected)
    np.testing.assert_array_equal(result.counts(core), expected)
    raster = result.raster(dt_us=1000, layer=name)
    assert raster.shape == (DURATION_US // 1000, *result.shapes[core])
    np.testing.assert_array_equal(raster.sum(0), expected)
    np.testing.assert_array_equal(raster.sum((1, 2, 3)), np.bincount(mine["t"] // 1000, minlength=len(raster)))


def test_the_prediction_is_the_feature_with_most_spikes_of_the_last_layer(result: RunResult) -> None:
    spikes = result.counts("1.5").sum((1, 2))
    assert len(set(spikes)) > 1
    assert result.prediction() == result.prediction("1.5") == int(np.argmax(spikes))


def test_a_layer_that_was_not_monitored_has_no_counts(device: Device, program: Program, events: EventArray) -> None:
    result = device.run(program, events)
    for layer in ("0.0", program.placement["0.0"], "nowhere"):
        with pytest.raises(EventError, match=r"1\.5"):
            result.counts(layer)
