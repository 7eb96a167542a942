"""Which neurons an event touches, and with which weights: the geometry of a core as tables.

An event at (c, y, x) of the map in front is pooled to (y // pool, x // pool), what remains at the border is dropped, and touches the neuron
(f, oy, ox) with weight[f, c, ky, kx] where ky = y + padding - oy * stride and kx alike lie inside the kernel.

The neurons of one oy are neighbours, [ox][f], and so are their weights if those of a kernel's row lie in this order: kx descending, apart for
every remainder of kx by the stride. From one oy to the next, ky falls by the stride.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Pair = tuple[int, int]
Shape = tuple[int, int, int]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Geometry:
    """Pooling, then a convolution.

    Attributes:
        input_shape: (channels, y, x) before pooling.
        features: of the convolution.
        pool, kernel, stride, padding: (y, x).
    """

    input_shape: Shape
    features: int
    pool: Pair
    kernel: Pair
    stride: Pair
    padding: Pair

    @property
    def pooled_shape(self) -> Shape:
        """(channels, y, x) of what the convolution reads."""
        channels, height, width = self.input_shape
        return channels, height // self.pool[0], width // self.pool[1]

    @property
    def output_shape(self) -> Shape:
        """(features, y, x); sides below 1 where the kernel does not fit."""
        height, width = (
            (side + 2 * pad - kernel) // step + 1
            for side, kernel, step, pad in zip(self.pooled_shape[1:], self.kernel, self.stride, self.padding, strict=True)
        )
        return self.features, height, width


@dataclass(frozen=True, eq=False)
class Taps:
    """The tables.

    Attributes:
        arrivals: int32 [positions before pooling, 4]: first neuron, index of its weight, rows of neurons, neurons in a row; rows are 0
            where an event is dropped or touches nothing.
        places: int32 [neurons], for each neuron in the order [y][x][f] its place in [f][y][x].
        columns: the order of the kernel's columns.
        row: neurons of a row of the map.
        row_weights: weights by which the next row of neurons comes earlier.
    """

    arrivals: Ints
    places: Ints
    columns: Ints
    row: int
    row_weights: int

    @property
    def fan_out(self) -> npt.NDArray[np.int64]:
        """Synaptic operations of an event at each position."""
        return self.arrivals[:, 2].astype(np.int64) * self.arrivals[:, 3]

    def arranged(self, weights: npt.NDArray[np.int8]) -> Ints:
        """Weights [f, c, ky, kx] in the order [c][ky][kx in the order of `columns`][f], flat."""
        return np.ascontiguousarray(weights.transpose(1, 2, 3, 0)[:, :, self.columns], np.int32).ravel()


@lru_cache(maxsize=200)
def taps_of(geometry: Geometry) -> Taps:
    """The tables of a geometry."""
    features, height, width = geometry.output_shape
    channels = geometry.input_shape[0]
    (kernel_y, kernel_x), (stride_y, stride_x) = geometry.kernel, geometry.stride
    columns = np.concatenate([np.arange(kernel_x)[phase::stride_x][::-1] for phase in range(min(stride_x, kernel_x))])
    place_of_column = np.argsort(columns)

    oy, ky, rows = _along_axis(geometry, 0, height)
    ox, kx, across = _along_axis(geometry, 1, width)
    row_of_kernel = kernel_x * features
    touched = (rows[:, None] > 0) & (across > 0)
    first = (oy[:, None] * width + ox) * features
    at = ky[:, None] * row_of_kernel + place_of_column[kx] * features

    arrivals = np.zeros((channels, *touched.shape, 4), np.int32)
    arrivals[..., 0] = np.where(touched, first, 0)
    arrivals[..., 1] = np.where(touched, at, 0) + np.arange(channels)[:, None, None] * kernel_y * row_of_kernel
    arrivals[..., 2] = np.where(touched, rows[:, None], 0)
    arrivals[..., 3] = np.where(touched, across * features, 0)
    places = np.arange(features * height * width, dtype=np.int32).reshape(features, -1).T.ravel()
    return Taps(arrivals.reshape(-1, 4), places, columns.astype(np.int32), width * features, stride_y * row_of_kernel)


def _along_axis(geometry: Geometry, axis: int, size: int) -> tuple[npt.NDArray[np.int64], ...]:
    """For each coordinate before pooling: first neuron touched, its place in the kernel, and how many are touched."""
    side, pool = geometry.input_shape[1 + axis], geometry.pool[axis]
    kernel, stride, padding = geometry.kernel[axis], geometry.stride[axis], geometry.padding[axis]
    pooled = np.arange(side) // pool
    first = np.maximum(0, -((kernel - 1 - pooled - padding) // stride))  # the least o with pooled + padding - o * stride < kernel
    last = np.minimum(size - 1, (pooled + padding) // stride)
    touched = (last >= first) & (pooled < side // pool)
    return (
        np.where(touched, first, 0),
        np.where(touched, pooled + padding - first * stride, 0),
        np.where(touched, last - first + 1, 0),
    )
