"""What a device refuses: before anything runs, and so that the next run is as if nothing had been asked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from chipflow import Program
from chipflow.backends.base import Device
from chipflow.errors import ChipflowError, DeviceError, EventError
from chipflow.events import EventArray, make_events
from hwconfig import DesignRuleError, chip_names

from .answers import assert_same_answer
from .conftest import LAYERS, program_for


@pytest.fixture(autouse=True)
def unharmed(device: Device, program: Program, events: EventArray) -> Iterator[None]:
    """A run after the refusal equals one before it."""
    before = device.run(program, events)
    yield
    assert_same_answer(device, device.run(program, events), before)


@pytest.mark.parametrize(
    ("bad", "index", "word"),
    [
        (make_events([0, 1, 8], 0, [1, 2, 3], 0), 2, "x=8"),
        (make_events(0, [0, -1], [1, 2], 0), 1, "y=-1"),
        (make_events(0, 0, [1, 2], [2, 0]), 0, "p=2"),
        (np.array([(0, 0, 5, 0), (0, 0, 4, 0)], [(name, int) for name in "xytp"]), 1, "sort"),
        (make_events([0, 1], 0, 1, 0, [200, 200]), 0, "layer 200"),
    ],
)
def test_events_by_their_index(device: Device, program: Program, bad: EventArray, index: int, word: str) -> None:
    with pytest.raises(EventError, match=f"event {index}.*{word}") as caught:
        device.run(program, bad)
    assert caught.value.index == index


@pytest.mark.parametrize("bad", [np.zeros((3, 4)), np.zeros(2, [("x", int), ("y", int), ("q", int), ("p", int)]), None, [1, 2]])
def test_what_is_no_event_array(device: Device, program: Program, bad: object) -> None:
    with pytest.raises(EventError, match="x, y, t, p"):
        device.run(program, bad)


def test_events_after_the_duration(device: Device, program: Program, events: EventArray) -> None:
    first_late = int(np.argmax(events["t"] > 5000))
    with pytest.raises(EventError, match="duration of 5000 us") as caught:
        device.run(program, events, duration=5000)
    assert caught.value.index == first_late
    with pytest.raises(ChipflowError, match="duration"):
        device.run(program, events, duration=-1)


@pytest.mark.parametrize("monitor", [["nowhere"], ["1.5", "nowhere"], [99], ["0"]])
def test_unknown_layers_with_the_known_ones(
    device: Device, program: Program, events: EventArray, monitor: list[str | int]
) -> None:
    with pytest.raises(DeviceError) as caught:
        device.run(program, events, monitor=monitor)
    for name in (monitor[-1], *LAYERS, *program.placement.values()):
        assert repr(name) in str(caught.value)


def test_a_configuration_that_breaks_rules(device: Device, program: Program, events: EventArray) -> None:
    illegal = program.config.with_core(program.entries[0], threshold_low=0, threshold_high=0)
    with pytest.raises(DesignRuleError) as caught:
        device.run(illegal, events)
    assert {violation.rule for violation in caught.value.report.errors} == {"threshold-low", "value-range"}


def test_a_program_for_another_chip(device: Device, chip: str, events: EventArray) -> None:
    other = next(name for name in chip_names() if name != chip)
    foreign = program_for(other)
    if device.chip is None:
        assert device.run(foreign, events).accounting.sent == len(events)
        return
    for wrong in (foreign, foreign.config):
        with pytest.raises(DeviceError, match=rf"{other}.*{chip}"):
            device.run(wrong, events)


def test_an_option_that_does_not_exist(device: Device, program: Program, events: EventArray) -> None:
    with pytest.raises(ChipflowError, match="on_outside"):
        device.run(program, events, on_outside="ignore")  # pyright: ignore[reportArgumentType]
