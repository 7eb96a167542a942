"""The run again under the other rules: seen where it matters, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chipflow import open_device
from chipflow.backends.emulated import EmulatedDevice
from chipflow.emulator.what_if import WhatIf
from chipflow.events import EventArray, make_events
from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions

TWO_TO_ONE = Dimensions(kernel_size=1, input_shape=(2, 1, 1), output_shape=(1, 1, 1))
ONE_TO_TWO = Dimensions(kernel_size=1, input_shape=(1, 1, 1), output_shape=(2, 1, 1))
ONCE = make_events([0], 0, 1, 0)


def core(dimensions: Dimensions, weights: Any, targets: tuple[int, ...] = (), **more: Any) -> CoreConfig:
    shaped = np.reshape(weights, (dimensions.output_shape[0], dimensions.input_shape[0], 1, 1))
    links = [Destination(layer=target) for target in targets]
    fields = {"threshold_high": 1, "threshold_low": -9, "monitor_enable": not targets} | more
    return CoreConfig(dimensions=dimensions, weights=shaped, destinations=links, **fields)


def merging() -> ChipConfig:
    """As in the refusals' example of depth first: +3, +3, -3, -3 reaches 4; +3, -3, +3, -3 never does."""
    two = Dimensions(kernel_size=1, input_shape=(2, 1, 1), output_shape=(2, 1, 1))
    cores = {
        0: core(ONE_TO_TWO, [1, 1], (1, 2)),
        1: core(two, np.eye(2, dtype=int), (2,)),
        2: core(TWO_TO_ONE, [3, -3], threshold_high=4),
    }
    return ChipConfig(chip="speck2f", cnn_layers=cores)


def with_a_rest() -> ChipConfig:
    """The neuron keeps 5 - 1 after its spike; a second event brings a weight of 0."""
    return ChipConfig(chip="speck2f", cnn_layers={0: core(TWO_TO_ONE, [5, 0])})


def decimated() -> ChipConfig:
    part = core(ONE_TO_TWO, [1, 1], output_decimator_enable=True)
    return ChipConfig(chip="speck2f", cnn_layers={0: part})


def found(config: ChipConfig, events: EventArray) -> dict[str, WhatIf]:
    with open_device("emulator") as device:
        assert isinstance(device, EmulatedDevice)
        return {run.rule: run for run in device.what_if(config, events, device.run(config, events)).runs}


@pytest.mark.parametrize(
    ("config", "events", "rule"),
    [
        (merging(), ONCE, "depth-first"),
        (with_a_rest(), make_events(0, 0, [1, 2], [0, 1]), "zero-weights"),
        (decimated(), ONCE, "decimator"),
    ],
)
def test_each_other_way_changes_a_run_that_depends_on_it(config: ChipConfig, events: EventArray, rule: str) -> None:
    runs = found(config, events)
    assert runs[rule].changed
    assert "spikes become" in runs[rule].difference
    assert "CHANGED" in runs[rule].outcome
    assert not any(run.changed for name, run in runs.items() if name != rule)


def test_what_does_not_apply_is_not_run_and_what_does_may_change_nothing() -> None:
    runs = found(with_a_rest(), ONCE)
    assert [run.applies for run in runs.values()] == [True, False, False]
    assert not runs["zero-weights"].changed
    assert "same spikes" in runs["zero-weights"].outcome
    assert "nothing in this configuration" in runs["decimator"].outcome


def test_an_error_of_the_other_way_is_a_change() -> None:
    """The rest above the threshold is cut at the top only where the weight of 0 makes no spike lower it."""
    part = core(TWO_TO_ONE, [127, 0], threshold_high=1)
    config = ChipConfig(chip="speck2f", cnn_layers={0: part.with_changes(neurons_initial_value=np.full((1, 1, 1), 32640))})
    events = make_events(0, 0, [1, 2], [0, 1])
    with open_device("emulator") as device:
        assert isinstance(device, EmulatedDevice)
        usual = device.run(config, events)
        runs = device.what_if(config, events, usual).runs
    assert runs[0].changed
