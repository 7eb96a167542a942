"""The time-stepped reference: what a graph computes on a raster, at every level from the frontend to integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import AvgPool2d, BatchNorm, Conv2d, Flatten, Iaf, Linear, Node, SumPool2d

Values = npt.NDArray[np.float64]


def interpret(graph: Graph, raster: npt.NDArray[np.generic]) -> dict[str, Values]:
    """Output of every node for one sample.

    Args:
        graph: any level; a quantised graph gives integer-valued floats, exact up to 2**53.
        raster: [time, *input shape], spike counts.

    Returns:
        name -> [time, *output shape]. Neurons sum a step's input, then emit floor(v / threshold) spikes, then meet the
        lower bound: what time-stepped simulators compute, where the chip decides at each event.

    Raises:
        ValueError: the raster's shape is not [time, *input shape].
    """
    shape = graph.shapes[graph.names[0]]
    if raster.shape[1:] != shape:
        raise ValueError(f"raster has shape {raster.shape}, the network reads [time, {', '.join(map(str, shape))}]")
    values: dict[str, Values] = {graph.names[0]: raster.astype(np.float64)}
    for source, target in graph.edges:
        values[target] = evaluate(graph[target], values[source])
    return values


def evaluate(node: Node, x: Values) -> Values:
    """One node on [time, *input shape]."""
    for kind, function in _FUNCTIONS:
        if isinstance(node, kind):
            return function(node, x)
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


_FUNCTIONS: tuple[tuple[type[Node], Callable[..., Values]], ...] = (
    (Conv2d, _conv),
    (Linear, _linear),
    (BatchNorm, _batchnorm),
    (Iaf, _iaf),
    (SumPool2d, _pool),
    (Flatten, _flatten),
)
