"""Loss of accuracy, with what so many recordings can tell."""

from __future__ import annotations

import numpy as np
import pytest

from chipflow.errors import EventError
from chipflow.testing import accuracy_loss, assert_similar_accuracy


def answers(both: int, a_only: int, b_only: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([1, 1, 0, 0], [both, a_only, b_only, neither])
    b = np.repeat([1, 0, 1, 0], [both, a_only, b_only, neither])
    return a, b


@pytest.mark.parametrize(
    ("table", "lower", "upper"),
    [((36, 12, 2, 0), 0.0569, 0.3404), ((19, 13, 1, 17), 0.0995, 0.3632), ((54, 0, 0, 0), -0.0664, 0.0664)],
)
def test_bounds_of_newcombes_method_10(table: tuple[int, int, int, int], lower: float, upper: float) -> None:
    """Two-sided 95 % are one-sided 97.5 %."""
    found = accuracy_loss(*answers(*table), confidence=0.975)
    assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)
    swapped = accuracy_loss(*reversed(answers(*table)), confidence=0.975)
    assert (swapped.lower, swapped.upper) == pytest.approx((-found.upper, -found.lower))


def test_the_bounds_hold_as_often_as_they_say() -> None:
    """200 recordings, right 98 % and 95 % of the time, mostly together."""
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(200, [0.94, 0.04, 0.01, 0.01], size=500)
    held = [accuracy_loss(*answers(*map(int, row))).upper >= 0.03 for row in drawn]
    assert 0.93 <= np.mean(held) <= 0.99


def test_a_loss_that_is_shown_to_be_small_passes() -> None:
    assert_similar_accuracy(*answers(9500, 300, 100, 100), loss=0.03)


def test_a_loss_that_is_too_large_and_one_that_cannot_be_told_are_said_apart() -> None:
    with pytest.raises(AssertionError, match=r"is more than the allowed 1\.0%"):
        assert_similar_accuracy(*answers(9000, 800, 100, 100), loss=0.01)
    with pytest.raises(AssertionError, match=r"these recordings cannot tell; use more") as caught:
        assert_similar_accuracy(*answers(94, 3, 1, 2), loss=0.03)
    assert "97.0% against 95.0% on 100 recordings (3 right only in the first run, 1 only in the second)" in str(caught.value)


@pytest.mark.parametrize(
    ("a", "b", "confidence", "words"),
    [
        ([], [], 0.95, "found 0 and 0"),
        ([True], [True, False], 0.95, "found 1 and 2"),
        ([3], [4], 0.95, "True and False"),
        ([[True]], [[True]], 0.95, "sequence"),
        ([True], [True], 1.0, "between 0.5 and 1"),
    ],
)
def test_answers_that_cannot_be_compared(a: list[object], b: list[object], confidence: float, words: str) -> None:
    with pytest.raises(EventError, match=words):
        accuracy_loss(a, b, confidence=confidence)
