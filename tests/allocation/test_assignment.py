"""Matching, cheapest assignment and their order, against all permutations of small tables."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from chipflow.allocation.assignment import assign
from chipflow.allocation.cost import Table, combined, most_sum
from chipflow.allocation.matching import as_bits, bits, match


def all_assignments(cost: Table, allowed: np.ndarray) -> list[tuple[int, tuple[int, ...]]]:
    rows, columns = cost.shape
    return sorted(
        (sum(int(cost[row, column]) for row, column in enumerate(some)), some)
        for some in permutations(range(columns), rows)
        if all(allowed[row, column] for row, column in enumerate(some))
    )


@pytest.mark.parametrize("kind", ["few costs", "many costs", "huge costs"])
def test_the_cheapest_and_first_assignment(kind: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(150):
        shape = (int(rng.integers(1, 5)), int(rng.integers(1, 6)))
        cost = rng.integers(0, 3 if kind == "few costs" else 50, shape)
        if kind == "huge costs":
            cost = cost.astype(object) * 10**30
        allowed = rng.random(shape) < 0.7
        wanted = all_assignments(cost, allowed)
        found = match(as_bits(allowed))
        assert (found.missing == 0) == bool(wanted)
        if wanted:
            assert assign(cost, allowed) == wanted[0][1]


def test_rivals_have_too_few_columns_and_none_too_many_members() -> None:
    rng = np.random.default_rng(2)
    crowds = 0
    for _ in range(200):
        allowed = rng.random((int(rng.integers(2, 8)), int(rng.integers(1, 7)))) < 0.4
        found = match(as_bits(allowed))
        taken = [column for column in found.columns if column >= 0]
        assert len(set(taken)) == len(taken)
        assert all(allowed[row, column] for row, column in enumerate(found.columns) if column >= 0)
        assert bool(found.rivals) == bool(found.missing)
        if found.rivals:
            crowds += 1
            rivals = list(found.rivals)
            assert allowed[rivals].any(axis=0).sum() == len(rivals) - 1
            assert all(not match(as_bits(allowed[[row for row in rivals if row != out]])).missing for out in rivals)
    assert crowds > 50


def test_bits_ascend() -> None:
    assert list(bits(0b1011)) == [0, 1, 3]
    assert list(bits(1 << 200 | 1)) == [0, 200]


def test_combined_costs_compare_as_their_terms_do() -> None:
    rng = np.random.default_rng(3)
    for scale in (1, 10**16):
        terms = [rng.integers(0, 4, (3, 4)).astype(object) * scale for _ in range(3)]
        total = combined(terms)
        sums = [
            (
                sum(int(total[row, column]) for row, column in enumerate(some)),
                *(tuple(sum(int(term[row, column]) for row, column in enumerate(some)) for term in terms),),
            )
            for some in permutations(range(4), 3)
        ]
        assert [one[1] for one in sorted(sums)] == sorted(one[1] for one in sums)
        assert total.dtype == (np.int64 if most_sum(total) < 2**60 else object)
