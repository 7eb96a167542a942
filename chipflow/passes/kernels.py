"""Kernels inside larger ones: zeros around them change nothing, where stride and padding can be chosen so that the map stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chipflow.ir.nodes import Array, Conv2d, Pair, Shape
from hwconfig.chip import Limits
from hwconfig.memory import map_size


@dataclass(frozen=True)
class Axis:
    """One axis of convolutions that shall become one: (kernel, padding) of each, and what is common to them, in pixels."""

    kernels: tuple[Pair, ...]
    size: int
    stride: int
    out: int

    def ways(self, kernel: int, limits: Limits) -> Iterator[Pair]:
        """(padding, stride) with which a kernel of this side holds them all exactly, least padding first."""
        first = max(padding for _, padding in self.kernels)
        strides = (self.stride, *limits.strides) if self.out == 1 else (self.stride,)  # a map of one pixel has no next step
        for padding in range(first, max(first, limits.padding) + 1):
            for stride in strides:
                holds = all(size + padding - own <= kernel for size, own in self.kernels)
                if holds and map_size(self.size, kernel, stride, padding) == self.out:
                    yield padding, stride


@dataclass(frozen=True)
class Geometry:
    """Kernel side, padding and stride of a convolution, pairs as (y, x)."""

    kernel: int
    padding: Pair
    stride: Pair


def smallest_square(axes: tuple[Axis, Axis], limits: Limits) -> Geometry | None:
    """The smallest square kernel that holds the given ones exactly; None where there is none."""
    smallest = max(size for axis in axes for size, _ in axis.kernels)
    for kernel in range(smallest, max(limits.kernel_size, smallest + 1) + 1):
        found = [next(axis.ways(kernel, limits), None) for axis in axes]
        if found[0] is not None and found[1] is not None:
            (pad_y, step_y), (pad_x, step_x) = found[0], found[1]
            return Geometry(kernel, (pad_y, pad_x), (step_y, step_x))
    return None


def axes_of(convs: Sequence[Conv2d], input_shape: Shape, output_shape: Shape) -> tuple[Axis, Axis]:
    """Both axes of convolutions of equal strides from maps of equal size."""
    made = [
        Axis(
            tuple((conv.weight.shape[2 + i], conv.padding[i]) for conv in convs),
            input_shape[1 + i],
            convs[0].stride[i],
            output_shape[1 + i],
        )
        for i in (0, 1)
    ]
    return made[0], made[1]


def embedded(conv: Conv2d, geometry: Geometry) -> Array:
    """The convolution's weights in the middle of a larger kernel of zeros, [f, c, k, k]."""
    features, channels, height, width = conv.weight.shape
    weight = np.zeros((features, channels, geometry.kernel, geometry.kernel), conv.weight.dtype)
    top, left = geometry.padding[0] - conv.padding[0], geometry.padding[1] - conv.padding[1]
    weight[:, :, top : top + height, left : left + width] = conv.weight
    return weight
