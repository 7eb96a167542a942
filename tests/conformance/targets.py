"""The devices that the suite runs on, and how each is opened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from chipflow import open_device
from chipflow.backends.base import Device
from chipflow.events import EventArray
from hwconfig import get_chip
from tests.backends.standin import opened_on_standin

Opener = Callable[[str, "EventArray | None"], AbstractContextManager[Device]]


@dataclass(frozen=True)
class Target:
    """A device that every test here runs on.

    Attributes:
        chip: whose programs the suite compiles for it.
        open: opens it by name, in a context that leaves nothing behind; the second argument is what its pixels see, None for darkness.
        shows: whether its pixels can be shown something.
    """

    chip: str
    open: Opener
    shows: bool = True


def opened(name: str, seen: EventArray | None) -> AbstractContextManager[Device]:
    """A device as users open it; only an emulator can be told what its pixels see."""
    return open_device(name, sensor=seen)


DEVICES: dict[str, Target] = {
    "emulator": Target("speck2f", opened),
    "emulator:speck2f": Target("speck2f", opened),
    "speck2fdevkit:0": Target("speck2f", opened_on_standin),
    "speck2edevkit:0": Target("speck2e", opened_on_standin),
    # Boards join here, one line each: their name for open_device, their chip, and a context manager (name, seen) that puts the stand-in
    # of the vendor's package in place, lets its pixels see `seen`, and opens the board with open_device(name). Tests ask
    # device.capabilities for what a board cannot do, and expect the DeviceError, or empty counters and states, in its place.
}


def as_plugged_in(name: str) -> Target:
    """A device that is there, as `pytest --target speck2fdevkit:0` asks for it."""
    kind, _, chip = name.partition(":")
    is_emulator = kind == "emulator"
    return Target(get_chip((chip or "speck2f") if is_emulator else kind).name, opened, shows=is_emulator)
