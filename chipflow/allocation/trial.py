"""How a changed problem does: whether it is solved, and if not, whether it is nearer to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from chipflow.allocation.demand import capacity, layer_need
from chipflow.allocation.fan_out import spares
from chipflow.allocation.limits import limits_broken
from chipflow.allocation.problem import Problem
from chipflow.allocation.solve import Outcome, search
from chipflow.allocation.whole import wholes_of
from hwconfig.memory import KINDS

LEVER_BUDGET = 1_500_000
"""What all trials for one explanation may take; a unit is about a microsecond, but counted, so that any machine finds the same levers."""
TRIAL_PRICE, CELLS_PER_UNIT, COMBINATIONS_PER_UNIT = 2000, 4, 100
"""Of a trial, of the cells of its tables, and of its search for splits."""


@dataclass
class Purse:
    """What is left of the budget."""

    left: int = LEVER_BUDGET

    @property
    def spent(self) -> bool:
        """Whether no trial may follow."""
        return self.left <= 0


@dataclass(frozen=True)
class Trial:
    """A problem, and what the allocation made of it."""

    problem: Problem
    outcome: Outcome

    @property
    def solved(self) -> bool:
        """Whether there is a placement."""
        return bool(self.outcome.found)

    @cached_property
    def lacking(self) -> tuple[int, int]:
        """How much is in the way: broken limits, layers without a core. (0, 0) where it is solved."""
        if self.solved:
            return 0, 0
        return _broken(self.problem), max(wholes_of(self.problem).matching.missing, 1)

    @cached_property
    def distance(self) -> tuple[int, int, int]:
        """As `lacking`, then the words by which layers that fit no core miss the nearest one."""
        return *self.lacking, 0 if self.solved else sum(_missing(self.problem, row) for row in range(len(self.problem.names)))


def tried(problem: Problem, purse: Purse) -> Trial:
    """The trial, paid for."""
    outcome = search(problem, cheapest=False)
    cells = len(problem.names) * len(problem.chip.cores)
    purse.left -= TRIAL_PRICE + cells // CELLS_PER_UNIT + outcome.tried // COMBINATIONS_PER_UNIT
    return Trial(problem, outcome)


def _broken(problem: Problem) -> int:
    return len(limits_broken(problem)) + sum(spare.count < 0 for spare in spares(problem))


def _missing(problem: Problem, row: int) -> int:
    if problem.whole[row].any():
        return 0
    layer = problem.network.layers[row]
    need, pinned = layer_need(layer), problem.pins.get(layer.name)
    memories = [capacity(core) for core in problem.chip.cores if pinned is None or core.id in pinned]
    return min(sum(max(getattr(need, kind) - getattr(have, kind), 0) for kind in KINDS) for have in dict.fromkeys(memories))
