"""What any split must respect: fewest and most parts of each layer, and a quick proof that there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipflow.allocation.fan_out import part_limits
from chipflow.allocation.matching import as_bits, match
from chipflow.allocation.problem import Problem


@dataclass(frozen=True)
class Bounds:
    """Of each layer, by row.

    Attributes:
        fewest: parts that it needs if it had the chip for itself; None where no number of parts is enough.
        limit: most parts that it may have.
        least_last: features that its last part must have if it is split, for its feature shifts.
    """

    fewest: tuple[int | None, ...]
    limit: tuple[int, ...]
    least_last: tuple[int, ...]

    @property
    def hopeless(self) -> tuple[int, ...]:
        """Rows of layers that need more parts than they may have."""
        pairs = enumerate(zip(self.fewest, self.limit, strict=True))
        return tuple(row for row, (fewest, limit) in pairs if fewest is None or fewest > limit)

    @property
    def needed(self) -> int:
        """Cores that the whole network takes at least, where no layer is hopeless."""
        return sum(fewest or 0 for fewest in self.fewest)


def bounds_of(problem: Problem) -> Bounds:
    """The bounds."""
    last = tuple(least_last(problem, row) for row in range(len(problem.names)))
    fewest = tuple(_fewest(problem, row, last[row]) for row in range(len(problem.names)))
    return Bounds(fewest, part_limits(problem), last)


def least_last(problem: Problem, row: int) -> int:
    """The last part's features are shifted by those of all parts before it, which the chip limits."""
    layer = problem.network.layers[row]
    shift = max((link.shift for link in layer.links), default=0)
    return layer.features + shift - problem.chip.limits.feature_shift if layer.links else 0


def _fewest(problem: Problem, row: int, last: int) -> int | None:
    most, features = problem.most[row], int(problem.features[row])
    pinned = problem.pins.get(problem.names[row])
    if pinned and len(pinned) > 1:
        fits = covers([int(most[problem.column_of[core]]) for core in pinned], features, last, ordered=True)
        return len(pinned) if fits else None
    if problem.whole[row].any():
        return 1
    sums = np.cumsum(np.sort(most[most > 0])[::-1])
    enough = np.flatnonzero(sums >= features)
    if not len(enough) or int(most.max()) < last or int(enough[0]) > features - max(last, 1):
        return None
    return int(enough[0]) + 1


def covers(most: list[int], features: int, last: int, *, ordered: bool) -> bool:
    """Whether parts of at most these sizes, each of at least one feature, make up all features, with the last one large enough."""
    largest_last = most[-1] if ordered else max(most)
    return min(most) >= 1 and features <= sum(most) and largest_last >= last and len(most) - 1 <= features - max(last, 1)


def crowded(problem: Problem, bounds: Bounds) -> bool:
    """Whether the layers cannot find cores even if the sizes of their parts did not have to add up: proof that no split works.

    Of n parts, the k-th largest holds at least an equal share of what the larger ones leave.
    """
    slack = len(problem.chip.cores) - bounds.needed
    if slack < 0:
        return True
    rows = [row for row in range(len(problem.names)) for _ in range(bounds.fewest[row] or 0)]
    least = [share for row in range(len(problem.names)) for share in _shares(problem, bounds, row, slack)]
    allowed = problem.most[rows] >= np.array(least, np.int64)[:, None]
    return match(as_bits(allowed)).missing > 0


def _shares(problem: Problem, bounds: Bounds, row: int, slack: int) -> list[int]:
    """Features that the largest, second largest, ... part of a layer has at least."""
    fewest = bounds.fewest[row] or 0
    if len(problem.pins.get(problem.names[row], ())) > 1:
        return [1] * fewest
    parts, largest = min(bounds.limit[row], fewest + slack), int(problem.most[row].max())
    features = int(problem.features[row])
    return [max(-(-(features - k * largest) // (parts - k)), 1) for k in range(fewest)]
