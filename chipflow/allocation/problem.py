"""What is to be placed, where, and under which wishes: the tables that every search works on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from chipflow.allocation.cost import OBJECTIVES, Objective, Table, combined, cost_terms
from chipflow.allocation.demand import Demand, demands_of
from chipflow.errors import MappingError
from chipflow.ir.plan import LayerShape, NetworkShape
from hwconfig.chip import ChipSpec
from hwconfig.violations import Violation

Pins = Mapping[str, int | Sequence[int]]
SEARCH_BUDGET = 100_000_000
"""Combinations of states and choices that a search for splits may try."""
SENSOR = ""
"""Stands for the sensor among the sources of a layer; no layer has this name."""


@dataclass(frozen=True)
class Memo:
    """What depends on a single layer and the chip, shared by all variants of a problem."""

    demands: dict[LayerShape, Demand] = field(default_factory=dict[LayerShape, Demand])
    limits: dict[LayerShape, tuple[Violation, ...]] = field(default_factory=dict[LayerShape, tuple[Violation, ...]])


@dataclass(frozen=True)
class Problem:
    """A network, a chip, and what the user asked for.

    Attributes:
        pins: layer name -> ids of the cores that it must have, one or, where it is split, more.
        objective: what is cheap, see `cost_terms`.
        synops: layer name -> synaptic operations; where a layer is left out, its multiply-accumulates.
        split: whether layers may be split that the user did not pin to several cores.
        budget: combinations that a search for splits may try.
        base: a problem that this one is a change of: what was found out about layers there need not be found out again.
    """

    network: NetworkShape
    chip: ChipSpec
    pins: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    objective: Objective = "memory"
    synops: Mapping[str, int] = field(default_factory=dict[str, int])
    split: bool = True
    budget: int = SEARCH_BUDGET
    base: Problem | None = field(default=None, compare=False, repr=False)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the layers."""
        return tuple(layer.name for layer in self.network.layers)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Layer name -> its row in the tables."""
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def column_of(self) -> dict[int, int]:
        """Core id -> its column in the tables."""
        return {core: column for column, core in enumerate(self.chip.core_ids)}

    @cached_property
    def demands(self) -> tuple[Demand, ...]:
        """Of each layer."""
        return demands_of(self.network.layers, self.chip, self.memo.demands)

    @cached_property
    def memo(self) -> Memo:
        """What was found out about layers on this chip."""
        return self.base.memo if self.base is not None and self.base.chip is self.chip else Memo()

    @cached_property
    def features(self) -> npt.NDArray[np.int64]:
        """Of each layer."""
        return np.array([layer.features for layer in self.network.layers], np.int64)

    @cached_property
    def most(self) -> npt.NDArray[np.int64]:
        """[layer, core]: the most features of the layer that the core could hold; 0 where pins keep it away."""
        table = np.array([demand.most for demand in self.demands], np.int64).reshape(len(self.names), len(self.chip.cores))
        for layer, cores in self.pins.items():
            others = [column for core, column in self.column_of.items() if core not in cores]
            table[self.row_of[layer], others] = 0
        return table

    @cached_property
    def whole(self) -> npt.NDArray[np.bool_]:
        """[layer, core]: whether the core may and can hold the whole layer."""
        return self.most >= np.maximum(self.features, 1)[:, None]

    @cached_property
    def terms(self) -> tuple[Table, ...]:
        """The terms of the cost, the more important first."""
        return cost_terms(self.network.layers, self.chip, self.objective, self.synops)

    @cached_property
    def cost(self) -> Table:
        """[layer, core]: the terms as one number."""
        return combined(self.terms)

    @cached_property
    def links(self) -> tuple[tuple[str, Counter[str]], ...]:
        """Each source that has only so many destinations, the sensor first, and how many go to each target."""
        sensor = [(SENSOR, Counter(self.network.sensor_targets))] if self.network.sensor_targets else []
        return (*sensor, *((layer.name, Counter(link.target for link in layer.links)) for layer in self.network.layers))

    def cost_of(self, pairs: Sequence[tuple[int, int]]) -> tuple[int, ...]:
        """The terms, each summed over these (row, column)."""
        return tuple(sum(int(term[pair]) for pair in pairs) for term in self.terms)


def make_problem(
    network: NetworkShape,
    chip: ChipSpec,
    pins: Pins | None,
    objective: Objective,
    synops: Mapping[str, int] | None,
    split: bool,
    budget: int,
) -> Problem:
    """A problem whose options make sense; MappingError says which one does not."""
    if objective not in OBJECTIVES:
        raise MappingError(f"objective is {objective!r}; it is one of {', '.join(OBJECTIVES)}")
    checked = {layer: tuple(cores) if isinstance(cores, Sequence) else (cores,) for layer, cores in (pins or {}).items()}
    names = [layer.name for layer in network.layers]
    for problem in (*_wrong_pins(checked, names, chip), *_wrong_synops(synops or {}, names)):
        raise MappingError(problem)
    return Problem(network, chip, checked, objective, dict(synops or {}), split, budget)


def _wrong_pins(pins: Mapping[str, tuple[int, ...]], names: Sequence[str], chip: ChipSpec) -> Iterator[str]:
    for layer, cores in pins.items():
        if layer not in names:
            yield f"layer2core_map names layer {layer!r}; the layers are {', '.join(names)}"
        elif not cores:
            yield f"layer2core_map gives {layer!r} no core; leave it out, or name at least one"
        for core in cores:
            if core not in chip.core_ids:
                yield f"layer2core_map puts {layer!r} on core {core}; {chip.name} has cores {list(chip.core_ids)}"
    holders = Counter(core for cores in pins.values() for core in cores)
    for core, count in sorted(holders.items()):
        if count > 1:
            named = [layer for layer, cores in pins.items() if core in cores]
            yield f"layer2core_map gives core {core} {count} times, to {', '.join(map(repr, named))}; a core holds one layer or part"


def _wrong_synops(synops: Mapping[str, int], names: Sequence[str]) -> Iterator[str]:
    for layer, count in synops.items():
        if layer not in names:
            yield f"synops names layer {layer!r}; the layers are {', '.join(names)}"
        elif count < 0:
            yield f"synops of {layer!r} is {count}; it must be 0 or more"
