"""A batch of streams through one core, samples beside each other in threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.quantization import QuantizedLayer
from chipflow.snn.chip.streams import Stream
from chipflow.snn.chip.taps import Geometry, taps_of
from chipflow.snn.chip.threads import in_threads

STATE_MIN, STATE_MAX = -32768, 32767
WORK_OF_AN_EVENT = 100  # values that take as long


@dataclass(frozen=True, eq=False)
class Simulated:
    """What a core did with a batch.

    Attributes:
        stream: its spikes.
        counts: spikes in each step, float32 [batch, time, neurons].
        after: states at the end of each step, int16 [batch, time, neurons].
        clipped: updates whose result did not fit into 16 bits.
    """

    stream: Stream
    counts: npt.NDArray[np.float32]
    after: npt.NDArray[np.int16]
    clipped: int


def simulate(
    stream: Stream, geometry: Geometry, numbers: QuantizedLayer, to_zero: bool, states: npt.NDArray[np.int16], ticks_per_step: int
) -> Simulated:
    """Run a core from the states given.

    Args:
        stream: what arrives.
        geometry: of the core.
        numbers: its integers, weights [f, ...] with as many values as a kernel.
        to_zero: whether a spike zeroes the state, or else subtracts the threshold.
        states: int16 [batch, neurons], in the order (feature, y, x).
        ticks_per_step: ticks of the slow clock in a step of the result.
    """
    from chipflow.snn.chip import kernels

    taps = taps_of(geometry)
    weights = taps.arranged(numbers.weights.reshape(geometry.features, geometry.input_shape[0], *geometry.kernel))
    biases = np.zeros(0, np.int32)
    if numbers.biases is not None and numbers.biases.any():
        biases = np.tile(numbers.biases.astype(np.int32), taps.places.size // geometry.features)
    low, high, keep = np.int32(max(numbers.lower_bound, STATE_MIN)), np.int32(numbers.threshold), np.int32(0 if to_zero else -1)
    steps = (len(stream.ends[0]) - 1) // ticks_per_step
    counts = np.zeros((len(states), steps, taps.places.size), np.float32)
    after = np.empty(counts.shape, np.int16)

    def run(sample: int) -> Any:
        return kernels.run_core(
            stream.positions[sample], stream.ends[sample], taps.arrivals, weights, biases, states[sample, taps.places].astype(np.int32),
            taps.places, taps.row, taps.row_weights, low, high, keep, ticks_per_step, counts[sample], after[sample],
        )  # fmt: skip

    events = sum(positions.size for positions in stream.positions)
    positions, ends, clipped = zip(*in_threads(run, len(states), events * WORK_OF_AN_EVENT), strict=True)
    return Simulated(Stream(list(positions), list(ends)), counts, after, sum(clipped))
