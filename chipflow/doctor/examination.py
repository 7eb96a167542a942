"""All that the doctor looks at, in order."""

from __future__ import annotations

from pathlib import Path

from chipflow.doctor.emulation import emulation
from chipflow.doctor.finding import Finding, State, careful
from chipflow.doctor.packages import extras, packages
from chipflow.doctor.usb import usb


def examine(root: Path = Path("/")) -> list[Finding]:
    """Packages, extras, the emulator, the vendor's package, boards. Imports nothing of the vendor's, unless the real package is there.

    Args:
        root: below which the system's folders are looked for.
    """
    return [
        *careful("packages", "packages", packages),
        *careful("extras", "extras", extras),
        *careful("emulator", "emulator", emulation),
        *careful("boards", "samna", vendor_package),
        *careful("boards", "boards", boards),
        *careful("boards", "USB", lambda: usb(root)),
    ]


def vendor_package() -> list[Finding]:
    """What is installed as samna. Its installer stub is no fault: sinabs, which needs the name, brings it along."""
    from chipflow.backends.samna import package_state

    state = package_state()
    states: dict[str, State] = {"found": "ok", "missing": "note", "stub": "note", "leftover": "problem"}
    found = " ".join(part for part in (state.kind, state.version, state.path) if part)
    return [Finding("boards", "samna", states[state.kind], found, state.advice)]


def boards() -> list[Finding]:
    """Boards that `open_device` can open, or that another process holds."""
    from chipflow.backends.opening import devices

    return [
        Finding("boards", board.name, "ok", board.note or "free")
        if board.free
        else Finding("boards", board.name, "note", board.note or "held", "close it in the process that holds it")
        for board in devices()
        if board.kind == "board"
    ]
