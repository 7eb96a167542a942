"""A placement by augmenting paths (Kuhn's bipartite matching): finds one whenever one exists, always the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chipflow.allocation.demand import Demand, demands
from chipflow.allocation.explain import mapping_error
from chipflow.errors import MappingError
from chipflow.ir.plan import LayerPlan
from hwconfig.chip import ChipSpec


@dataclass(frozen=True)
class Allocation:
    """Layer name -> core, in the order of the layers, and what each layer needed."""

    placement: dict[str, int]
    demands: tuple[Demand, ...]


def allocate(plans: Sequence[LayerPlan], chip: ChipSpec, pins: Mapping[str, int] | None = None) -> Allocation:
    """Each layer on a core of its own.

    Args:
        plans: the layers.
        chip: its cores.
        pins: layer name -> core id that the user wants.

    Raises:
        MappingError: no placement exists; the message has the need of every layer against every core, and the layers
            that compete for too few cores. Also for pins that name no layer or no core.
    """
    pins = dict(pins or {})
    _check_pins(pins, plans, chip)
    wanted = demands(plans, chip)
    choices = {d.layer: tuple(c for c in d.cores if c == pins.get(d.layer, c)) for d in wanted}
    holder: dict[int, str] = {}
    for demand in wanted:
        visited: set[int] = set()
        if not _place(demand.layer, choices, holder, visited):
            competing = [demand.layer, *(holder[core] for core in visited)]
            raise mapping_error(wanted, chip, pins, [d.layer for d in wanted if d.layer in competing], sorted(visited))
    cores = {layer: core for core, layer in holder.items()}
    return Allocation({d.layer: cores[d.layer] for d in wanted}, wanted)


def _place(layer: str, choices: Mapping[str, tuple[int, ...]], holder: dict[int, str], visited: set[int]) -> bool:
    """Gives the layer a core, moving others to their next choice where that frees one.

    When it fails, `visited` are all the cores that the layer and those it would displace could use: too few for them.
    """
    for core in choices[layer]:
        if core in visited:
            continue
        visited.add(core)
        if core not in holder or _place(holder[core], choices, holder, visited):
            holder[core] = layer
            return True
    return False


def _check_pins(pins: Mapping[str, int], plans: Sequence[LayerPlan], chip: ChipSpec) -> None:
    names = [plan.name for plan in plans]
    for layer, core in pins.items():
        if layer not in names:
            raise MappingError(f"layer2core_map names layer {layer!r}; the layers are {', '.join(names)}")
        if core not in chip.core_ids:
            raise MappingError(f"layer2core_map puts {layer!r} on core {core}; {chip.name} has cores {list(chip.core_ids)}")
    repeated = sorted({core for core in pins.values() if list(pins.values()).count(core) > 1})
    if repeated:
        raise MappingError(f"layer2core_map puts two layers on core {repeated[0]}; a core holds one")
