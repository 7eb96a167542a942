"""Opening, closing, and the shape of the calls."""

from __future__ import annotations

import inspect
import re

import pytest

from chipflow import Program, open_device
from chipflow.backends.base import Device
from chipflow.errors import DeviceError
from chipflow.events import EventArray
from hwconfig import chip_names


def test_the_device_is_named_as_it_was_opened(device: Device, device_name: str) -> None:
    assert device.name == device_name


@pytest.mark.parametrize("method", ["run", "run_batch", "close"])
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
    with pytest.raises(DeviceError, match=rf"closed.*open_device\('{re.escape(device.name)}'\)"):
        device.run(program, events)


def test_leaving_the_context_closes_and_lets_errors_pass(device_name: str, program: Program, events: EventArray) -> None:
    device = open_device(device_name)
    assert device.__enter__() is device
    device.__exit__(None, None, None)
    with pytest.raises(DeviceError, match="closed"):
        device.run(program, events)
    device = open_device(device_name)
    with pytest.raises(DeviceError, match="nowhere"), device:
        device.run(program, events, monitor=["nowhere"])
    with pytest.raises(DeviceError, match="closed"):
        device.run(program, events)


def test_two_devices_of_one_name_do_not_share_a_state(device_name: str, program: Program, events: EventArray) -> None:
    with open_device(device_name) as one, open_device(device_name) as other:
        first = one.run(program, events)
        other.run(program, events[:10])
        other.close()
        assert one.run(program, events).events.tolist() == first.events.tolist()


@pytest.mark.parametrize("name", ["", "emulater", "emulator:", "emulator:speck9", "speck2f"])
def test_a_device_that_does_not_exist_is_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(DeviceError) as caught:
        open_device(name)
    for known in (repr(name), "emulator", *(f"emulator:{chip}" for chip in chip_names())):
        assert known in str(caught.value)
