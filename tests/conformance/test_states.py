"""Membrane potentials: read, written, and reset."""

from __future__ import annotations

import numpy as np
import pytest

from chipflow import Program
from chipflow.backends.base import Device
from chipflow.errors import DeviceError
from chipflow.events import EventArray

from .conftest import LAYERS


def test_states_are_those_that_were_written(device: Device, program: Program) -> None:
    device.load(program)
    for name, core in program.placement.items():
        shape = program.config.core(core).dimensions.output_shape
        wanted = np.arange(np.prod(shape)).reshape(shape) - 5
        device.set_states(name, wanted)
        for found in (device.states(name), device.states(core)):
            assert found.dtype == np.int16
            np.testing.assert_array_equal(found, wanted)


def test_a_run_starts_from_the_states_written_where_it_is_not_to_reset(
    device: Device, program: Program, events: EventArray
) -> None:
    device.load(program)
    core = program.config.core(program.placement["1.5"])
    device.set_states("1.5", np.full(core.dimensions.output_shape, core.threshold_high - 1, np.int16))
    primed = device.run(program, events, reset=False)
    fresh = device.run(program, events)
    assert primed.counts("1.5").sum() > fresh.counts("1.5").sum()


def test_a_reset_really_resets(device: Device, program: Program, events: EventArray) -> None:
    wanted = device.run(program, events)
    assert any(device.states(name).any() for name in LAYERS)
    device.reset_states()
    for name, core in program.placement.items():
        np.testing.assert_array_equal(device.states(name), program.config.core(core).neurons_initial_value)
    assert device.run(program, events, reset=False).events.tolist() == wanted.events.tolist()


def test_initial_states_that_are_not_zero_are_what_a_reset_leads_to(device: Device, program: Program, events: EventArray) -> None:
    core = program.placement["1.2"]
    initial = np.full(program.config.core(core).dimensions.output_shape, -3, np.int16)
    primed = program.config.with_core(core, neurons_initial_value=initial)
    device.run(primed, events)
    device.reset_states()
    np.testing.assert_array_equal(device.states("1.2"), initial)


def test_nothing_is_loaded_yet(device: Device) -> None:
    for call in (lambda: device.states("1.5"), lambda: device.set_states("1.5", [[[0]]]), device.reset_states):
        with pytest.raises(DeviceError, match=r"loaded.*load\(program\)"):
            call()


@pytest.mark.parametrize(
    ("states", "word"),
    [
        (np.zeros((1, 1), int), r"\(3, 1, 1\)"),
        (np.zeros((3, 1, 1)), "integers"),
        (np.full((3, 1, 1), 40_000), "40000"),
        (np.full((3, 1, 1), -40_000), "-40000"),
    ],
)
def test_states_that_do_not_fit_are_refused(device: Device, program: Program, states: np.ndarray, word: str) -> None:
    device.load(program)
    with pytest.raises(DeviceError, match=word):
        device.set_states("1.5", states)
    assert not device.states("1.5").any()


@pytest.mark.parametrize("layer", ["nowhere", 99, "0"])
def test_unknown_layers_with_the_known_ones(device: Device, program: Program, layer: str | int) -> None:
    device.load(program)
    for call in (lambda: device.states(layer), lambda: device.set_states(layer, [[[0]]])):
        with pytest.raises(DeviceError) as caught:
            call()
        for name in (layer, *LAYERS):
            assert repr(name) in str(caught.value)
