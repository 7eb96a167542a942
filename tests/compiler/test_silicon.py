"""The network that ran on a real Speck2f, through the whole compiler, against what the chip answered."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from chipflow import Program, compile, open_device
from chipflow.backends.base import Device
from tests.emulator.silicon import FIRST_RECORDINGS, data_folder, read_nmnist
from tests.nmnist import INPUT_SHAPE, nmnist_network

FIRST, LAST = "0", "11"


@pytest.fixture(scope="module")
def program() -> Program:
    model = nmnist_network(data_folder("silicon") / "cnn_sinabs.nir")
    return compile(model, "speck2f", INPUT_SHAPE, quantization="sinabs", monitor=[FIRST, LAST])


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    with open_device("emulator:speck2f") as opened:
        yield opened


def test_the_first_layer_is_quantised_as_it_was_for_the_chip(program: Program) -> None:
    record = next(layer for layer in program.layers if layer.name == FIRST)
    core = program.config.core(record.core)
    assert round(record.quantization.scale, 3) == 71.537
    assert (core.threshold_high, core.threshold_low) == (72, -72)
    weights = np.load(data_folder("silicon") / "layer0_weights.npy").astype(np.float64)
    np.testing.assert_array_equal(core.weights, np.rint(weights * record.quantization.scale))


def test_the_first_layer_counts_as_the_chip(program: Program, device: Device) -> None:
    seen = np.load(data_folder("silicon") / "speck_activity.npy")[0]
    recordings = data_folder("nmnist_small")
    equal: list[float] = []
    for digit, number in enumerate(FIRST_RECORDINGS):
        counts = device.run(program, read_nmnist(recordings / f"{number}.bs2")).counts(FIRST).astype(np.float64)
        cosine = float((counts * seen[digit]).sum() / np.linalg.norm(counts) / np.linalg.norm(seen[digit]))
        assert cosine >= 0.999, f"digit {digit}"
        equal.append(float(np.mean(counts == seen[digit])))
    assert equal[1] == 1.0
    assert np.mean(equal) >= 0.97


def test_the_whole_network_classifies_the_test_recordings(program: Program, device: Device) -> None:
    recordings = data_folder("nmnist_small")
    labels = np.loadtxt(recordings / "test100.txt", dtype=int)
    right = [device.run(program, read_nmnist(recordings / f"{number}.bs2")).prediction() == label for number, label in labels]
    assert (sum(right), len(right)) == (94, 100)
