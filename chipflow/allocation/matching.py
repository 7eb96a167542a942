"""Whether each row can have a column of its own: augmenting paths over sets of columns kept as the bits of integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Matching:
    """As many rows as possible, each with a column.

    Attributes:
        columns: the column of each row, -1 where it has none.
        rivals: where rows stay without: rows that together have fewer columns than they are (Hall's condition), ascending. Without
            any one of them, the others have enough: the last of them to come reaches all the others' columns, and could take one.
    """

    columns: tuple[int, ...]
    rivals: tuple[int, ...]

    @property
    def missing(self) -> int:
        """How many rows have no column."""
        return self.columns.count(-1)


def as_bits(allowed: npt.NDArray[np.bool_]) -> list[int]:
    """Of each row, the allowed columns as bits."""
    packed = np.packbits(allowed, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def bits(value: int) -> Iterator[int]:
    """The set bits, ascending."""
    while value:
        low = value & -value
        yield low.bit_length() - 1
        value ^= low


def match(columns: Sequence[int]) -> Matching:
    """A largest matching for rows whose columns are given as bits, always the same one."""
    found = [-1] * len(columns)
    holder: dict[int, int] = {}
    rivals: tuple[int, ...] = ()
    taken = 0
    for row in range(len(columns)):
        column, reached = _augment(row, columns, found, holder, taken)
        if column is None:
            rivals = tuple(sorted(reached)) if not rivals or len(reached) < len(rivals) else rivals
        else:
            taken |= 1 << column
    return Matching(tuple(found), rivals)


def _augment(
    start: int, columns: Sequence[int], found: list[int], holder: dict[int, int], taken: int
) -> tuple[int | None, list[int]]:
    """Gives the row a column, moving others on; the column that is new, or None, and the rows that were asked."""
    asked, visited = [start], 0
    came_from: dict[int, int] = {}
    for row in asked:
        free = columns[row] & ~taken
        if free:
            last = (free & -free).bit_length() - 1
            _shift(row, last, start, found, holder, came_from)
            return last, asked
        fresh = columns[row] & ~visited
        visited |= fresh
        for column in bits(fresh):
            came_from[column] = row
            asked.append(holder[column])
    return None, asked


def _shift(row: int, column: int, start: int, found: list[int], holder: dict[int, int], came_from: dict[int, int]) -> None:
    """Each row on the path takes the next one's column."""
    while True:
        previous, found[row] = found[row], column
        holder[column] = row
        if row == start:
            return
        column, row = previous, came_from[previous]
