"""Typed, immutable nodes. Shapes are (features, y, x), or (n,) once flattened; pairs are (y, x)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Pair = tuple[int, int]
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Node:
    """One operation, under the user's dotted layer name.

    Attributes:
        arity: how many nodes it reads; None: one or more, whose order counts.
    """

    arity: ClassVar[int | None] = 1
    name: str

    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of the output for inputs of these shapes; ValueError says why they do not fit."""
        return inputs[0]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]  # arrays inside


@dataclass(frozen=True, eq=False)
class Input(Node):
    """Where events enter."""

    arity: ClassVar[int | None] = 0
    shape: Shape

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape


@dataclass(frozen=True, eq=False)
class Weighted(Node):
    """A layer with weights [feature out, ...] and biases [feature out] or None."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True, eq=False)
class Conv2d(Weighted):
    """Convolution, weight [f, c, ky, kx].

    Attributes:
        stride, padding: (y, x), padding on both sides of an axis.
        whole_map: it was a linear layer, and its kernel would follow another map.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    whole_map: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
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

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        features, inputs = self.weight.shape
        if shape != (inputs,):
            raise ValueError(f"a linear layer of {inputs} inputs got an input of shape {shape}; flatten first")
        return (features,)


@dataclass(frozen=True, eq=False)
class BatchNorm(Node):
    """y = scale * x + shift per feature, of a trained batch normalisation."""

    scale: Array
    shift: Array

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if shape[0] != len(self.scale):
            raise ValueError(f"a batch normalisation of {len(self.scale)} features got an input of shape {shape}")
        return shape


@dataclass(frozen=True, eq=False)
class Relu(Node):
    """max(0, x), of a network that is not spiking yet."""


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

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
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

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return (int(np.prod(shape)),)


@dataclass(frozen=True, eq=False)
class Scale(Node):
    """Every value times `factor`: what is left of an average pool beside its sum."""

    factor: float


@dataclass(frozen=True, eq=False)
class ChannelShift(Node):
    """Features moved up by `shift`, into a map of `features` of them (None: as few as hold them); zeros elsewhere."""

    shift: int
    features: int | None = None

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        features = self.shift + shape[0] if self.features is None else self.features
        if not 0 <= self.shift <= features - shape[0]:
            raise ValueError(f"{shape[0]} features shifted by {self.shift} do not fit into {features}")
        return (features, *shape[1:])


@dataclass(frozen=True, eq=False)
class Add(Node):
    """Sum of inputs of equal shapes."""

    arity: ClassVar[int | None] = None

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(set(inputs)) != 1:
            raise ValueError(f"adds inputs of shapes {' and '.join(map(str, inputs))}, which must be equal")
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """Inputs behind each other along the features; maps are equal."""

    arity: ClassVar[int | None] = None

    def output_shape(self, *inputs: Shape) -> Shape:
        if len({shape[1:] for shape in inputs}) != 1:
            raise ValueError(f"concatenates maps of shapes {' and '.join(map(str, inputs))}, which must agree in y and x")
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])


@dataclass(frozen=True, eq=False)
class Sensor(Node):
    """What the sensor's pre-processing does with events (polarity p as the feature), in this order.

    Attributes:
        on, off: keep events of polarity 1, of polarity 0.
        merge: both polarities become feature 0.
        pooling: (y, x), sums over windows that do not overlap.
        origin: (y, x), the region's first pixel after pooling.
        size: (y, x) of the region; None: to the end of the pooled map.
        mirror: (y, x), each axis inside the region.
        swap: x and y change places, last.
        pixels: let the chip's own pixels in (no part of what is computed).
    """

    name: str = "sensor"
    on: bool = True
    off: bool = True
    merge: bool = False
    pooling: Pair = (1, 1)
    origin: Pair = (0, 0)
    size: Pair | None = None
    mirror: tuple[bool, bool] = (False, False)
    swap: bool = False
    pixels: bool = True

    def region(self, shape: Shape) -> tuple[slice, slice]:
        """Rows and columns that pass, of the pooled map of an input of `shape`; ValueError if they lie outside of it."""
        pooled = (shape[1] // self.pooling[0], shape[2] // self.pooling[1])
        size = self.size or (pooled[0] - self.origin[0], pooled[1] - self.origin[1])
        ends = (self.origin[0] + size[0], self.origin[1] + size[1])
        if min(self.origin) < 0 or min(size) < 1 or ends[0] > pooled[0] or ends[1] > pooled[1]:
            raise ValueError(f"the region from {self.origin} to {ends} (y, x) lies outside the pooled map of {pooled}")
        return slice(self.origin[0], ends[0]), slice(self.origin[1], ends[1])

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != 3 or shape[0] not in (1, 2):
            raise ValueError(f"the sensor has (2, y, x), or (1, y, x) where polarities are merged, not {shape}")
        rows, columns = self.region(shape)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return (1 if self.merge else shape[0], *((width, height) if self.swap else (height, width)))
