"""chipflow chips: the known chips, or one of them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chipflow.cli.app import AsJson, app
from chipflow.cli.output import names, print_json

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hwconfig import ChipSpec

MEMORIES = ("kernel_words", "neuron_words", "bias_words")


@app.command()
def chips(
    chip: Annotated[
        str | None, typer.Argument(help="A known chip, a board with it, or a chip's TOML file, to describe in full.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the known chips, or describe one."""
    from hwconfig import chip_names, get_chip

    if chip is None:
        specs = [get_chip(name) for name in chip_names()]
        return print_json([spec.model_dump(mode="json") for spec in specs]) if as_json else typer.echo(_listed(specs))
    with names("CHIP"):
        spec = get_chip(chip)
    return print_json(spec.model_dump(mode="json")) if as_json else typer.echo(_described(spec))


def _listed(specs: list[ChipSpec]) -> str:
    from chipflow.tables import table

    header = ["chip", "cores", "kernel words", "neuron words", "bias words", "boards"]
    rows = [
        [spec.name, str(len(spec.cores))]
        + [f"{sum(getattr(core, memory) for core in spec.cores):,}" for memory in MEMORIES]
        + [", ".join(device.name for device in spec.devices)]
        for spec in specs
    ]
    return f"{table('known chips', header, rows)}\n`chipflow chips NAME` describes one; a TOML file of your own is as good as a name."


def _described(spec: ChipSpec) -> str:
    from chipflow.tables import table, text_table

    cores = [
        [
            str(core.id),
            *(f"{getattr(core, memory):,}" for memory in MEMORIES),
            f"{core.synops_per_second:,}",
            _text(core.id in spec.parallel_cores),
        ]
        for core in spec.cores
    ]
    errata = [[erratum.name, erratum.grade, erratum.text, erratum.source] for erratum in spec.errata]
    boards = [[device.name, device.vendor_name or "not public"] for device in spec.devices]
    parts = [
        table(f"{spec.name}: {spec.description}", ["core", *map(_words, MEMORIES), "synops per second *", "parallel"], cores),
        f"* {spec.synops_source}\n",
        text_table("limits of any core", ["limit", "value", "meaning"], _fields(spec.limits)),
        text_table("blocks", ["block", "there", "meaning"], _fields(spec.features)),
        text_table("sensor and readout block", ["property", "value", "meaning"], _around_the_cores(spec)),
        text_table("boards", ["name", "vendor's name"], boards) if boards else "",
        text_table("errata", ["erratum", "grade", "what happens", "source"], errata, whole=["erratum"]) if errata else "",
        *spec.notes,
    ]
    return "\n".join(part for part in parts if part)


def _around_the_cores(spec: ChipSpec) -> list[list[str]]:
    parts = {"sensor ": spec.sensor, "readout ": spec.readout if spec.features.readout else None, "layer id of ": spec.layers}
    return [[prefix + name, *rest] for prefix, part in parts.items() if part for name, *rest in _fields(part)]


def _fields(part: BaseModel) -> list[list[str]]:
    return [[_words(name), _text(getattr(part, name)), info.description or ""] for name, info in type(part).model_fields.items()]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
