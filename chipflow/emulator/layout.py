"""A core's configuration and states in the kernels' layout."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from chipflow.emulator.records import LANES, STATE_MIN, Geometry, Tables
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig, Dimensions

Number = TypeVar("Number", np.int8, np.int16)


def geometry(config: ChipConfig, core: int, *, strict: bool) -> Geometry:
    """The kernels' numbers of one core."""
    part = config.core(core)
    size = part.dimensions
    features, height, width = size.output_shape
    return Geometry(
        features=features,
        height=height,
        width=width,
        kernel=size.kernel_size,
        stride_y=size.stride[0],
        row_taps=_taps(size) * size.stride[1],
        low=max(part.threshold_low, STATE_MIN),
        high=part.threshold_high,
        to_zero=int(part.return_to_zero),
        decimate=decimation(config, core),
        strict=int(strict),
        leaking=int(np.count_nonzero(part.biases)),
    )


def decimation(config: ChipConfig, core: int) -> int:
    """One of how many spikes passes the core's decimator; 1 if it is off."""
    part = config.core(core)
    return config.chip.limits.decimator_ratios[part.output_decimator_interval] if part.output_decimator_enable else 1


def tables(part: CoreConfig) -> Tables:
    """Weights [f][c][ky][kx] as [c][ky][tap][f], and which of them an event at each y and x meets.

    An event at x (padding included) touches output columns ox with kx = x - ox * stride: kx = phase + stride * m, with the phase
    x % stride the same for all of them, and m falling as ox rises. So taps are in the order of phase, then of j = taps - 1 - m,
    which rises with ox: what one event meets in one row is contiguous for every stride.
    """
    size, stride = part.dimensions.kernel_size, part.dimensions.stride[1]
    taps = _taps(part.dimensions)
    features, channels = part.weights.shape[:2]
    padded = np.zeros((features, channels, size, taps * stride), np.int8)
    padded[..., :size] = part.weights
    by_phase = padded.reshape(features, channels, size, taps, stride)[:, :, :, ::-1, :]
    layout = np.ascontiguousarray(by_phase.transpose(1, 2, 4, 3, 0)).reshape(channels, size, taps * stride, features)
    nonzero = np.zeros((channels, size, taps * stride + 1), np.int64)
    nonzero[..., 1:] = np.cumsum(np.count_nonzero(layout, axis=-1), axis=-1)
    return Tables(
        weights=_with_spare(layout.ravel()),
        nonzero=nonzero.ravel(),
        biases=_with_spare(part.biases.astype(np.int16)),
        rows=_rows(part.dimensions),
        columns=_columns(part.dimensions),
    )


def _taps(size: Dimensions) -> int:
    """Taps of a kernel row that have the same phase: kernel / stride, rounded up."""
    return -(-size.kernel_size // size.stride[1])


def _touched(size: Dimensions, axis: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each input coordinate along an axis (0: y, 1: x): itself with padding, how many outputs it touches, the first of them."""
    stride, last = size.stride[axis], size.output_shape[1 + axis] - 1
    padded = np.arange(size.input_shape[1 + axis], dtype=np.int64) + size.padding[axis]
    first = np.maximum(0, -((size.kernel_size - 1 - padded) // stride))
    count = np.maximum(0, np.minimum(last, padded // stride) - first + 1)
    return padded, count, first


def _rows(size: Dimensions) -> npt.NDArray[np.int64]:
    padded, count, first = _touched(size, 0)
    return np.stack([count, first, padded - first * size.stride[0]], axis=1)


def _columns(size: Dimensions) -> npt.NDArray[np.int64]:
    padded, count, first = _touched(size, 1)
    phase, m = padded % size.stride[1], padded // size.stride[1] - first
    return np.stack([count, first, phase * _taps(size) + _taps(size) - 1 - m], axis=1)


def _with_spare(array: npt.NDArray[Number]) -> npt.NDArray[Number]:
    return np.concatenate([array, np.zeros(LANES, array.dtype)])


def masks(shape: tuple[int, int, int]) -> npt.NDArray[np.uint64]:
    """Room for the masks of a row of a map [f][y][x]: two for each block of LANES neurons."""
    return np.zeros(2 * -(-shape[0] * shape[2] // LANES), np.uint64)


def to_kernel(states: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """[f][y][x] -> flat [y][x][f] and LANES spare elements, a copy."""
    return _with_spare(states.transpose(1, 2, 0).astype(np.int16).ravel())


def from_kernel(states: npt.NDArray[np.int16], shape: tuple[int, int, int]) -> npt.NDArray[np.int16]:
    """What `to_kernel` made -> [f][y][x] of this shape, a copy."""
    features, height, width = shape
    return np.ascontiguousarray(states[:-LANES].reshape(height, width, features).transpose(2, 0, 1))
