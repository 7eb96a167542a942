"""What the kernels read and write; apart from them, because numba takes long to import."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TICK = -1  # feature of a stream item that is a clock tick
DONE, FULL, LOW_CLIPPED, HIGH_CLIPPED, RETRY = 0, 1, 2, 3, 4
SYNOPS, UPDATES, LEAK_UPDATES, SPIKES, SPIKES_OUT, LOWER, UPPER, HANDLED, PHASE = range(9)
N_TOTALS = 9  # PHASE, the decimator's count since the last spike that passed, is kept in the same array


class Geometry(NamedTuple):
    """Numbers of one core: output map, kernel, strides and paddings, thresholds; 0 or 1 for what is off or on."""

    features: int
    height: int
    width: int
    kernel: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    taps: int
    """Taps per phase along x: kernel / stride_x, rounded up."""
    low: int
    high: int
    to_zero: int
    decimate: int
    """One of this many spikes passes; 1: all."""
    strict: int
    fast: int
    """It is proven that zero weights need no special care (`layout.fast_path_is_exact`)."""


class Tables(NamedTuple):
    """Weights of one core in the kernels' layout."""

    weights: npt.NDArray[np.int8]
    """Flat [c][ky][phase][j][f]."""
    nonzero: npt.NDArray[np.int64]
    """Running count of non-zero weights, flat [c][ky][phase][j of taps + 1]."""
    biases: npt.NDArray[np.int16]


class Sizes(NamedTuple):
    """Lengths of the arrays that the kernels get as bare addresses, and where in the stream to start."""

    weights: int
    nonzero: int
    states: int
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
