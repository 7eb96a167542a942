"""chipflow devices: the emulators, and the boards on the bus."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.output import print_json

if TYPE_CHECKING:
    from chipflow.backends.opening import DeviceInfo

NO_BOARD = "no board that we know is on the bus: is one plugged in? `chipflow doctor` looks at the USB rules"


@app.command()
def devices(as_json: AsJson = False) -> None:
    """List the devices that `--device` and `open_device` take."""
    from chipflow.backends import opening

    found = opening.devices()
    remark = "" if any(device.kind == "board" for device in found) else _why_no_board()
    if as_json:
        return print_json({"devices": [asdict(device) for device in found], "remark": remark})
    return typer.echo(_listed(found) + (f"\nboards: {remark}" if remark else ""))


def _why_no_board() -> str:
    from chipflow.backends.samna import package_state

    state = package_state()
    return NO_BOARD if state.kind == "found" else state.advice


def _listed(found: list[DeviceInfo]) -> str:
    from chipflow.tables import text_table

    rows = [
        [device.name, device.kind, device.chip or "the program's", "free" if device.free else "held", device.note]
        for device in found
    ]
    return text_table("devices", ["name", "kind", "chip", "", "note"], rows, whole=["name"])
