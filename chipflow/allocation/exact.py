"""Splits by exhaustion: every way to share out the cores, layer by layer, with the fewest parts and then at the lowest cost.

Cores of a class are interchangeable, so that only their numbers count. A state says how many cores of each class are taken, and how
many spare destinations of each source whose targets could all want them; for every state the cheapest way to it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations, islice
from math import prod

import numpy as np
import numpy.typing as npt

from chipflow.allocation.bounds import Bounds
from chipflow.allocation.classes import Choice, CoreClass, choices, classes_of
from chipflow.allocation.cost import MOST, Table, most_sum
from chipflow.allocation.fan_out import shared
from chipflow.allocation.problem import Problem

STATES_BUDGET, CHOICES_BUDGET = 1 << 19, 50_000
"""States and ways to place layers that a search may have: larger ones are not begun."""
WAY = 100
"""What a way counts for, beside the states it is tried on."""
Sets = tuple[tuple[int, ...], ...]
"""The columns of each row."""


@dataclass(frozen=True)
class _Step:
    """One way to place one layer.

    Attributes:
        taken: cores of each class, then destinations of each source, that it takes.
        value: its parts and its cost, as one number.
    """

    taken: tuple[int, ...]
    value: int


@dataclass(frozen=True)
class Exhaustion:
    """A search that ran to its end.

    Attributes:
        steps: for each layer, all ways to place it.
        sizes: how much there is of each resource.
        best: [layer, state]: the lowest value with which the layers before this one reach the state.
        infinite: the value of states that are not reached.
        tried: combinations of states and ways.
    """

    classes: tuple[CoreClass, ...]
    steps: tuple[tuple[_Step, ...], ...]
    sizes: tuple[int, ...]
    best: tuple[Table, ...]
    infinite: int
    tried: int

    @property
    def possible(self) -> bool:
        """Whether there is any way at all."""
        return bool((self.best[-1] < self.infinite).any())


def exhaust(problem: Problem, bounds: Bounds) -> Exhaustion | None:
    """The finished search; None where it would take more combinations than the budget has. No layer may be hopeless."""
    classes, sources = classes_of(problem), shared(problem, bounds.limit)
    sizes = (*(len(group.columns) for group in classes), *(source.count for source in sources))
    if prod(size + 1 for size in sizes) > STATES_BUDGET:
        return None
    slack = len(problem.chip.cores) - bounds.needed
    scale = most_sum(problem.cost) + 1
    steps: list[tuple[_Step, ...]] = []
    left = min(CHOICES_BUDGET, problem.budget)
    for row in range(len(problem.names)):
        most_parts = min(bounds.limit[row], (bounds.fewest[row] or 1) + slack)
        found = tuple(islice(choices(problem, bounds, row, classes, most_parts), left + 1))
        left -= len(found)
        if left < 0:
            return None
        each = [source.each.get(row, 0) for source in sources]
        steps.append(tuple(_step(problem, row, classes, choice, each, scale) for choice in found))
    wide = scale * len(problem.chip.cores) >= MOST
    infinite = 2 * scale * len(problem.chip.cores) if wide else MOST
    return _searched(problem, classes, steps, sizes, infinite)


def _step(problem: Problem, row: int, classes: tuple[CoreClass, ...], choice: Choice, each: list[int], scale: int) -> _Step:
    parts = sum(choice)
    cost = sum(count * int(problem.cost[row, group.columns[0]]) for count, group in zip(choice, classes, strict=True))
    return _Step((*choice, *(links * (parts - 1) for links in each)), parts * scale + cost)


def _searched(
    problem: Problem, classes: tuple[CoreClass, ...], steps: list[tuple[_Step, ...]], sizes: tuple[int, ...], infinite: int
) -> Exhaustion | None:
    """Layer by layer, the states that are reached and how cheaply."""
    used = np.indices([size + 1 for size in sizes], np.int16).reshape(len(sizes), -1)
    values: list[Table] = [np.full(used.shape[1], infinite, np.int64 if infinite == MOST else object)]
    values[0][0] = 0
    tried = 0
    for ways in steps:
        active = np.flatnonzero(values[-1] < infinite)
        tried += (len(active) + WAY) * len(ways)
        if tried > problem.budget:
            return None
        values.append(_after(values[-1], active, used[:, active], ways, sizes, infinite))
    return Exhaustion(classes, tuple(steps), sizes, tuple(values), infinite, tried)


def _after(
    before: Table,
    active: npt.NDArray[np.intp],
    counts: npt.NDArray[np.int16],
    ways: Sequence[_Step],
    sizes: Sequence[int],
    infinite: int,
) -> Table:
    """The values after one more layer, from those of the states that were reached before it."""
    after, radix = np.full_like(before, infinite), _radix(sizes)
    for way in ways:
        fits = _fitting(counts, way, sizes)
        origin = active[fits]
        reached = origin + sum(count * step for count, step in zip(way.taken, radix, strict=True))
        after[reached] = np.minimum(after[reached], before[origin] + way.value)
    return after


def _fitting(counts: npt.NDArray[np.int16], way: _Step, sizes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """States in which there is enough left of everything that is taken."""
    fits = np.ones(counts.shape[1], bool)
    for resource, count in enumerate(way.taken):
        if count:
            fits &= counts[resource] <= sizes[resource] - count
    return fits


def _radix(sizes: Sequence[int]) -> list[int]:
    return [prod(size + 1 for size in sizes[i + 1 :]) for i in range(len(sizes))]


def ranked_sets(search: Exhaustion) -> Iterator[Sets]:
    """All placements with the fewest parts, the cheapest first; for each layer the columns of its cores."""
    fewest: int | None = None
    for parts, choice in _ranked_choices(search):
        fewest = parts if fewest is None else fewest
        if parts > fewest:
            return
        yield from _concrete(choice, search.classes, frozenset())


def _ranked_choices(search: Exhaustion) -> Iterator[tuple[int, tuple[Choice, ...]]]:
    """Total parts, and a choice for each layer, in the order of their values: from the last layer back, best total first."""
    radix, kinds = _radix(search.sizes), len(search.classes)
    final, layers = search.best[-1], len(search.steps)
    ends = np.flatnonzero(final < search.infinite).tolist()
    waiting: list[tuple[int, int, tuple[int, ...], int, int]] = sorted(
        (int(final[state]), layers, (), 0, state) for state in ends
    )
    while waiting:
        _, layer, chosen, value, state = heappop(waiting)
        if layer == 0:
            ways = [search.steps[row][i].taken[:kinds] for row, i in enumerate(chosen)]
            yield sum(map(sum, ways)), tuple(ways)
            continue
        left = [state // step % (size + 1) for step, size in zip(radix, search.sizes, strict=True)]
        for i, way in enumerate(search.steps[layer - 1]):
            if all(count <= have for count, have in zip(way.taken, left, strict=True)):
                before = state - sum(count * step for count, step in zip(way.taken, radix, strict=True))
                reached = int(search.best[layer - 1][before])
                if reached < search.infinite:
                    heappush(waiting, (reached + way.value + value, layer - 1, (i, *chosen), value + way.value, before))


def _concrete(choice: tuple[Choice, ...], classes: tuple[CoreClass, ...], taken: frozenset[int]) -> Iterator[Sets]:
    """All ways to pick cores out of their classes, first layers and first cores first."""
    if not choice:
        yield ()
        return
    for columns in _picks(choice[0], classes, taken):
        for rest in _concrete(choice[1:], classes, taken.union(columns)):
            yield (columns, *rest)


def _picks(counts: Choice, classes: tuple[CoreClass, ...], taken: frozenset[int]) -> Iterator[tuple[int, ...]]:
    if not counts:
        yield ()
        return
    free = [column for column in classes[0].columns if column not in taken]
    for some in combinations(free, counts[0]):
        for rest in _picks(counts[1:], classes[1:], taken):
            yield tuple(sorted((*some, *rest)))
