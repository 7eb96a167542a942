"""How much of a difference each cause accounts for, from a measure of it under every combination of causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
import numpy.typing as npt

from chipflow.errors import ChipflowError
from chipflow.report.statistics import CONFIDENCE

Values = npt.NDArray[np.float64]
RESAMPLINGS = 4000
RESAMPLING_BATCH = 100  # drawn at a time


@dataclass(frozen=True)
class Estimate:
    """A mean over recordings, with the bounds of its bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+,.2f} [{self.low:+,.2f}, {self.high:+,.2f}]"


@dataclass(frozen=True)
class CauseShare:
    """What one cause does to a measure; means over recordings.

    Attributes:
        cause: its name, as in `chipflow.emulator.time_steps.Causes`.
        alone: what switching it on alone changes.
        step: what switching it on changes when those before it, in the order of the report, are on already.
        share: its Shapley value: the mean of what it changes, over all orders in which causes can be switched on.
    """

    cause: str
    alone: Estimate
    step: Estimate
    share: Estimate


@dataclass(frozen=True)
class Attribution:
    """A measure's change between a base, where no cause is on, and the emulated chip. Shares and rest add up to the whole.

    Attributes:
        measure: what is measured, in words.
        whole: how much it changes.
        causes: in the order of the report.
        rest: what is left with all causes on: what they do not explain.
    """

    measure: str
    whole: Estimate
    causes: tuple[CauseShare, ...]
    rest: Estimate


def attribute(measure: str, causes: Sequence[str], values: npt.ArrayLike, chip: npt.ArrayLike, *, seed: int = 0) -> Attribution:
    """Attribute a measure's change to causes.

    Args:
        measure: what is measured, in words.
        causes: their names; cause i is on in combination s where bit i of s is set.
        values: [2 ** len(causes), recordings], the measure under every combination; row 0 is the base.
        chip: [recordings], the measure of the emulated chip.
        seed: of the resampling of recordings.

    Raises:
        ChipflowError: arrays of other shapes, or no recordings.
    """
    table, end = np.asarray(values, np.float64), np.asarray(chip, np.float64)
    if table.shape != (2 ** len(causes), *end.shape) or end.ndim != 1 or not end.size:
        raise ChipflowError(
            f"{measure}: values must be [{2 ** len(causes)}, recordings] and chip [recordings], found {table.shape} and {end.shape}"
        )
    weights = _weights(len(causes))
    kinds = [
        (table[1 << i] - table[0], table[(2 << i) - 1] - table[(1 << i) - 1], weights[i] @ table) for i in range(len(causes))
    ]
    rows = np.stack([end - table[0], end - table[-1], *(row for kind in kinds for row in kind)])
    whole, rest, *others = _estimates(rows, seed)
    shares = [CauseShare(cause, *others[3 * i : 3 * i + 3]) for i, cause in enumerate(causes)]
    return Attribution(measure, whole, tuple(shares), rest)


def _weights(count: int) -> Values:
    """[cause, combination]: with which sign and weight a combination's value counts in a cause's Shapley value."""
    found = np.zeros((count, 2**count))
    for combination in range(2**count):
        size = combination.bit_count()
        for i in range(count):
            inside = combination >> i & 1
            before = size - inside
            weight = factorial(before) * factorial(count - before - 1) / factorial(count)
            found[i, combination] = weight if inside else -weight
    return found


def _estimates(rows: Values, seed: int) -> list[Estimate]:
    """The mean of each row, and its interval by resampling columns: percentiles of the resampled means."""
    rng = np.random.default_rng(seed)
    recordings = rows.shape[1]
    even = np.full(recordings, 1 / recordings)
    batches = (rng.multinomial(recordings, even, RESAMPLING_BATCH) for _ in range(RESAMPLINGS // RESAMPLING_BATCH))
    means = np.concatenate([batch @ rows.T for batch in batches]) / recordings
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    return [Estimate(*map(float, found)) for found in zip(rows.mean(axis=1), low, high, strict=True)]
