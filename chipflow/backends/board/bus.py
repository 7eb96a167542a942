"""The boards on the bus, named as their users know them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from chipflow.errors import DeviceBusyError, DeviceError
from hwconfig import ChipSpec, chip_names, get_chip


@dataclass(frozen=True)
class BoardOnBus:
    """A board that is plugged in.

    Attributes:
        kind: as users call it: "speck2fdevkit".
        index: among the boards of its kind, in the order of their addresses.
        chip: on it.
        free: nobody has it open.
        info: the vendor's, by which it is opened.
    """

    kind: str
    index: int
    chip: ChipSpec
    free: bool
    info: Any

    @property
    def name(self) -> str:
        """For `open_device`."""
        return f"{self.kind}:{self.index}"

    @property
    def note(self) -> str:
        """Serial number, firmware, and whether somebody has it."""
        found = f"serial {self.info.serial_number}, logic {self.info.logic_version}, USB {'.'.join(map(str, address(self.info)))}"
        return found if self.free else f"{found}; held by another process, or open here already"


def address(info: Any) -> tuple[int, int]:
    """Where a board is plugged in."""
    return info.usb_bus_number, info.usb_device_address


def identity(info: Any) -> tuple[Any, ...]:
    """What tells a board from all others on the bus."""
    return info.device_type_name, info.serial_number, *address(info)


def boards_on_bus(samna: Any) -> list[BoardOnBus]:
    """All boards of known kinds, by kind, then by address; boards of other kinds are none of ours.

    Args:
        samna: the vendor's package.
    """
    kinds = {
        board.vendor_name: (board.name, chip)
        for chip in map(get_chip, chip_names())
        for board in chip.devices
        if board.vendor_name
    }
    free = {identity(info) for info in samna.device.get_unopened_devices()}
    known = [info for info in samna.device.get_all_devices() if info.device_type_name in kinds]
    seen: Counter[str] = Counter()
    found: list[BoardOnBus] = []
    for info in sorted(known, key=lambda info: (kinds[info.device_type_name][0], address(info))):
        kind, chip = kinds[info.device_type_name]
        found.append(BoardOnBus(kind, seen[kind], chip, identity(info) in free, info))
        seen[kind] += 1
    return found


def chosen(boards: list[BoardOnBus], name: str) -> BoardOnBus:
    """The board of this name, the first free one where the name has no number.

    Raises:
        DeviceError: there is none; the message lists those there are.
        DeviceBusyError: somebody has it.
    """
    kind, colon, number = name.partition(":")
    found = [board for board in boards if board.kind == kind and number in ("", str(board.index))]
    if not found or (colon and not number):
        there = ", ".join(f"{board.name} ({board.note})" for board in boards)
        raise DeviceError(
            f"{name}: no such board is plugged in; there are: {there or 'none, and USB and its rules are worth a look: chipflow doctor'}"
        )
    free = [board for board in found if board.free]
    if not free:
        held = ", ".join(f"{board.name} ({board.note})" for board in found)
        raise DeviceBusyError(f"{name} cannot be opened: {held}; close it there, or open another one")
    return free[0]
