"""Intervals, tests and powers against published tables and other ways to compute them."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from chipflow.report import statistics


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(94, 100, 0.873970, 0.977665), (0, 100, 0.0, 0.036217), (100, 100, 0.963783, 1.0), (1, 10, 0.002529, 0.445016)],
)
def test_intervals_are_those_of_clopper_and_pearson(hits: int, trials: int, low: float, high: float) -> None:
    """Bounds as quantiles of the beta distribution, computed with scipy 1.17."""
    found = statistics.proportion(hits, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)
    assert found.value == hits / trials


def test_an_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    inside = [statistics.proportion(int(hits), 50) for hits in rng.binomial(50, 0.9, 200)]
    assert np.mean([found.low <= 0.9 <= found.high for found in inside]) >= 0.95


def test_hits_beyond_the_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="11 of 10"):
        statistics.proportion(11, 10)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (5, 0), (6, 0), (3, 9), (10, 2)])
def test_mcnemar_is_a_sign_test(lost: int, gained: int) -> None:
    n = lost + gained
    tail = sum(comb(n, k) for k in range(min(lost, gained) + 1)) / 2**n
    assert statistics.mcnemar(lost, gained) == pytest.approx(min(1, 2 * tail))


def test_six_lost_and_none_gained_are_the_fewest_that_tell() -> None:
    assert statistics.mcnemar(5, 0) > 0.05 > statistics.mcnemar(6, 0)
    assert statistics.power_paired(5, 1.0) == 0.0
    assert statistics.power_paired(6, 1.0) == pytest.approx(1.0)


def test_power_is_how_often_simulated_recordings_tell() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.multinomial(100, [0.08, 0.02, 0.90], 2000)
    found = np.mean([lost > gained and statistics.mcnemar(lost, gained) < 0.05 for lost, gained, _ in drawn])
    assert statistics.power_paired(100, 0.08, 0.02) == pytest.approx(found, abs=0.03)


def test_the_smallest_loss_and_the_recordings_it_needs_agree() -> None:
    loss = statistics.smallest_loss(100)
    assert loss is not None
    assert 0.07 < loss < 0.09
    needed = statistics.recordings_paired(loss)
    assert needed is not None
    assert abs(needed - 100) <= 2
    assert statistics.smallest_loss(5) is None


def test_ten_thousand_recordings_are_no_burden() -> None:
    loss = statistics.smallest_loss(10_000, 0.01)
    assert loss is not None
    assert loss == pytest.approx(2.8016 * np.sqrt((0.02 + loss) / 10_000), rel=0.02)
    assert statistics.proportion(9400, 10_000).low == pytest.approx(0.94 - 0.0047, abs=3e-4)


def test_recordings_for_the_published_loss() -> None:
    """479 by the formula of textbooks; errors in common make pairs need fewer."""
    assert statistics.recordings_unpaired(0.985, 0.954) == 480
    paired = statistics.recordings_paired(0.031)
    assert paired is not None
    assert 200 < paired < 300
    apart = statistics.recordings_paired(*statistics.unrelated(0.985, 0.954))
    assert apart is not None
    assert 400 < apart < 600


def test_no_loss_needs_no_number() -> None:
    assert statistics.recordings_paired(0.02, 0.02) is None
    assert statistics.recordings_unpaired(0.9, 0.9) is None
