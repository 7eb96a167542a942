"""A core's configuration in the kernels' layout, and the proof that lets the kernels take their fast path."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chipflow.emulator.records import Geometry, Tables
from hwconfig.config import ChipConfig, CoreConfig

STATE_MIN, STATE_MAX = -32768, 32767


def geometry(config: ChipConfig, core: int, *, strict: bool) -> Geometry:
    """The kernels' numbers of one core; `fast` is False until proven for given states."""
    part = config.core(core)
    size = part.dimensions
    features, height, width = size.output_shape
    return Geometry(
        features=features,
        height=height,
        width=width,
        kernel=size.kernel_size,
        stride_y=size.stride[0],
        stride_x=size.stride[1],
        pad_y=size.padding[0],
        pad_x=size.padding[1],
        taps=-(-size.kernel_size // size.stride[1]),
        low=max(part.threshold_low, STATE_MIN),
        high=part.threshold_high,
        to_zero=int(part.return_to_zero),
        decimate=decimation(config, core),
        strict=int(strict),
        fast=0,
    )


def decimation(config: ChipConfig, core: int) -> int:
    """One of how many spikes passes the core's decimator; 1 if it is off."""
    part = config.core(core)
    return config.chip.limits.decimator_ratios[part.output_decimator_interval] if part.output_decimator_enable else 1


def tables(part: CoreConfig) -> Tables:
    """Weights [f][c][ky][kx] as [c][ky][phase][j][f].

    An event at x (padding included) touches output columns ox with kx = x - ox * stride: kx = phase + stride * m, with the phase
    x % stride the same for all of them, and m falling as ox rises. So j = taps - 1 - m rises with ox: the row is contiguous.
    """
    size, stride = part.dimensions.kernel_size, part.dimensions.stride[1]
    taps = -(-size // stride)
    features, channels = part.weights.shape[:2]
    padded = np.zeros((features, channels, size, taps * stride), np.int8)
    padded[..., :size] = part.weights
    by_phase = padded.reshape(features, channels, size, taps, stride)[:, :, :, ::-1, :]
    layout = np.ascontiguousarray(by_phase.transpose(1, 2, 4, 3, 0))
    nonzero = np.zeros((channels, size, stride, taps + 1), np.int64)
    nonzero[..., 1:] = np.cumsum(np.count_nonzero(layout, axis=-1), axis=-1)
    return Tables(layout.ravel(), nonzero.ravel(), np.ascontiguousarray(part.biases, dtype=np.int16))


def fast_path_is_exact(part: CoreConfig, states: npt.NDArray[np.int16]) -> bool:
    """Whether treating a zero weight as "add 0" gives the same bits as "no synapse", now and ever after.

    All states lie in [low, high), and no update can leave it: after a spike a state is 0, or below its old value plus at most
    high minus high. Then adding 0 neither clamps nor fires. Nor may any sum pass the largest state, which `_add_row` ignores.
    """
    low, high = max(part.threshold_low, STATE_MIN), part.threshold_high
    steps = [int(part.weights.max(initial=0)), int(part.biases.max(initial=0)) if part.leak_enable else 0]
    inside = not states.size or (int(states.min()) >= low and int(states.max()) < high)
    return inside and low <= 0 < high and max(steps) <= high and high - 1 + steps[0] <= STATE_MAX


def to_kernel(states: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """[f][y][x] -> flat [y][x][f], a copy."""
    return np.ascontiguousarray(states.transpose(1, 2, 0), dtype=np.int16).ravel().copy()


def from_kernel(states: npt.NDArray[np.int16], shape: tuple[int, int, int]) -> npt.NDArray[np.int16]:
    """Flat [y][x][f] -> [f][y][x] of this shape, a copy."""
    features, height, width = shape
    return np.ascontiguousarray(states.reshape(height, width, features).transpose(2, 0, 1))
