"""Power, rail by rail, or a plain no."""

from __future__ import annotations

import pytest

from chipflow import Program
from chipflow.backends.base import Device
from chipflow.errors import DeviceError
from chipflow.events import EventArray


def test_every_rail_is_measured_by_name_or_nothing_is(device: Device, program: Program, events: EventArray) -> None:
    if "power" not in device.capabilities:
        with pytest.raises(DeviceError, match="board"), device.measure_power():
            pass
        return
    with device.measure_power(rate_hz=50) as readings:
        device.run(program, events)
    assert readings.rails
    assert readings.rate_hz == 50
    assert readings.seconds > 0
    assert all(rail.name == name and rail.name for name, rail in readings.rails.items())
    assert device.run(program, events).accounting.sent == len(events), "the device goes on as before"
