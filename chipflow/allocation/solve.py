"""A core for each layer, or several for one that no core holds: the cheapest placement, or the error that says why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from chipflow.allocation.bounds import Bounds, bounds_of, crowded, least_last
from chipflow.allocation.cost import Objective
from chipflow.allocation.demand import Demand
from chipflow.allocation.exact import Sets, exhaust, ranked_sets
from chipflow.allocation.fan_out import spares
from chipflow.allocation.limits import limits_broken
from chipflow.allocation.parts import Part, split, whole
from chipflow.allocation.problem import SEARCH_BUDGET, Pins, Problem, make_problem
from chipflow.allocation.report import StopReason
from chipflow.allocation.slots import equal_parts
from chipflow.allocation.whole import ranked, wholes_of
from chipflow.ir.plan import NetworkShape
from hwconfig.chip import ChipSpec


@dataclass(frozen=True)
class Allocation:
    """Where each layer, or each part of one, will lie.

    Attributes:
        parts: in the order of the layers, and of their features.
        demands: what each layer needs.
        cost: what was made small, the more important first. "memory": layers on cores with parallel computing that another layer
            feeds, words of all memories of the cores taken. "speed": the same behind the time of the synaptic operations, in units
            that make it whole.
        objective: "memory" or "speed".
        stop: "solved": no valid placement has fewer parts, or as many at less cost. "budget spent": valid, but a search for better
            ones did not come to its end.
    """

    parts: tuple[Part, ...]
    demands: tuple[Demand, ...]
    cost: tuple[int, ...]
    objective: Objective
    stop: StopReason = "solved"

    @property
    def placement(self) -> dict[str, int]:
        """Name of the part -> id of its core."""
        return {part.name: part.core for part in self.parts}

    @property
    def splits(self) -> dict[str, tuple[Part, ...]]:
        """The layers that are split, with their parts."""
        found: dict[str, list[Part]] = {}
        for part in self.parts:
            found.setdefault(part.layer, []).append(part)
        return {layer: tuple(parts) for layer, parts in found.items() if len(parts) > 1}


@dataclass(frozen=True)
class Outcome:
    """What a search ended with.

    Attributes:
        stop: why it ended.
        found: placements, the best first.
        tried: combinations that the search for splits tried.
    """

    stop: StopReason
    found: tuple[Allocation, ...] = ()
    tried: int = 0

    @property
    def solved(self) -> bool:
        """Whether there is a placement."""
        return bool(self.found)


def allocate(
    network: NetworkShape,
    chip: ChipSpec,
    pins: Pins | None = None,
    *,
    objective: Objective = "memory",
    synops: Mapping[str, int] | None = None,
    split: bool = True,
    budget: int = SEARCH_BUDGET,
    other_chips: Sequence[ChipSpec] = (),
) -> Allocation:
    """The cheapest placement; with the fewest parts where some layer must be split.

    Args:
        network: the layers' shapes and destinations.
        chip: its cores.
        pins: layer name -> core id that the user wants, or several for a layer that is to be split over exactly these, in this order.
        objective: "memory" keeps cores with large memories free; "speed" puts layers with most synaptic operations on the cores rated
            fastest.
        synops: layer name -> synaptic operations, as a recording has them; the number of multiply-accumulates where left out.
        split: whether a layer may be split along its output features where there is no placement otherwise.
        budget: combinations that the search for splits may try.
        other_chips: chips that the explanation may propose.

    Raises:
        MappingError: there is no placement, or none was found within the budget; `.report` says why and what would help. Without a
            report: pins, objective or synops that make no sense.
    """
    (best,) = alternatives(
        network, chip, pins, objective=objective, synops=synops, split=split, budget=budget, other_chips=other_chips, limit=1
    )
    return best


def alternatives(
    network: NetworkShape,
    chip: ChipSpec,
    pins: Pins | None = None,
    *,
    objective: Objective = "memory",
    synops: Mapping[str, int] | None = None,
    split: bool = True,
    budget: int = SEARCH_BUDGET,
    other_chips: Sequence[ChipSpec] = (),
    limit: int = 10,
) -> tuple[Allocation, ...]:
    """The best placements, the cheapest first, at most `limit`; all have as many parts as the first, which is `allocate`'s.

    Equally cheap ones that are not split come in the order of their cores, the first layer's first.

    Raises:
        MappingError: as `allocate`.
    """
    problem = make_problem(network, chip, pins, objective, synops, split, budget)
    outcome = search(problem, limit)
    if not outcome.found:
        from chipflow.allocation.explain import mapping_error

        raise mapping_error(problem, outcome.stop, other_chips)
    return outcome.found


def search(problem: Problem, limit: int = 1, *, cheapest: bool = True) -> Outcome:
    """The best placements, without an explanation where there are none; `cheapest=False`: any one, to know whether there is one."""
    if limits_broken(problem) or any(spare.count < 0 for spare in spares(problem)):
        return Outcome("proven impossible")
    wholes = wholes_of(problem)
    bounds = bounds_of(problem)
    if not wholes.matching.missing and not any(bounds.fewest[row] is None for row in range(len(problem.names))):
        budget = problem.budget if limit > 1 else 0
        placements = islice(ranked(wholes, budget), limit) if cheapest else [wholes.matching.columns]
        return _outcome(problem, (_sets(problem, wholes.rows, columns) for columns in placements), "solved")
    if all(limit <= len(problem.pins.get(name, (0,))) for name, limit in zip(problem.names, bounds.limit, strict=True)):
        return Outcome("proven impossible")
    return _split(problem, bounds, limit, cheapest)


def _split(problem: Problem, bounds: Bounds, limit: int, cheapest: bool) -> Outcome:
    if bounds.hopeless or crowded(problem, bounds):
        return Outcome("proven impossible")
    exhausted = exhaust(problem, bounds)
    if exhausted is not None:
        found = islice(ranked_sets(exhausted), limit) if exhausted.possible else iter(())
        stop: StopReason = "solved" if exhausted.possible else "proven impossible"
        return _outcome(problem, found, stop, exhausted.tried)
    sets, tried = equal_parts(problem, bounds, cheapest)
    return _outcome(problem, iter([] if sets is None else [sets]), "budget spent", tried)


def _sets(problem: Problem, rows: Sequence[int], columns: Sequence[int]) -> Sets:
    """Of every layer, those on one core and those that the user pinned to several."""
    one = dict(zip(rows, columns, strict=True))
    return tuple(
        (one[row],) if row in one else tuple(problem.column_of[core] for core in problem.pins[name])
        for row, name in enumerate(problem.names)
    )


def _outcome(problem: Problem, found: Iterator[Sets], stop: StopReason, tried: int = 0) -> Outcome:
    return Outcome(stop, tuple(_allocation(problem, sets, stop) for sets in found), tried)


def _allocation(problem: Problem, sets: Sets, stop: StopReason) -> Allocation:
    parts = [part for row, columns in enumerate(sets) for part in _parts(problem, row, columns)]
    pairs = [(row, column) for row, columns in enumerate(sets) for column in columns]
    return Allocation(tuple(parts), problem.demands, problem.cost_of(pairs), problem.objective, stop)


def _parts(problem: Problem, row: int, columns: Sequence[int]) -> tuple[Part, ...]:
    name, features = problem.names[row], int(problem.features[row])
    pinned = problem.pins.get(name, ())
    ordered = len(pinned) > 1
    cores = pinned if ordered else [problem.chip.core_ids[column] for column in columns]
    if len(cores) == 1:
        return (whole(name, features, cores[0]),)
    most = [int(problem.most[row, problem.column_of[core]]) for core in cores]
    return split(name, features, cores, most, ordered=ordered, least_last=least_last(problem, row))
