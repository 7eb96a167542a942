"""Shapley values of measures that are known."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from chipflow.errors import ChipflowError
from chipflow.report.attribution import attribute

CAUSES = ("a", "b", "c")


def test_shares_are_means_over_all_orders_and_add_up() -> None:
    rng = np.random.default_rng(0)
    values, chip = rng.normal(size=(8, 20)), rng.normal(size=20)
    found = attribute("noise", CAUSES, values, chip)
    for i, cause in enumerate(found.causes):
        changes: list[float] = []
        for order in permutations(range(3)):
            before = sum(1 << j for j in order[: order.index(i)])
            changes.append(float((values[before | 1 << i] - values[before]).mean()))
        assert cause.share.value == pytest.approx(np.mean(changes))
        assert cause.alone.value == pytest.approx((values[1 << i] - values[0]).mean())
    assert sum(cause.share.value for cause in found.causes) + found.rest.value == pytest.approx(found.whole.value)
    assert sum(cause.step.value for cause in found.causes) + found.rest.value == pytest.approx(found.whole.value)
    assert found.whole.value == pytest.approx((chip - values[0]).mean())


def test_intervals_come_from_the_recordings_and_the_seed() -> None:
    values = np.array([np.zeros(100), np.arange(100)])
    found = attribute("ramp", ("a",), values, values[1], seed=3)
    share = found.causes[0].share
    standard_error = np.std(np.arange(100)) / 10
    assert share.low == pytest.approx(49.5 - 1.96 * standard_error, abs=0.4)
    assert share.high == pytest.approx(49.5 + 1.96 * standard_error, abs=0.4)
    assert found == attribute("ramp", ("a",), values, values[1], seed=3)
    assert (found.rest.low, found.rest.high) == (0, 0)


def test_a_cause_that_does_nothing_has_no_share() -> None:
    values = np.array([[0.0], [2.0], [0.0], [2.0]])
    found = attribute("one of two", ("a", "b"), values, np.array([2.5]))
    assert [cause.share.value for cause in found.causes] == [2.0, 0.0]
    assert found.rest.value == 0.5


@pytest.mark.parametrize("shape", [(7, 3), (8, 0), (8, 4)])
def test_wrong_shapes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ChipflowError, match=r"must be \[8, recordings\]"):
        attribute("x", CAUSES, np.zeros(shape), np.zeros(3 if shape[1] else 0))
