"""The smallest set of layers that together have too few cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chipflow.allocation.matching import as_bits, bits
from chipflow.allocation.problem import Problem
from chipflow.allocation.whole import Wholes

UNIONS_BUDGET = 4096
"""Sets of cores that are looked at."""


@dataclass(frozen=True)
class Crowd:
    """Layers with too few cores between them: rows, columns, and whether there is no smaller such set."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    smallest: bool


def smallest_crowd(problem: Problem, wholes: Wholes) -> Crowd | None:
    """A smallest set of layers that no placement without further splits can satisfy; None where there is one."""
    for layer, cores in problem.pins.items():
        row = problem.row_of[layer]
        held = [int(problem.most[row, problem.column_of[core]]) for core in cores]
        if len(cores) > 1 and (min(held) < 1 or sum(held) < problem.features[row]):
            return Crowd((row,), tuple(problem.column_of[core] for core in cores), True)
    if not wholes.matching.missing:
        return None
    able = as_bits(wholes.allowed)
    unions = _unions(able)
    if unions is None:
        rivals = wholes.matching.rivals
        columns = 0
        for i in rivals:
            columns |= able[i]
        return Crowd(tuple(wholes.rows[i] for i in rivals), tuple(bits(columns)), False)
    columns, rivals = _smallest(able, unions)
    return Crowd(tuple(wholes.rows[i] for i in rivals), tuple(bits(columns)), True)


def _unions(able: Sequence[int]) -> list[int] | None:
    """All unions of the layers' sets of cores; None where there are too many."""
    unions: dict[int, None] = {}
    for columns in dict.fromkeys(able):
        unions.update(dict.fromkeys([columns, *(union | columns for union in unions)]))
        if len(unions) > UNIONS_BUDGET:
            return None
    return sorted(unions, key=lambda union: (union.bit_count(), union))


def _smallest(able: Sequence[int], unions: Sequence[int]) -> tuple[int, list[int]]:
    """If more layers than it has cores can use none but those of a union, one more than its cores are such a set."""
    for union in unions:
        inside = [i for i, columns in enumerate(able) if not columns & ~union]
        if len(inside) > union.bit_count():
            return union, inside[: union.bit_count() + 1]
    raise AssertionError("without a crowd every layer has a core")
