"""Splits of networks too large for exhaustion: parts of equal size, and one part more where layers compete."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipflow.allocation.assignment import assign
from chipflow.allocation.bounds import Bounds
from chipflow.allocation.fan_out import Spare, shared
from chipflow.allocation.matching import Matching, as_bits, match
from chipflow.allocation.problem import Problem

Parts = tuple[int, ...]
"""How many parts each layer has."""


@dataclass(frozen=True)
class _Try:
    """Numbers of parts, the rows of the layers that the slots are of, and the cores that they find."""

    parts: Parts
    rows: tuple[int, ...]
    allowed: npt.NDArray[np.bool_]
    matching: Matching


def equal_parts(problem: Problem, bounds: Bounds, cheapest: bool) -> tuple[tuple[tuple[int, ...], ...] | None, int]:
    """Columns for each layer, valid but not proven best, or None where this way finds none within the budget; and the combinations tried.

    No layer may be hopeless. `cheapest`: with these numbers of parts.
    """
    sources = shared(problem, bounds.limit)
    tried = _tried(problem, tuple(fewest or 1 for fewest in bounds.fewest))
    spent = tried.allowed.size
    while tried.matching.missing:
        wanting = dict.fromkeys(tried.rows[slot] for slot in tried.matching.rivals)
        better: _Try | None = None
        for row in wanting:
            more = (*tried.parts[:row], tried.parts[row] + 1, *tried.parts[row + 1 :])
            if not _allowed(problem, bounds, more, row, sources):
                continue
            spent += tried.allowed.size
            if spent > problem.budget:
                return None, spent
            next_try = _tried(problem, more)
            if better is None or next_try.matching.missing < better.matching.missing:
                better = next_try
            if better.matching.missing < tried.matching.missing:
                break
        if better is None:
            return None, spent
        tried = better
    columns = assign(problem.cost[list(tried.rows)], tried.allowed) if cheapest else tried.matching.columns
    sets: list[list[int]] = [[] for _ in tried.parts]
    for row, column in zip(tried.rows, columns, strict=True):
        sets[row].append(column)
    return tuple(tuple(sorted(some)) for some in sets), spent


def _tried(problem: Problem, parts: Parts) -> _Try:
    rows = tuple(row for row, count in enumerate(parts) for _ in range(count))
    pinned = [len(problem.pins.get(name, ())) > 1 for name in problem.names]
    shares = np.array([1 if pinned[row] else -(-int(problem.features[row]) // parts[row]) for row in rows], np.int64)
    allowed = problem.most[list(rows)] >= np.maximum(shares, 1)[:, None]
    return _Try(parts, rows, allowed, match(as_bits(allowed)))


def _allowed(problem: Problem, bounds: Bounds, parts: Parts, row: int, sources: tuple[Spare, ...]) -> bool:
    """Whether the layer may have so many parts, beside the others."""
    if parts[row] > bounds.limit[row] or sum(parts) > len(problem.chip.cores):
        return False
    return all(sum(links * (parts[other] - 1) for other, links in source.each.items()) <= source.count for source in sources)
