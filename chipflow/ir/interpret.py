"""The time-stepped reference: what a graph computes on a raster, at every level from the frontend to integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import (
    Add,
    AvgPool2d,
    BatchNorm,
    ChannelShift,
    Concat,
    Conv2d,
    Flatten,
    Iaf,
    Input,
    Linear,
    Node,
    Relu,
    Scale,
    Sensor,
    SumPool2d,
)

Values = npt.NDArray[np.float64]


def interpret(graph: Graph, raster: npt.NDArray[np.generic] | Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Values]:
    """Output of every node for one sample.

    Args:
        graph: any level; a quantised graph gives integer-valued floats, exact up to 2**53.
        raster: [time, *input shape], spike counts; by the name of the input where the network has several.

    Returns:
        name -> [time, *output shape]. Neurons sum a step's input, then emit floor(v / threshold) spikes, then meet the
        lower bound: what time-stepped simulators compute, where the chip decides at each event.

    Raises:
        ValueError: a raster's shape is not [time, *input shape], or rasters are not one for each input.
    """
    values = _given(graph, raster)
    for node in graph.nodes:
        if not isinstance(node, Input):
            values[node.name] = evaluate(node, *(values[source] for source in graph.sources(node.name)))
    return values


def _given(graph: Graph, raster: npt.NDArray[np.generic] | Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Values]:
    names = [node.name for node in graph.inputs]
    rasters = raster if isinstance(raster, Mapping) else {names[0]: raster}
    if sorted(rasters) != sorted(names):
        raise ValueError(f"rasters are given for inputs {sorted(rasters)}, the network has {names}")
    for node in graph.inputs:
        if rasters[node.name].shape[1:] != node.shape:
            found, wanted = rasters[node.name].shape, ", ".join(map(str, node.shape))
            raise ValueError(f"raster has shape {found}, the network reads [time, {wanted}]")
    return {name: rasters[name].astype(np.float64) for name in names}


def evaluate(node: Node, *inputs: Values) -> Values:
    """One node on its inputs, each [time, *input shape]."""
    for kind, function in _FUNCTIONS:
        if isinstance(node, kind):
            return function(node, *inputs)
    raise TypeError(f"no interpretation of {type(node).__name__}")


def _conv(node: Conv2d, x: Values) -> Values:
    pad_y, pad_x = node.padding
    padded = np.pad(x, ((0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, node.weight.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: node.stride[0], :: node.stride[1]]
    result = np.tensordot(windows, node.weight.astype(np.float64), axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    return result if node.bias is None else result + node.bias.astype(np.float64)[:, None, None]


def _linear(node: Linear, x: Values) -> Values:
    result = x @ node.weight.astype(np.float64).T
    return result if node.bias is None else result + node.bias.astype(np.float64)


def _batchnorm(node: BatchNorm, x: Values) -> Values:
    axes = (slice(None),) + (None,) * (x.ndim - 2)
    return x * node.scale[axes] + node.shift[axes]


def _iaf(node: Iaf, x: Values) -> Values:
    v = np.zeros(x.shape[1:])
    spikes = np.zeros_like(x)
    for t, current in enumerate(x):
        v += current
        spikes[t] = np.where(v >= node.threshold, v // node.threshold, 0)
        v = np.where(spikes[t] > 0, 0, v) if node.return_to_zero else v - spikes[t] * node.threshold
        if node.lower_bound is not None:
            v = np.maximum(v, node.lower_bound)
    return spikes


def _pool(node: SumPool2d, x: Values) -> Values:
    (py, px), (steps, features, height, width) = node.size, x.shape
    cropped = x[:, :, : height // py * py, : width // px * px]
    summed = cropped.reshape(steps, features, height // py, py, width // px, px).sum((3, 5))
    return summed / (py * px) if isinstance(node, AvgPool2d) else summed


def _flatten(node: Flatten, x: Values) -> Values:
    return x.reshape(len(x), -1)


def _relu(node: Relu, x: Values) -> Values:
    return np.maximum(x, 0)


def _scale(node: Scale, x: Values) -> Values:
    return x * node.factor


def _shift(node: ChannelShift, x: Values) -> Values:
    rest = node.output_shape(x.shape[1:])[0] - node.shift - x.shape[1]
    return np.pad(x, ((0, 0), (node.shift, rest), *((0, 0) for _ in x.shape[2:])))


def _add(node: Add, *inputs: Values) -> Values:
    return np.sum(inputs, axis=0)


def _concat(node: Concat, *inputs: Values) -> Values:
    return np.concatenate(inputs, axis=1)


def _sensor(node: Sensor, x: Values) -> Values:
    kept = x * (np.array([node.off, node.on][: x.shape[1]])[:, None, None] if x.shape[1] > 1 else 1)
    merged = kept.sum(1, keepdims=True) if node.merge else kept
    pooled = _pool(SumPool2d(node.name, node.pooling), merged)
    rows, columns = node.region(x.shape[1:])
    region = pooled[:, :, rows, columns]
    mirrored: Values = np.flip(region, tuple(axis for axis, flag in zip((2, 3), node.mirror, strict=True) if flag))
    return mirrored.swapaxes(2, 3) if node.swap else mirrored


_FUNCTIONS: tuple[tuple[type[Node], Callable[..., Values]], ...] = (
    (Conv2d, _conv),
    (Linear, _linear),
    (BatchNorm, _batchnorm),
    (Iaf, _iaf),
    (SumPool2d, _pool),
    (Flatten, _flatten),
    (Relu, _relu),
    (Scale, _scale),
    (ChannelShift, _shift),
    (Add, _add),
    (Concat, _concat),
    (Sensor, _sensor),
)
