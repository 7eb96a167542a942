"""Into how many parts each layer may be split: every part takes a destination of each of the layer's sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from chipflow.allocation.problem import Problem


@dataclass(frozen=True)
class Spare:
    """Destinations that a source has left, and what each further part of the layers it feeds takes of them.

    Attributes:
        source: the layer; "" for the sensor.
        count: destinations that are left when no layer is split but those that are pinned to several cores.
        each: row of a target -> links to it.
    """

    source: str
    count: int
    each: Mapping[int, int]


def spares(problem: Problem) -> tuple[Spare, ...]:
    """Of every source, the sensor first."""
    return tuple(_spare(problem, source, links) for source, links in problem.links)


def _spare(problem: Problem, source: str, links: Counter[str]) -> Spare:
    used = sum(count * len(problem.pins.get(target, (0,))) for target, count in links.items())
    each = {problem.row_of[target]: count for target, count in links.items() if target in problem.row_of}
    return Spare(source, problem.chip.limits.destinations - used, each)


def part_limits(problem: Problem) -> tuple[int, ...]:
    """For each layer, the most parts that its sources, its features and the user's pins allow."""
    limits = [max(layer.features, 1) for layer in problem.network.layers]
    for spare in spares(problem):
        for row, count in spare.each.items():
            limits[row] = min(limits[row], 1 + max(spare.count, 0) // count)
    for layer, cores in problem.pins.items():
        limits[problem.row_of[layer]] = len(cores)
    return tuple(limits) if problem.split else tuple(len(problem.pins.get(name, (0,))) for name in problem.names)


def shared(problem: Problem, limits: tuple[int, ...]) -> tuple[Spare, ...]:
    """The sources whose spare destinations several layers could want, so that their limits depend on each other."""
    found: list[Spare] = []
    for spare in spares(problem):
        wanting = {row: count for row, count in spare.each.items() if limits[row] > 1 and problem.names[row] not in problem.pins}
        if len(wanting) > 1:
            found.append(Spare(spare.source, spare.count, wanting))
    return tuple(found)
