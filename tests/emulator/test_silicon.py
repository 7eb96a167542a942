"""The emulator against what a real Speck2f answered."""

from __future__ import annotations

import json

import numpy as np

from chipflow.emulator import Emulator, ReferenceEmulator
from chipflow.events import make_events
from hwconfig import ChipConfig, CoreConfig, Dimensions

from .silicon import FIRST_RECORDINGS, data_folder, read_nmnist


def first_layer() -> ChipConfig:
    weights = np.load(data_folder("silicon") / "layer0_weights.npy").astype(np.float64)
    low, high = float(weights.min()), float(weights.max())
    scale = 127 / high if abs(low) <= abs(high) * 128 / 127 else 128 / abs(low)
    core = CoreConfig(
        dimensions=Dimensions(kernel_size=5, stride=(2, 2), padding=(1, 1), input_shape=(2, 34, 34), output_shape=(16, 16, 16)),
        weights=np.rint(weights * scale).astype(np.int8),
        threshold_high=round(scale),
        threshold_low=-round(scale),
        monitor_enable=True,
    )
    return ChipConfig(chip="speck2f", cnn_layers={0: core})


def test_first_layer_counts_as_the_chip() -> None:
    seen = np.load(data_folder("silicon") / "speck_activity.npy")[0]
    recordings = data_folder("nmnist_small")
    config = first_layer()
    assert (config.core(0).threshold_high, config.core(0).threshold_low) == (72, -72)
    emulator = Emulator(config)
    equal: list[float] = []
    for digit, number in enumerate(FIRST_RECORDINGS):
        emulator.reset()
        mine = emulator.run(read_nmnist(recordings / f"{number}.bs2")).counts().astype(np.float64)
        equal.append(float(np.mean(mine == seen[digit])))
        cosine = float((mine * seen[digit]).sum() / np.linalg.norm(mine) / np.linalg.norm(seen[digit]))
        assert cosine >= 0.999, f"digit {digit}"
    assert equal[1] == 1.0
    assert np.mean(equal) >= 0.97


def test_leak_follows_the_trace_of_the_chip() -> None:
    trace = json.loads((data_folder("silicon") / "leak_trace.json").read_text())
    numbers = trace["quantised"]
    core = CoreConfig(
        dimensions=Dimensions(kernel_size=1, input_shape=(1, 2, 2), output_shape=(1, 2, 2)),
        weights=np.full((1, 1, 1, 1), numbers["weight"]),
        biases=np.array([numbers["bias"]]),
        neurons_initial_value=np.full((1, 2, 2), numbers["initial_state"]),
        threshold_high=numbers["threshold_high"],
        threshold_low=numbers["threshold_low"],
        leak_enable=True,
    )
    config = ChipConfig(chip="speck2f", cnn_layers={0: core})
    nothing = make_events([], [], [], [])
    for kind in (Emulator, ReferenceEmulator):
        for read_at, v_mem in zip(trace["read_at_seconds"], trace["v_mem"], strict=True):
            emulator = kind(config, slow_clock_period_us=1_000_000)
            emulator.run(nothing, duration=round((read_at + 1.5) * 1e6))
            assert (emulator.state(0) == v_mem).all(), read_at
