"""What can be asked of a run's result."""

from __future__ import annotations

import numpy as np
import pytest

from chipflow.errors import EventError
from chipflow.events import Accounting, RunResult, make_events

RESULT = RunResult(
    events=make_events([0, 1, 1, 0], [0, 0, 0, 1], [0, 10, 2000, 2500], [2, 1, 1, 2], [4, 4, 4, 0]),
    counters={},
    states={},
    accounting=Accounting(sent=9, received=4),
    monitored=(0, 4),
    shapes={0: (3, 2, 2), 4: (3, 1, 2), 7: (1, 1, 1)},
    duration=5000,
).with_names({0: "conv.0", 4: "head"})


def test_counts_by_core_by_name_and_of_the_last_layer() -> None:
    wanted = np.zeros((3, 1, 2))
    wanted[2, 0, 0], wanted[1, 0, 1] = 1, 2
    for layer in (4, "head", None):
        np.testing.assert_array_equal(RESULT.counts(layer), wanted)
    assert RESULT.counts("conv.0")[2, 1, 0] == 1


def test_prediction_takes_the_lowest_of_equals() -> None:
    assert RESULT.prediction() == 1
    tie = RunResult(make_events([0, 0], 0, 0, [2, 1], 4), {}, {}, Accounting(), (4,), {4: (3, 1, 1)})
    assert tie.prediction() == 1


def test_raster_covers_the_duration() -> None:
    raster = RESULT.raster(1000, "head")
    assert raster.shape == (5, 3, 1, 2)
    assert raster[:, 1, 0, 1].tolist() == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("layer", ["nobody", 7, 5])
def test_layers_that_are_not_monitored_are_refused(layer: int | str) -> None:
    with pytest.raises(EventError, match=r"0 \(conv\.0\), 4 \(head\)"):
        RESULT.counts(layer)
