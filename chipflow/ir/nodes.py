"""Typed, immutable nodes. Shapes are (features, y, x), or (n,) once flattened; pairs are (y, x)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Pair = tuple[int, int]
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Node:
    """One operation, under the user's dotted layer name."""

    name: str

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`; ValueError says why an input does not fit."""
        return shape

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]  # arrays inside


@dataclass(frozen=True, eq=False)
class Input(Node):
    """Where events enter."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Weighted(Node):
    """A layer with weights [feature out, ...] and biases [feature out] or None."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True, eq=False)
class Conv2d(Weighted):
    """Convolution, weight [f, c, ky, kx]."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)

    def output_shape(self, shape: Shape) -> Shape:
        features, channels, *kernel = self.weight.shape
        if len(shape) != 3 or shape[0] != channels:
            raise ValueError(f"a convolution of {channels} channels got an input of shape {shape}")
        sizes = [
            (size + 2 * pad - k) // step + 1
            for size, k, step, pad in zip(shape[1:], kernel, self.stride, self.padding, strict=True)
        ]
        if min(sizes) < 1:
            raise ValueError(f"the kernel {tuple(kernel)} is larger than the padded input of shape {shape}")
        return (features, sizes[0], sizes[1])


@dataclass(frozen=True, eq=False)
class Linear(Weighted):
    """Fully connected, weight [f, n]."""

    def output_shape(self, shape: Shape) -> Shape:
        features, inputs = self.weight.shape
        if shape != (inputs,):
            raise ValueError(f"a linear layer of {inputs} inputs got an input of shape {shape}; flatten first")
        return (features,)


@dataclass(frozen=True, eq=False)
class BatchNorm(Node):
    """y = scale * x + shift per feature, of a trained batch normalisation."""

    scale: Array
    shift: Array

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] != len(self.scale):
            raise ValueError(f"a batch normalisation of {len(self.scale)} features got an input of shape {shape}")
        return shape


@dataclass(frozen=True, eq=False)
class Iaf(Node):
    """Integrate and fire: spikes at `threshold`, never below `lower_bound` (None: no bound)."""

    threshold: float
    lower_bound: float | None
    return_to_zero: bool = False


@dataclass(frozen=True, eq=False)
class SumPool2d(Node):
    """Sum over windows of `size` that do not overlap; what remains at the border is dropped."""

    size: Pair

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ValueError(f"pooling needs (features, y, x), got an input of shape {shape}")
        if shape[1] < self.size[0] or shape[2] < self.size[1]:
            raise ValueError(f"pooling by {self.size} leaves nothing of an input of shape {shape}")
        return (shape[0], shape[1] // self.size[0], shape[2] // self.size[1])


@dataclass(frozen=True, eq=False)
class AvgPool2d(SumPool2d):
    """As SumPool2d, divided by the window's area."""


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """(features, y, x) to (features * y * x,), features outermost as in torch."""

    def output_shape(self, shape: Shape) -> Shape:
        return (int(np.prod(shape)),)
