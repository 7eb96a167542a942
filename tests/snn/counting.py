"""Synaptic operations counted one by one, in plain loops: what the spiking library's numbers are compared with."""

from itertools import product

import numpy as np


def synops_of_conv(spikes, features, kernel, stride, padding, dilation=(1, 1), groups=1):
    """Spike counts [..., channels, y, x], each on every tap of a convolution with zero padding whose output is inside the map."""
    *_, height, width = spikes.shape
    rows, columns = (
        (size + 2 * pad - d * (k - 1) - 1) // s + 1
        for size, pad, d, k, s in zip((height, width), padding, dilation, kernel, stride, strict=True)
    )
    count = 0
    for y, x in product(range(height), range(width)):
        for oy, ox, ky, kx in product(range(rows), range(columns), range(kernel[0]), range(kernel[1])):
            at = oy * stride[0] + ky * dilation[0] - padding[0], ox * stride[1] + kx * dilation[1] - padding[1]
            count += spikes[..., y, x].sum() * (features // groups) if at == (y, x) else 0
    return count


def pooled_events(spikes, size, stride=None):
    """The raster behind a sum pool: every spike once in every window that holds it."""
    stride = stride or size
    *front, height, width = spikes.shape
    rows, columns = (height - size) // stride + 1, (width - size) // stride + 1
    found = np.zeros((*front, rows, columns), spikes.dtype)
    for y, x in product(range(rows), range(columns)):
        found[..., y, x] = spikes[..., y * stride : y * stride + size, x * stride : x * stride + size].sum((-1, -2))
    return found
