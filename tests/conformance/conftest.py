"""The devices that every test here runs on, and what they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache

import numpy as np
import pytest

from chipflow import Program, compile
from chipflow.backends.base import Device
from chipflow.events import EventArray, make_events
from tests.compiler.networks import small_cnn

from .targets import DEVICES, Target, as_plugged_in

LAYERS = ("0.0", "1.2", "1.5")  # of small_cnn
DURATION_US = 20_000
TIMEOUT_S = 60


@cache
def program_for(chip: str, bias: bool = False, sensor: bool = False) -> Program:
    return compile(small_cnn(bias), chip, (2, 8, 8), sensor=sensor)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On every device of the list, or on those of chipflow.testing's option `--target`, where it was given."""
    if "device_name" in metafunc.fixturenames:
        metafunc.parametrize("device_name", _asked_for(metafunc.config) or list(DEVICES))


def _asked_for(config: pytest.Config) -> list[str]:
    return config.getoption("chipflow_targets", None) or []


@pytest.fixture
def entry(device_name: str, request: pytest.FixtureRequest) -> Target:
    """How the device is opened: a board that was asked for is the one that is plugged in, and no stand-in."""
    return as_plugged_in(device_name) if _asked_for(request.config) else DEVICES[device_name]


@pytest.fixture
def chip(entry: Target) -> str:
    """The chip behind the device; a device for any chip gets one to run."""
    return entry.chip


@pytest.fixture
def opening(device_name: str, entry: Target) -> Callable[[], AbstractContextManager[Device]]:
    """Opens the device, in the dark."""
    return lambda: entry.open(device_name, None)


@pytest.fixture
def device(device_name: str, entry: Target) -> Iterator[Device]:
    with entry.open(device_name, None) as opened:
        yield opened


@pytest.fixture
def seeing(device_name: str, entry: Target, events: EventArray) -> Iterator[Device]:
    """The device, whose pixels see the events, once for each recording or stream."""
    if not entry.shows:
        pytest.skip(f"nobody knows what the pixels of {device_name} see")
    with entry.open(device_name, events) as opened:
        yield opened


@pytest.fixture
def program(chip: str) -> Program:
    return program_for(chip)


@pytest.fixture(scope="session")
def events() -> EventArray:
    """1,500 events on the map of small_cnn from 0 on, ties among them; enough for spikes in every layer."""
    rng = np.random.default_rng(0)
    x, y, p = (rng.integers(0, size, 1500) for size in (8, 8, 2))
    t = np.sort(rng.integers(0, DURATION_US, 1500))
    return make_events(x, y, t - t[0], p)
