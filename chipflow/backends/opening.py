"""Devices by name: which there are, and opening one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from chipflow.backends.base import Device
from chipflow.errors import DeviceError
from hwconfig import UnknownChipError, chip_names, get_chip


@dataclass(frozen=True)
class DeviceInfo:
    """A device that can be opened, or why it cannot.

    Attributes:
        name: for `open_device`.
        kind: an emulator, or a board.
        chip: its chip's name; "" for one that takes programs of any.
        free: whether it can be opened now.
        note: serial number and firmware of a board; why it cannot be opened.
    """

    name: str
    kind: Literal["emulator", "board"]
    chip: str
    free: bool = True
    note: str = ""


def devices() -> list[DeviceInfo]:
    """All devices there are: the emulators, then the boards on the bus, if the vendor's package is there."""
    from chipflow.backends.samna import boards

    emulators = [DeviceInfo("emulator", "emulator", "")]
    return [*emulators, *(DeviceInfo(f"emulator:{name}", "emulator", name) for name in chip_names()), *boards()]


def open_device(name: str = "emulator", *, sensor: Any = None) -> Device:
    """The device of this name.

    Args:
        name: "emulator" (the program's chip); "emulator:" and a chip's name, a board's, or the path of a chip's TOML file; or a board:
            "speck2fdevkit:0", "speck2fmodule:0", "speck2edevkit:0", "speck2e:0", without a number the first free one.
        sensor: what an emulator's sensor sees: events x, y, t, p, or a file of them; a board has a sensor of its own.

    Raises:
        DeviceError: no such device, the message lists those there are; or it cannot be opened: held by another process, or the vendor's
            package is missing, with what to do.
    """
    kind, colon, rest = name.partition(":")
    if kind == "emulator":
        return _emulator(name, rest if colon else None, sensor)
    if kind not in _board_names():
        raise _unknown(name)
    if sensor is not None:
        raise DeviceError(f"{name} has a sensor of its own: leave sensor= out, or open an emulator")
    from chipflow.backends.samna import open_board

    return open_board(name)


def _emulator(name: str, chip: str | None, sensor: Any) -> Device:
    from chipflow.backends.emulated import EmulatedDevice

    try:
        spec = None if chip is None else get_chip(chip)
    except UnknownChipError:
        raise _unknown(name) from None
    return EmulatedDevice(spec, name, sensor=sensor)


def _board_names() -> list[str]:
    return [board.name for chip in chip_names() for board in get_chip(chip).devices]


def _unknown(name: str) -> DeviceError:
    emulators = ["emulator", *(f"emulator:{chip}" for chip in chip_names())]
    boards = [f"{board}:0" for board in _board_names()]
    return DeviceError(f"unknown device {name!r}: known are {', '.join(emulators)}, and boards as {', '.join(boards)}")
