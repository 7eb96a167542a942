"""The bus: what is plugged in, and who has it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samna._faults import faults


@dataclass(frozen=True)
class DeviceInfo:
    """A board on the bus."""

    serial_number: str
    usb_bus_number: int
    usb_device_address: int
    logic_version: int
    device_type_name: str


_open: dict[DeviceInfo, tuple[Any, int | None]] = {}
_unplugged: set[DeviceInfo] = set()


def get_all_devices() -> list[DeviceInfo]:
    """Whoever has them."""
    found = [DeviceInfo(f"{bus:04}{address:04}", bus, address, 7, kind) for kind, bus, address in faults().boards]
    return [info for info in reversed(found) if info not in _unplugged]


def get_unopened_devices() -> list[DeviceInfo]:
    """That nobody has."""
    return [info for info in get_all_devices() if info not in _open and not _is_locked(info)]


def open_device(info: DeviceInfo | str, default_config: Any = None) -> Any:
    """The board; the handle that is there already, if this process has it."""
    from samna._board import Board

    if isinstance(info, str):
        kind, _, number = info.partition(":")
        info = sorted((i for i in get_all_devices() if i.device_type_name == kind), key=lambda i: i.usb_device_address)[
            int(number or 0)
        ]
    if info in _open:
        return _open[info][0]
    if info not in get_all_devices():
        raise RuntimeError(f"no device {info}")
    if info.device_type_name not in ("Speck2fDevKit", "Speck2fModuleDevKit", "Speck2eDevKit", "Speck2eTestBoard"):
        raise RuntimeError(f"unsupported device {info.device_type_name}")
    lock = _lock(info)
    _open[info] = (Board(info, "speck2e" if "2e" in info.device_type_name else "speck2f"), lock)
    return _open[info][0]


def close_device(handle: Any) -> None:
    """Gives it back."""
    for info, (board, lock) in list(_open.items()):
        if board is handle:
            del _open[info]
            if lock is not None:
                os.close(lock)
            return
    raise RuntimeError("the device is not open")


def _file(info: DeviceInfo) -> Path:
    return Path(faults().locks) / f"{info.serial_number}.lock"


def _lock(info: DeviceInfo) -> int | None:
    """A lock that the system takes back when the process ends, however it ends."""
    if not faults().locks:
        return None
    file = os.open(_file(info), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise RuntimeError(f"device {info.serial_number} is opened by another process") from None
    return file


def _is_locked(info: DeviceInfo) -> bool:
    if not faults().locks:
        return False
    try:
        lock = _lock(info)
    except RuntimeError:
        return True
    os.close(lock or 0)
    return False
