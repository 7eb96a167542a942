"""Options of the commands that place a network."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Objective(StrEnum):
    """What a placement makes small; `chipflow.allocation.cost.Objective` for the command line."""

    memory = "memory"
    speed = "speed"


ChipName = Annotated[str, typer.Option("--chip", help="A known chip, or a chip's TOML file.")]
InputShape = Annotated[str | None, typer.Option("--input-shape", help="features,y,x; a NIR file has its own.")]
Objectives = Annotated[
    Objective, typer.Option("--objective", help="Keep cores with large memories free, or put most work on the fastest cores.")
]
Split = Annotated[bool, typer.Option("--split/--no-split", help="Whether a layer that fits no core may be split over several.")]
Pins = Annotated[
    list[str] | None,
    typer.Option("--pin", metavar="LAYER=CORE", help="Put a layer on a core: conv1=3, or over several: conv1=3,4."),
]
Sensor = Annotated[bool, typer.Option("--sensor", help="Events come through the chip's sensor block.")]
Readout = Annotated[bool, typer.Option("--readout", help="The readout block counts the output's spikes.")]


def pins_of(options: list[str] | None) -> dict[str, int | list[int]]:
    """Layer -> core, or cores, from LAYER=CORE."""
    pins: dict[str, int | list[int]] = {}
    for option in options or []:
        layer, equals, cores = option.rpartition("=")
        if not equals or not all(core.strip().isdecimal() for core in cores.split(",")):
            raise typer.BadParameter(f"{option!r} is not LAYER=CORE, or LAYER=CORE,CORE", param_hint="--pin")
        ids = [int(core) for core in cores.split(",")]
        pins[layer] = ids[0] if len(ids) == 1 else ids
    return pins
