"""Placements in which no layer is split, but those that the user pinned to several cores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from chipflow.allocation.assignment import assign
from chipflow.allocation.matching import Matching, as_bits, match
from chipflow.allocation.problem import Problem

Columns = tuple[int, ...]


@dataclass(frozen=True)
class Wholes:
    """The layers that are to lie on one core each: rows of the problem, and where each may lie.

    Attributes:
        rows: of the problem.
        allowed: [row, core].
    """

    problem: Problem
    rows: tuple[int, ...]
    allowed: npt.NDArray[np.bool_]

    @cached_property
    def matching(self) -> Matching:
        """As many of them as possible, each with a core."""
        return match(as_bits(self.allowed))

    @property
    def rivals(self) -> tuple[int, ...]:
        """Rows of layers that together have too few cores; () where all find one."""
        return tuple(self.rows[i] for i in self.matching.rivals)

    def best(self) -> Columns:
        """The cheapest column of each row, where all find one."""
        return assign(self.problem.cost[list(self.rows)], self.allowed)


def wholes_of(problem: Problem) -> Wholes:
    """All layers but those pinned to several cores, which take these cores out."""
    split = {layer: cores for layer, cores in problem.pins.items() if len(cores) > 1}
    rows = tuple(row for row, name in enumerate(problem.names) if name not in split)
    allowed = problem.whole[list(rows)].copy()
    allowed[:, [problem.column_of[core] for cores in split.values() for core in cores]] = False
    return Wholes(problem, rows, allowed)


def ranked(wholes: Wholes, budget: int) -> Iterator[Columns]:
    """All placements, the cheapest first, equally cheap ones in the order of their cores (Murty's algorithm).

    Each placement found divides those left: the first that differ from it in row 0, those that keep row 0 and differ in row 1, ...

    Args:
        wholes: the layers; each must find a core.
        budget: cells of cost tables that may be looked at, after the first placement.
    """
    cost = wholes.problem.cost[list(wholes.rows)]
    first = wholes.best()
    waiting: list[tuple[int, Columns, int, tuple[tuple[int, int], ...]]] = [(_total(cost, first), first, 0, ())]
    while waiting:
        _, columns, kept, banned = heappop(waiting)
        yield columns
        for row in range(kept, len(columns)):
            budget -= cost.size
            if budget < 0:
                return
            without = (*(pair for pair in banned if pair[0] == row), (row, columns[row]))
            found = _solved(wholes, cost, columns[:row], without)
            if found is not None:
                heappush(waiting, (_total(cost, found), found, row, without))


def _solved(wholes: Wholes, cost: npt.NDArray[np.int64], kept: Columns, banned: tuple[tuple[int, int], ...]) -> Columns | None:
    """The cheapest placement with these columns for the first rows, and without these pairs."""
    rest = wholes.allowed[len(kept) :].copy()
    rest[:, list(kept)] = False
    for row, column in banned:
        rest[row - len(kept), column] = False
    if match(as_bits(rest)).missing:
        return None
    return (*kept, *assign(cost[len(kept) :], rest))


def _total(cost: npt.NDArray[np.int64], columns: Columns) -> int:
    return sum(int(cost[row, column]) for row, column in enumerate(columns))
