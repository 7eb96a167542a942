"""The network that ran on a real Speck2f: why the emulated chip answers otherwise than a simulation in time steps."""

from __future__ import annotations

import numpy as np
import pytest

from chipflow import compile
from chipflow.events import load_events
from chipflow.report import Comparison, compare
from tests.emulator.silicon import data_folder

RECORDINGS = 10


def comparison(time_step_us: int) -> Comparison:
    network, folder = data_folder("silicon") / "cnn_sinabs.nir", data_folder("nmnist_small")
    numbers, labels = np.loadtxt(folder / "test100.txt", dtype=int)[:RECORDINGS].T
    program = compile(network, "speck2f", quantization="sinabs")
    events = [load_events(folder / f"{number}.bs2") for number in numbers]
    return compare(program, events, labels.tolist(), model=network, time_step_us=time_step_us, published=(0.985, 0.954))


@pytest.mark.slow
@pytest.mark.parametrize("time_step_us", [1000, 10_000])
def test_clamping_makes_the_difference_and_nothing_is_left(time_step_us: int) -> None:
    found = comparison(time_step_us)
    for attribution in (*found.differing.values(), *found.more.values(), found.decisions, found.accuracy):
        assert attribution is not None
        assert (attribution.rest.low, attribution.rest.high) == (0, 0)
    for layer in ("5", "9", "11"):
        shares = {cause.cause: cause.share for cause in found.more[layer].causes}
        assert shares["clamp"].low > max(abs(shares[cause].high) for cause in ("rounding", "order", "one_spike"))
    assert found.prospects is not None
    assert found.prospects.needed is not None
    assert found.prospects.smallest_loss is None or found.prospects.smallest_loss > 0.5
    assert 200 < (found.prospects.needed.paired or 0) < 300
