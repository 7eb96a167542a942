"""chipflow check model.py:function: whether a network would fit, before it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from chipflow.cli.model_files import input_shape, load_model
from chipflow.cli.output import judged, names, print_json

if TYPE_CHECKING:
    from chipflow.fitting import Fit


def check_model(model: str, chip: str, shape: str | None, options: dict[str, Any], alternatives: int, as_json: bool) -> None:
    """Prints where the network would lie, and, if asked for, where else it could; or why it fits nowhere, and exits with 1.

    Args:
        model: model.py:function, or a NIR file.
        chip: a known chip, or a chip's file.
        shape: features,y,x.
        options: of `chipflow.fit`.
        alternatives: how many placements to list; 1 for the best alone.
        as_json: print JSON.
    """
    from hwconfig import get_chip

    sizes = input_shape(shape, model)
    with names("--chip"):
        spec = get_chip(chip)
    module = load_model(model, None, as_json)
    with judged(as_json):
        from chipflow.fitting import alternatives as placements

        found = placements(module, spec, sizes, **options, limit=alternatives)
    if as_json:
        return print_json(
            {"ok": True, "chip": spec.name, "layers": found[0].rows(), "placements": [fit.layer2core_map for fit in found]}
        )
    typer.echo(found[0].summary())
    if alternatives > 1:
        typer.echo(_placements(found))
    return None


def _placements(found: tuple[Fit, ...]) -> str:
    """A row for each placement, a column for each layer."""
    from chipflow.tables import table

    layers = list(found[0].layer2core_map)
    rows = [[str(i + 1), *(_cores(fit.layer2core_map[layer]) for layer in layers)] for i, fit in enumerate(found)]
    return "\nplacements, best first, with the cores of each layer\n" + table("", ["", *layers], rows).lstrip("\n")


def _cores(core: int | list[int]) -> str:
    return str(core) if isinstance(core, int) else ", ".join(map(str, core))
