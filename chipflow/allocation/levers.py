"""Levers: what would help, each tried by running the allocation on what it leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import get_args

from chipflow.allocation.apply import Value, changed_problem
from chipflow.allocation.candidates import Candidate, around, inside
from chipflow.allocation.cost import operations_of
from chipflow.allocation.lever_words import lever_of
from chipflow.allocation.problem import Problem
from chipflow.allocation.report import Lever, LeverKind
from chipflow.allocation.trial import Purse, Trial, tried
from chipflow.ir.plan import READOUT, NetworkShape
from hwconfig.chip import ChipSpec

ROUNDS = 8
"""Levers at most that are proposed together."""
KINDS: tuple[LeverKind, ...] = get_args(LeverKind)
Chips = Mapping[str, ChipSpec]


@dataclass(frozen=True)
class Pulled:
    """A lever with a value, and how the problem then does."""

    kind: LeverKind
    layer: str
    value: Value
    trial: Trial


def find_levers(
    problem: Problem, first: Sequence[str], other_chips: Sequence[ChipSpec]
) -> tuple[tuple[Lever, ...], tuple[Lever, ...]]:
    """All that helps alone, and, where nothing is enough alone, a few that are together.

    Args:
        problem: without a placement.
        first: layers to begin with, should the budget not last for all.
        other_chips: to try instead.
    """
    purse, chips = Purse(), {chip.name: chip for chip in other_chips}
    now = tried(problem, purse)
    candidates = (*around(problem, other_chips), *inside(problem, first))
    pulled = sorted(_helping(now, candidates, chips, purse), key=lambda lever: _order(now.problem, lever))
    if not pulled:  # what at least makes the layers in the way smaller
        pulled = sorted(_nearer(now, inside(problem, first), chips, purse), key=lambda lever: _order(now.problem, lever))
    levers = tuple(lever_of(now.problem, found.trial, found.kind, found.layer, found.value) for found in pulled)
    if any(found.trial.solved for found in pulled):
        return levers, ()
    return levers, tuple(_together(now, first, chips, purse))


def _helping(now: Trial, candidates: Iterable[Candidate], chips: Chips, purse: Purse) -> Iterator[Pulled]:
    """Of each candidate the smallest change that is enough, or else the smallest that leaves less in the way."""
    for candidate in candidates:
        if purse.spent:
            return
        found = _smallest(now, candidate, chips, purse)
        if found is not None and (found.trial.solved or candidate.kind != "chip"):
            yield found


def _smallest(now: Trial, candidate: Candidate, chips: Chips, purse: Purse) -> Pulled | None:
    trials: dict[int, Trial | None] = {}

    def trial(index: int) -> Trial | None:
        if index not in trials:
            changed = changed_problem(now.problem, candidate.kind, candidate.layer, candidate.values[index], chips)
            trials[index] = None if changed is None or purse.spent else tried(changed, purse)
        return trials[index]

    def enough(index: int) -> bool:
        at = trial(index)
        return at is not None and at.solved

    def better(index: int) -> bool:
        at = trial(index)
        return at is not None and at.lacking < now.lacking

    for wanted in (enough, better):
        index = _first(wanted, len(candidate.values), candidate.monotone)
        found = None if index is None else trial(index)
        if index is not None and found is not None:
            return Pulled(candidate.kind, candidate.layer, candidate.values[index], found)
    return None


def _first(wanted: Callable[[int], bool], count: int, monotone: bool) -> int | None:
    """The first index that is wanted; if all behind one that is wanted are, by halving."""
    if not monotone:
        return next((index for index in range(count) if wanted(index)), None)
    if not wanted(count - 1):
        return None
    low, high = -1, count - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wanted(middle) else (middle, high)
    return high


def _order(problem: Problem, pulled: Pulled) -> tuple[bool, tuple[int, int], bool, Fraction, int, str]:
    """Enough alone first, then what leaves least in the way, keeps the answer's features, and changes the network least."""
    change = _change(problem.network, pulled.trial.problem.network)
    answers = [layer.name for layer in problem.network.layers if all(link.target == READOUT for link in layer.links)]
    fewer = pulled.kind == "features" and pulled.layer in answers
    return not pulled.trial.solved, pulled.trial.lacking, fewer, change, KINDS.index(pulled.kind), pulled.layer


def _change(before: NetworkShape, after: NetworkShape) -> Fraction:
    """By what share the operations of the network change."""
    old, new = (sum(map(operations_of, network.layers)) for network in (before, after))
    return abs(Fraction(new - old, max(old, 1)))


def _together(now: Trial, first: Sequence[str], chips: Chips, purse: Purse) -> Iterator[Lever]:
    """Step by step the change after which least is in the way, until nothing is; nothing where that is not reached."""
    steps: list[Lever] = []
    for _ in range(ROUNDS):
        nearer = list(_nearer(now, inside(now.problem, first), chips, purse))
        if not nearer:
            return
        best = min(nearer, key=lambda lever: (lever.trial.distance, _change(now.problem.network, lever.trial.problem.network)))
        steps.append(lever_of(now.problem, best.trial, best.kind, best.layer, best.value))
        now = best.trial
        if now.solved:
            yield from steps
            return


def _nearer(now: Trial, candidates: Iterable[Candidate], chips: Chips, purse: Purse) -> Iterator[Pulled]:
    """Of each candidate the smallest change that leaves less in the way, or of those with a single value the change."""
    for candidate in candidates:
        if purse.spent:
            return
        found = _smallest(now, candidate, chips, purse)
        if found is None and not candidate.monotone:
            changed = changed_problem(now.problem, candidate.kind, candidate.layer, candidate.values[0], chips)
            trial = None if changed is None or purse.spent else tried(changed, purse)
            found = trial and Pulled(candidate.kind, candidate.layer, candidate.values[0], trial)
        if found is not None and found.trial.distance < now.distance:
            yield found
