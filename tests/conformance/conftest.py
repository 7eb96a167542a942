"""The devices that every test here runs on, and what they run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from chipflow import Program, compile, open_device
from chipflow.backends.base import Device
from chipflow.events import EventArray, make_events
from tests.compiler.networks import small_cnn

DEVICES = ("emulator", "emulator:speck2f")
LAYERS = ("0.0", "1.2", "1.5")  # of small_cnn
DURATION_US = 20_000


@cache
def program_for(chip: str, bias: bool = False) -> Program:
    return compile(small_cnn(bias), chip, (2, 8, 8))


@pytest.fixture(params=DEVICES)
def device_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def chip(device_name: str) -> str:
    """The chip behind the device; a device for any chip gets one to run."""
    return device_name.partition(":")[2] or "speck2f"


@pytest.fixture
def device(device_name: str) -> Iterator[Device]:
    with open_device(device_name) as opened:
        yield opened


@pytest.fixture
def program(chip: str) -> Program:
    return program_for(chip)


@pytest.fixture(scope="session")
def events() -> EventArray:
    """1,500 events on the map of small_cnn, ties among them; enough for spikes in every layer."""
    rng = np.random.default_rng(0)
    x, y, p = (rng.integers(0, size, 1500) for size in (8, 8, 2))
    return make_events(x, y, np.sort(rng.integers(0, DURATION_US, 1500)), p)
