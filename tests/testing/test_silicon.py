"""The default tolerance, against what a real Speck2f answered: the model passes it, and models with one rule wrong do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chipflow.emulator import Emulator
from chipflow.testing import Tolerance
from chipflow.testing.similarity import LayerSimilarity, similarity
from hwconfig import ChipConfig
from tests.emulator.silicon import FIRST_RECORDINGS, data_folder, read_nmnist
from tests.emulator.test_silicon import first_layer

SCALE = 71.537  # of the first layer, as sinabs quantises it


def likeness(config: ChipConfig, digits: range) -> list[LayerSimilarity]:
    seen = np.load(data_folder("silicon") / "speck_activity.npy")[0]
    emulator = Emulator(config)
    found: list[LayerSimilarity] = []
    for digit in digits:
        emulator.reset()
        counts = emulator.run(read_nmnist(data_folder("nmnist_small") / f"{FIRST_RECORDINGS[digit]}.bs2")).counts()
        found.append(similarity("0", seen[digit], counts))
    return found


def test_the_model_is_within_the_default_tolerance_of_the_chip() -> None:
    """With the numbers that the docstring of Tolerance has."""
    found = likeness(first_layer(), range(10))
    assert [layer.excesses(Tolerance()) for layer in found] == [[]] * 10
    assert round(min(layer.equal_neurons for layer in found), 3) == 0.959
    assert round(float(np.mean([layer.equal_neurons for layer in found])), 3) == 0.974
    assert max(layer.max_difference for layer in found) == 2
    assert min(layer.cosine for layer in found) >= 0.9993
    assert round(max(layer.spikes for layer in found), 4) == 0.0027
    assert (min(layer.a_spikes for layer in found), max(layer.a_spikes for layer in found)) == (3590, 15043)


def weights(rounding: Any) -> dict[str, Any]:
    return {
        "weights": rounding(np.load(data_folder("silicon") / "layer0_weights.npy").astype(np.float64) * SCALE).astype(np.int8)
    }


@pytest.mark.parametrize(
    "changes",
    [
        lambda: weights(np.trunc),
        lambda: weights(np.floor),
        lambda: {"threshold_high": 73},  # `>` in place of `>=`
        lambda: {"threshold_low": -32768},  # no lower bound
        lambda: {"return_to_zero": True},
    ],
    ids=["weights truncated", "weights rounded down", "> for >=", "no lower bound", "reset to zero"],
)
def test_a_wrong_rule_is_out_of_it(changes: Any) -> None:
    """For three digits, among them the one with the fewest spikes."""
    wrong = first_layer().with_core(0, **changes())
    assert all(layer.excesses(Tolerance()) for layer in likeness(wrong, range(3)))
