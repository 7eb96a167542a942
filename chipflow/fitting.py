"""Whether and where a network fits on a chip, from its sizes alone: before it is trained, and in how many ways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chipflow.allocation.solve import Allocation, Objective
from chipflow.allocation.solve import alternatives as all_placements
from chipflow.compiler import InputShape, Pins, other_chips, pins_of, sketch, split_as_placed
from chipflow.errors import CompileError
from chipflow.ir.nodes import Sensor
from chipflow.ir.plan import NetworkPlan
from chipflow.program import share
from chipflow.tables import table
from hwconfig import ChipSpec, ReadoutConfig, get_chip
from hwconfig.memory import KINDS, memory_need


@dataclass(frozen=True)
class Fit:
    """A placement of a network that may be untrained.

    Attributes:
        chip: on which it fits.
        plan: of all cores, layers in the parts that are placed.
        allocation: where each part lies.
    """

    chip: ChipSpec
    plan: NetworkPlan
    allocation: Allocation

    @property
    def placement(self) -> dict[str, int]:
        """Layer name -> core; a layer that is split stands there with each of its parts."""
        return self.allocation.placement

    @property
    def layer2core_map(self) -> dict[str, int | list[int]]:
        """Layer name -> core, or the cores of its parts: what `chipflow.compile` takes to place it so."""
        cores: dict[str, list[int]] = {}
        for part in self.allocation.parts:
            cores.setdefault(part.layer, []).append(part.core)
        return {layer: found[0] if len(found) == 1 else found for layer, found in cores.items()}

    def rows(self) -> list[dict[str, Any]]:
        """For each layer, or part of one, its core and, for each memory, words needed and available."""
        rows: list[dict[str, Any]] = []
        for layer in self.plan.layers:
            shape, core = layer.shape, self.chip.core(self.placement[layer.name])
            need = memory_need(shape.input_shape, shape.output_shape, shape.kernel_size, has_bias=shape.has_bias)
            memory = {kind: (getattr(need, kind), getattr(core, f"{kind}_words")) for kind in KINDS}
            rows.append({"layer": layer.name, "core": core.id, **memory})
        return rows

    def summary(self) -> str:
        """Placement and memory as text."""
        rows = [[row["layer"], str(row["core"]), *(share(*row[kind]) for kind in KINDS)] for row in self.rows()]
        title = f"fits: {len(rows)} of the {len(self.chip.cores)} cores of {self.chip.name}"
        return table(title, ["layer", "core", *(f"{kind} words" for kind in KINDS)], rows)


def fit(
    model: Any,
    chip: str | Path | ChipSpec = "speck2f",
    input_shape: InputShape = None,
    *,
    layer2core_map: Pins | str = "auto",
    objective: Objective = "memory",
    split: bool = True,
    sensor: bool | Sensor = False,
    readout: bool | ReadoutConfig = False,
) -> Fit:
    """Where a network would be placed, trained or not. Biases count as soon as a layer has any. Arguments as `chipflow.compile`.

    Raises:
        UnsupportedModelError, MappingError: as `chipflow.compile`.
    """
    return alternatives(
        model,
        chip,
        input_shape,
        layer2core_map=layer2core_map,
        objective=objective,
        split=split,
        sensor=sensor,
        readout=readout,
        limit=1,
    )[0]


def alternatives(
    model: Any,
    chip: str | Path | ChipSpec = "speck2f",
    input_shape: InputShape = None,
    *,
    layer2core_map: Pins | str = "auto",
    objective: Objective = "memory",
    split: bool = True,
    sensor: bool | Sensor = False,
    readout: bool | ReadoutConfig = False,
    limit: int = 10,
) -> tuple[Fit, ...]:
    """Up to `limit` placements, best first. Arguments and errors as `fit`.

    To use one of them, give its `layer2core_map` to `chipflow.compile`.
    """
    spec = chip if isinstance(chip, ChipSpec) else get_chip(chip)
    if limit < 1:
        raise CompileError(f"limit is {limit}, it must be at least 1")
    plan = sketch(model, spec, input_shape, sensor=sensor, readout=readout)
    pins, others = pins_of(layer2core_map), other_chips(spec, sensor, readout)
    found = all_placements(plan.shape, spec, pins, objective=objective, split=split, other_chips=others, limit=limit)
    return tuple(Fit(spec, split_as_placed(plan, allocation), allocation) for allocation in found)
