"""Opening, closing, and the shape of the calls."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import get_args

import pytest

from chipflow import Program, open_device
from chipflow.backends.base import Capability, Device
from chipflow.backends.opening import devices
from chipflow.errors import DeviceBusyError, DeviceError
from chipflow.events import EventArray
from hwconfig import chip_names

Opening = Callable[[], AbstractContextManager[Device]]
METHODS = [name for name, member in vars(Device).items() if inspect.isfunction(member) and name[0] != "_"]


def test_the_device_is_named_as_it_was_opened(device: Device, device_name: str) -> None:
    assert device.name == device_name


def test_it_says_what_it_is_and_can(device: Device, chip: str) -> None:
    assert device.chip is None or device.chip.name == chip
    assert device.capabilities <= set(get_args(Capability))
    assert "sensor" in device.capabilities or "exact" in device.capabilities, "a board sees; an emulator repeats"


def test_it_is_among_the_devices_that_there_are(device: Device, device_name: str, chip: str) -> None:
    found = next(info for info in devices() if info.name == device_name)
    assert found.chip in ("", chip)
    assert found.kind == ("emulator" if "counters" in device.capabilities else "board")


@pytest.mark.parametrize("method", METHODS)
def test_calls_have_the_parameters_of_the_protocol(device: Device, method: str) -> None:
    """Its own options may follow, but nothing is needed that the protocol does not have."""
    wanted, found = (inspect.signature(getattr(owner, method)).parameters for owner in (Device, type(device)))
    for name, parameter in wanted.items():
        assert (found[name].kind, found[name].default) == (parameter.kind, parameter.default)
    own = [found[name] for name in set(found) - set(wanted) if found[name].kind is not inspect.Parameter.VAR_KEYWORD]
    assert all(parameter.default is not inspect.Parameter.empty for parameter in own)


def test_a_closed_device_says_how_to_open_it_again(device: Device, program: Program, events: EventArray) -> None:
    device.run(program, events)
    device.close()
    device.close()
    calls: list[Callable[[], object]] = [
        lambda: device.run(program, events),
        lambda: device.load(program),
        lambda: device.run_batch(program, [events]),
        lambda: next(iter(device.stream(program, events))),
        lambda: device.states("1.5"),
        device.reset_states,
    ]
    for call in calls:
        with pytest.raises(DeviceError, match=rf"closed.*open_device\('{re.escape(device.name)}'\)"):
            call()


def test_leaving_the_context_closes_and_lets_errors_pass(opening: Opening, program: Program, events: EventArray) -> None:
    with opening() as device:
        pass
    with pytest.raises(DeviceError, match="closed"):
        device.run(program, events)
    with pytest.raises(DeviceError, match="nowhere"), opening() as device:
        device.run(program, events, monitor=["nowhere"])
    with pytest.raises(DeviceError, match="closed"):
        device.run(program, events)
    with opening() as device:  # it was given back
        device.run(program, events)


def test_two_devices_of_one_name_do_not_share_a_state(
    device: Device, device_name: str, program: Program, events: EventArray
) -> None:
    """An emulator can be opened twice; a board is held."""
    first = device.run(program, events)
    with ExitStack() as stack:
        if "counters" in device.capabilities:
            stack.enter_context(open_device(device_name)).run(program, events[:10])
        else:
            with pytest.raises(DeviceBusyError, match="held"):
                stack.enter_context(open_device(device_name))
    assert device.run(program, events).events.tolist() == first.events.tolist()


@pytest.mark.parametrize("name", ["", "emulater", "emulator:", "emulator:speck9", "speck2f"])
def test_a_device_that_does_not_exist_is_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(DeviceError) as caught:
        open_device(name)
    for known in (repr(name), "emulator", *(f"emulator:{chip}" for chip in chip_names())):
        assert known in str(caught.value)
