"""Boards on the USB, and whether this user may open them. Linux only; elsewhere the vendor's driver decides."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chipflow.doctor.finding import Finding

VENDOR_IDS = ("337d", "04b4", "152a")
"""Those of the vendor's own USB rules, as several public projects with Speck boards have them: SynSense's own; Cypress's and Thesycon's, for
the interface chips of the kits, which other products have, too."""

OWN_ID = VENDOR_IDS[0]
NAMES = re.compile(r"synsense|aictx|speck|dynap", re.IGNORECASE)
RULES_FILE = "/etc/udev/rules.d/60-synsense.rules"
RULES = "".join(f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", MODE="0666"\n' for vendor in VENDOR_IDS)
RELOAD = "sudo udevadm control --reload-rules && sudo udevadm trigger"
USB_3_MBIT = 5000
RULES_FOLDERS = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")


@dataclass(frozen=True)
class UsbDevice:
    """A device on the USB.

    Attributes:
        vendor, product: ids, four hexadecimal digits.
        name: manufacturer and product, as the device says.
        speed: megabits per second; 0: unknown.
        node: the file that a program opens.
    """

    vendor: str
    product: str
    name: str
    speed: float
    node: Path

    @property
    def is_board(self) -> bool:
        """Whether it is one by the vendor's own id, or by its name."""
        return self.vendor == OWN_ID or bool(NAMES.search(self.name))

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} ({self.vendor}:{self.product})"


def may_open(node: Path) -> bool:
    """Whether this user may read and write it."""
    return os.access(node, os.R_OK | os.W_OK)


def usb(root: Path = Path("/"), may_open: Callable[[Path], bool] = may_open) -> list[Finding]:
    """Boards that are plugged in, and the rules that let users open them.

    Args:
        root: below which the system's folders are looked for.
        may_open: whether this user may open a device's file.
    """
    if not (root / "sys/bus/usb").is_dir():
        return [
            Finding(
                "boards",
                "USB",
                "note",
                "cannot be looked at here: there is no /sys/bus/usb",
                "on Linux, run this outside of the container, or in one that sees the bus",
            )
        ]
    there = list(usb_devices(root))
    boards = [device for device in there if device.is_board]
    perhaps = [device for device in there if device.vendor in VENDOR_IDS and not device.is_board]
    found = [_board(device, may_open) for device in boards] + [_perhaps(device, may_open) for device in perhaps]
    nothing = Finding(
        "boards", "USB", "note", "no board that we know by name or id", "plug one in, if you have one: to a port of USB 3"
    )
    return [*(found or [nothing]), _rules(root)]


def usb_devices(root: Path) -> Iterator[UsbDevice]:
    """All that are plugged in, by address."""
    for folder in sorted((root / "sys/bus/usb/devices").glob("*")):
        vendor = _read(folder / "idVendor")
        if vendor:
            yield _device(root, folder, vendor)


def _device(root: Path, folder: Path, vendor: str) -> UsbDevice:
    bus, number = (int(_read(folder / part) or 0) for part in ("busnum", "devnum"))
    name = " ".join(filter(None, (_read(folder / part) for part in ("manufacturer", "product"))))
    speed = _read(folder / "speed")
    node = root / f"dev/bus/usb/{bus:03}/{number:03}"
    return UsbDevice(vendor.lower(), _read(folder / "idProduct").lower(), name, float(speed) if speed else 0.0, node)


def _board(device: UsbDevice, may_open: Callable[[Path], bool]) -> Finding:
    if not may_open(device.node):
        return Finding("boards", str(device), "problem", f"this user may not open {device.node}", _rules_advice())
    if 0 < device.speed < USB_3_MBIT:
        return Finding(
            "boards",
            str(device),
            "problem",
            f"runs at {device.speed:g} Mbit/s",
            "plug it into a port of USB 3, with a cable for it",
        )
    return Finding("boards", str(device), "ok", f"can be opened, {device.node}")


def _perhaps(device: UsbDevice, may_open: Callable[[Path], bool]) -> Finding:
    """Of a vendor whose interface chips the kits have: a board, or something else."""
    if may_open(device.node):
        return Finding("boards", str(device), "ok", f"may be a board or something else; can be opened, {device.node}")
    found = f"may be a board or something else; this user may not open {device.node}"
    return Finding("boards", str(device), "note", found, f"if it is one: {_rules_advice()}")


def _rules(root: Path) -> Finding:
    """Whether a rule names one of the vendors."""
    wanted = re.compile(rf'^[^#\n]*idVendor\}}\s*==\s*"({"|".join(VENDOR_IDS)})"', re.IGNORECASE | re.MULTILINE)
    files = [path for folder in RULES_FOLDERS for path in sorted((root / folder).glob("*.rules"))]
    hits = {path: sorted(set(wanted.findall(_read(path)))) for path in files}
    own = {path: ids for path, ids in hits.items() if OWN_ID in ids}
    if own:
        return Finding("boards", "USB rules", "ok", "; ".join(f"{path} names {', '.join(ids)}" for path, ids in own.items()))
    return Finding(
        "boards",
        "USB rules",
        "note",
        f"none names SynSense's id {OWN_ID}",
        f"to open boards without being root: {_rules_advice()}",
    )


def _rules_advice() -> str:
    return f"`chipflow doctor --udev-rules | sudo tee {RULES_FILE}`, then {RELOAD}, then plug it in again"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
