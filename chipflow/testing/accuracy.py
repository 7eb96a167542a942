"""Whether one way of running a network loses accuracy against another, on the same recordings, as far as so many can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError
from chipflow.report.statistics import loss_bounds


@dataclass(frozen=True)
class AccuracyLoss:
    """How much accuracy the second way loses, with bounds; negative: it gains.

    The loss is that of all recordings like these, of which these are a sample: drawn at random, and each for itself. Bounds found so,
    each one-sided, are passed by it in about 1 - confidence of all such samples (see `chipflow.report.statistics.loss_bounds`).

    Attributes:
        recordings: how many.
        both, a_only, b_only: how many both got right, only the first way, and only the second.
        confidence: of each bound.
        lower, upper: bounds of the loss, as shares.
    """

    recordings: int
    both: int
    a_only: int
    b_only: int
    confidence: float
    lower: float
    upper: float

    @property
    def a_accuracy(self) -> float:
        """Of the first way."""
        return (self.both + self.a_only) / self.recordings

    @property
    def b_accuracy(self) -> float:
        """Of the second way."""
        return (self.both + self.b_only) / self.recordings

    @property
    def loss(self) -> float:
        """The plain difference."""
        return self.a_accuracy - self.b_accuracy

    def __str__(self) -> str:
        return (
            f"{self.a_accuracy:.1%} against {self.b_accuracy:.1%} on {self.recordings:,} recordings "
            f"({self.a_only:,} right only in the first run, {self.b_only:,} only in the second): a loss of {self.loss:.1%}, "
            f"with {self.confidence:.0%} confidence at least {self.lower:.1%}, and with as much at most {self.upper:.1%}"
        )


def accuracy_loss(a_correct: npt.ArrayLike, b_correct: npt.ArrayLike, *, confidence: float = 0.95) -> AccuracyLoss:
    """The loss of accuracy from one way of running to another.

    Args:
        a_correct: for every recording, whether the first way got it right.
        b_correct: for the same recordings in the same order, whether the second did.
        confidence: of each bound, between 0.5 and 1.

    Raises:
        EventError: no recordings, or not the same number of them; something else than yes and no; a confidence out of its range.
    """
    a, b = _yes_or_no("a_correct", a_correct), _yes_or_no("b_correct", b_correct)
    if len(a) != len(b) or not len(a):
        raise EventError(f"both ways must have run the same recordings, one or more: found {len(a)} and {len(b)} answers")
    if not 0.5 < confidence < 1:
        raise EventError(f"confidence is {confidence}: allowed is what lies between 0.5 and 1, such as 0.95")
    both, a_only, b_only = (int(np.count_nonzero(of)) for of in (a & b, a & ~b, ~a & b))
    lower, upper = loss_bounds(both, a_only, b_only, len(a) - both - a_only - b_only, confidence)
    return AccuracyLoss(len(a), both, a_only, b_only, confidence, lower, upper)


def _yes_or_no(name: str, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    array = np.asarray(values)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise EventError(f"{name} has to say of every recording whether it was right: a sequence of True and False")
    return array.astype(np.bool_)
