"""What the kernels read and write; apart from them, because numba takes long to import."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

STATE_MIN, STATE_MAX = -32768, 32767
LANES = 32  # neurons that one step of the kernels updates; their arrays have as many spare elements at the end
TICK = -1  # feature of a stream item that is a clock tick
DONE, FULL, LOW_CLIPPED, HIGH_CLIPPED = 0, 1, 2, 3
SYNOPS, UPDATES, LEAK_UPDATES, SPIKES, SPIKES_OUT, LOWER, UPPER, HANDLED, PHASE = range(9)
N_TOTALS = 9  # PHASE, the decimator's count since the last spike that passed, is kept in the same array


class Geometry(NamedTuple):
    """Numbers of one core: output map, kernel, thresholds; 0 or 1 for what is off or on."""

    features: int
    height: int
    width: int
    kernel: int
    stride_y: int
    row_taps: int
    """Taps of one kernel row in the kernels' layout, padding included."""
    low: int
    high: int
    to_zero: int
    decimate: int
    """One of this many spikes passes; 1: all."""
    strict: int
    leaking: int
    """How many features have a bias other than 0."""


class Tables(NamedTuple):
    """Weights of one core in the kernels' layout; weights and biases are followed by LANES spare elements."""

    weights: npt.NDArray[np.int8]
    """Flat [c][ky][tap][f]."""
    nonzero: npt.NDArray[np.int64]
    """Running count of non-zero weights along a kernel row, flat [c][ky][tap], with one more than taps."""
    biases: npt.NDArray[np.int16]
    rows: npt.NDArray[np.int64]
    """For each y of the input map: how many output rows an event there touches, the first of them, its ky."""
    columns: npt.NDArray[np.int64]
    """For each x of the input map: how many output columns an event there touches, the first of them, its tap."""


class Sizes(NamedTuple):
    """Lengths of the arrays that the kernels get as bare addresses, and where in the stream to start."""

    weights: int
    nonzero: int
    rows: int
    columns: int
    states: int
    masks: int
    items: int
    room: int
    """Length of the arrays for the spikes."""
    start: int


class Items(NamedTuple):
    """A stream: feature (TICK for a tick), y, x, time, and the key that orders it among other streams (input, entry)."""

    f: npt.NDArray[np.int16]
    y: npt.NDArray[np.int16]
    x: npt.NDArray[np.int16]
    t: npt.NDArray[np.int64]
    key: npt.NDArray[np.int64]
