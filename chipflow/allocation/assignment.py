"""The cheapest column for each row: shortest augmenting paths, and among the cheapest the one whose columns come first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.allocation.cost import MOST, Table
from chipflow.allocation.matching import as_bits, bits

Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class _Best:
    """An optimum, with the prices that prove it: no edge costs less than its row's and its column's price together."""

    column_of: Indices
    row_price: npt.NDArray[Any]
    column_price: npt.NDArray[Any]


def assign(cost: Table, allowed: Flags) -> tuple[int, ...]:
    """The cheapest columns; among equally cheap ones those that are first, row by row.

    Args:
        cost: [row, column], not negative.
        allowed: which pairs may be used; each row must be able to have a column of its own (see `matching.match`).
    """
    if not len(cost):
        return ()
    infinite = 2 * MOST if cost.dtype != object else 1 + 2 * sum(int(row.max()) for row in cost)
    masked = np.where(allowed, cost, infinite)
    best = _shortest_paths(masked, infinite)
    return _first(best, masked, allowed)


def _shortest_paths(cost: Table, infinite: int) -> _Best:
    row_price: Table = np.zeros_like(cost[:, 0])
    column_price: Table = np.zeros_like(cost[0])
    best = _Best(np.full(len(row_price), -1, np.intp), row_price, column_price)
    row_of = np.full(len(column_price), -1, np.intp)
    for row in range(len(row_price)):
        _augment(row, cost, infinite, best, row_of)
    return best


def _augment(start: int, cost: Table, infinite: int, best: _Best, row_of: Indices) -> None:
    """One more row: the shortest way, in reduced costs, to a free column; prices follow."""
    distance = np.full(cost.shape[1], infinite, cost.dtype)
    open_distance = distance.copy()  # of columns not visited yet
    came_from = np.full(cost.shape[1], -1, np.intp)
    visited: list[int] = []
    row, length, column = start, 0, -1
    while row >= 0:
        reduced = cost[row] - best.column_price
        reduced += length - best.row_price[row]
        nearer = reduced < open_distance
        nearer[visited] = False
        came_from[nearer] = row
        distance[nearer] = reduced[nearer]
        open_distance[nearer] = reduced[nearer]
        length = open_distance.min()
        column = _pick(open_distance == length, row_of)
        open_distance[column] = infinite
        visited.append(column)
        row = int(row_of[column])
    _reprice(start, visited, distance, length, best, row_of)
    while True:
        row = int(came_from[column])
        row_of[column] = row
        best.column_of[row], column = column, int(best.column_of[row])
        if row == start:
            return


def _pick(nearest: Flags, row_of: Indices) -> int:
    """A free column if one is among the nearest, as it ends the search."""
    free = nearest & (row_of < 0)
    return int(free.argmax() if free.any() else nearest.argmax())


def _reprice(start: int, visited: list[int], distance: Table, length: Any, best: _Best, row_of: Indices) -> None:
    between = visited[:-1]
    best.row_price[start] += length
    best.row_price[row_of[between]] += length - distance[between]
    best.column_price[between] -= length - distance[between]


def _first(best: _Best, cost: Table, allowed: Flags) -> tuple[int, ...]:
    """Row by row the first column that some optimum has.

    The optima are what complementary slackness allows: edges without reduced cost, and no column with a price left out.
    """
    tight_edges = allowed & (cost == best.row_price[:, None] + best.column_price[None, :])
    state = _Optimum(
        column_of=[int(column) for column in best.column_of],
        row_of=[-1] * cost.shape[1],
        tight_rows=as_bits(tight_edges.T),
        unpriced=sum(1 << int(column) for column in np.flatnonzero(best.column_price == 0)),
    )
    for row, column in enumerate(state.column_of):
        state.row_of[column] = row
    fixed = 0
    for row, columns in enumerate(as_bits(tight_edges)):
        earlier = columns & ~fixed & ((1 << state.column_of[row]) - 1)
        if earlier:
            onward = state.onward(row)
            wanted = next((column for column in bits(earlier) if column in onward), None)
            if wanted is not None:
                state.move(row, wanted, onward)
        fixed |= 1 << state.column_of[row]
    return tuple(state.column_of)


@dataclass
class _Optimum:
    """An optimum that is moved to another one. A column that no row has is held by nobody (-1), who can go to any without a price."""

    column_of: list[int]
    row_of: list[int]
    tight_rows: list[int]
    unpriced: int

    def onward(self, row: int) -> dict[int, int]:
        """Columns that the row could take -> where each one's holder would go, on a way that ends at what the row leaves.

        Rows before this one stay where they are.
        """
        left = self.column_of[row]
        onward: dict[int, int] = {}
        asked, later = [left], -1 << (row + 1)
        nobody = [column for column, holder in enumerate(self.row_of) if holder < 0]
        for end in asked:
            rows = self.tight_rows[end] & later
            later &= ~rows
            came = [self.column_of[other] for other in bits(rows)]
            if self.unpriced >> end & 1:
                came.extend(nobody)
                nobody = []
            onward.update(dict.fromkeys(came, end))
            asked.extend(came)
        return onward

    def move(self, row: int, wanted: int, onward: dict[int, int]) -> None:
        """The row takes the column, and each holder on the way moves on, up to the column that the row left."""
        left, mover, target = self.column_of[row], row, wanted
        while True:
            displaced, self.row_of[target] = self.row_of[target], mover
            if mover >= 0:
                self.column_of[mover] = target
            if target == left:
                return
            mover, target = displaced, onward[target]
