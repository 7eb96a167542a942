"""Why no placement exists: the table layer x core x memory, and the layers that compete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chipflow.allocation.demand import Demand, capacity
from chipflow.errors import MappingError
from hwconfig.chip import ChipSpec, CoreSpec
from hwconfig.memory import KINDS


def mapping_error(
    wanted: Sequence[Demand], chip: ChipSpec, pins: Mapping[str, int], competing: Sequence[str], cores: Sequence[int]
) -> MappingError:
    """The error for layers that have too few cores between them."""
    return MappingError(f"{_headline(chip, pins, competing, cores)}\n{need_table(wanted, chip)}\n{_advice(wanted, competing)}")


def _headline(chip: ChipSpec, pins: Mapping[str, int], competing: Sequence[str], cores: Sequence[int]) -> str:
    pinned = [f"{layer!r} is pinned to core {pins[layer]}" for layer in competing if layer in pins]
    suffix = f" ({'; '.join(pinned)})" if pinned else ""
    if len(competing) == 1 and not cores:
        return f"layer {competing[0]!r} fits no core of {chip.name}{suffix}"
    names = ", ".join(repr(name) for name in competing)
    return f"{len(competing)} layers compete for {len(cores)} cores of {chip.name}: {names} need cores {list(cores)}{suffix}"


def need_table(wanted: Sequence[Demand], chip: ChipSpec) -> str:
    """For every layer its need, and for every core the memories that are too small, with their size in words."""
    lines: list[str] = []
    for demand in wanted:
        need = ", ".join(f"{getattr(demand.need, kind)} {kind}" for kind in KINDS)
        lines.append(f"  {demand.layer}: needs {need} words; fits cores {list(demand.cores)}")
        for core in chip.cores:
            missing = _missing(demand, core)
            if missing:
                lines.append(f"    core {core.id}: {', '.join(missing)}")
    return "\n".join(lines)


def _missing(demand: Demand, core: CoreSpec) -> list[str]:
    pairs = [(kind, getattr(demand.need, kind), getattr(capacity(core), kind)) for kind in KINDS]
    return [f"{kind} {need} > {available}" for kind, need, available in pairs if need > available]


def _advice(wanted: Sequence[Demand], competing: Sequence[str]) -> str:
    alone = [demand.layer for demand in wanted if demand.layer in competing and not demand.cores]
    if alone:
        return f"make {', '.join(alone)} smaller: fewer features, a larger stride, or pooling before"
    return f"make one of {', '.join(competing)} smaller, or merge two of them, or remove a pin"
