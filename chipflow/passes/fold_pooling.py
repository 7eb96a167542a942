"""Pooling that no destination can do becomes part of the convolution beside it: exact, because both are linear."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Array, AvgPool2d, Conv2d, Input, Pair, Sensor, Shape, SumPool2d
from chipflow.ir.rewrite import Rewrite
from chipflow.ir.taps import taps
from hwconfig.chip import Limits
from hwconfig.memory import map_size


@dataclass(frozen=True)
class PoolBehind:
    """convolution, pooling, neurons: the pooling becomes stride and a larger kernel, k' = k + s (p - 1), s' = s p."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph in which no pooling reads a convolution."""
        change = Rewrite(graph)
        for node in graph.nodes:
            if not isinstance(node, SumPool2d):
                continue
            (source,) = change.sources(node.name)
            conv = change[source]
            if isinstance(conv, Conv2d) and len(change.targets(source)) == 1 and not change.is_output(source):
                change.replace(pooled(conv, node))
                change.bypass(node.name)
        return change.done()


def pooled(conv: Conv2d, pool: SumPool2d) -> Conv2d:
    """The convolution and the pooling of its map in one; both floors drop the same pixels."""
    features, channels, *kernel = conv.weight.shape
    size = [k + step * (p - 1) for k, step, p in zip(kernel, conv.stride, pool.size, strict=True)]
    weight = np.zeros((features, channels, *size))
    for y in range(pool.size[0]):
        for x in range(pool.size[1]):
            top, left = y * conv.stride[0], x * conv.stride[1]
            weight[:, :, top : top + kernel[0], left : left + kernel[1]] += conv.weight
    area = pool.size[0] * pool.size[1]
    average = isinstance(pool, AvgPool2d)
    bias = conv.bias if conv.bias is None or average else conv.bias * area
    return replace(conv, weight=weight / area if average else weight, bias=bias, stride=_times(conv.stride, pool.size))


@dataclass(frozen=True)
class PoolBefore:
    """Pooling of an input, or by a size that no destination has: k' = k p, s' = s p, each weight repeated over its window.

    Folded is what is exact, and gives a stride that cores have.
    """

    limits: Limits

    def __call__(self, graph: Graph) -> Graph:
        """The graph in which destinations can do the pooling that is left, as far as folding is exact."""
        while (folded := self._folded_once(graph)) is not None:
            graph = folded
        return graph

    def _folded_once(self, graph: Graph) -> Graph | None:
        """Every foldable pooling directly in front of a convolution; None where there is none."""
        change = Rewrite(graph)
        found = False
        for node in graph.nodes:
            if not isinstance(node, Conv2d) or type(pool := graph[source := graph.sources(node.name)[0]]) is not SumPool2d:
                continue
            (before,) = graph.sources(source)
            if self._is_legal(graph, source) or not is_exact(node, pool.size, graph.shapes[before]):
                continue
            geometry = self._geometry(unpooled(node, pool.size), graph.shapes[before], graph.shapes[node.name])
            if geometry is not None:
                change.replace(geometry)
                change.read(node.name, [before])
                found = True
        return change.done() if found else None

    def _geometry(self, conv: Conv2d, before: Shape, after: Shape) -> Conv2d | None:
        """The convolution with a stride that cores have: a map of one pixel needs none. None where there is no such stride."""
        strides: list[int] = []
        for i, (side, out) in enumerate(zip(before[1:], after[1:], strict=True)):
            kernel, own, padding = conv.weight.shape[2 + i], conv.stride[i], conv.padding[i]
            legal = [own] if own in self.limits.strides else [s for s in self.limits.strides if out == 1]
            strides.extend([step for step in legal if map_size(side, kernel, step, padding) == out][:1])
        return replace(conv, stride=(strides[0], strides[1])) if len(strides) == len(conv.stride) else None

    def _is_legal(self, graph: Graph, name: str) -> bool:
        try:
            return all(
                y == x and y in self.limits.poolings and not isinstance(graph[tap.source], Input | Sensor)
                for tap in taps(graph, name)
                for y, x in [tap.pooling]
            )
        except ValueError:
            return True  # what is wrong there is said by the plan


def is_exact(conv: Conv2d, size: Pair, shape: Shape) -> bool:
    """Without padding the pixels that pooling drops at the border are not read; with padding there must be none."""
    return all(pad == 0 or side % pool == 0 for pad, side, pool in zip(conv.padding, shape[1:], size, strict=True))


def unpooled(conv: Conv2d, size: Pair) -> Conv2d:
    """The convolution of the map before pooling by `size`."""
    weight: Array = conv.weight.repeat(size[0], axis=2).repeat(size[1], axis=3)
    return replace(conv, weight=weight, stride=_times(conv.stride, size), padding=_times(conv.padding, size))


def _times(one: Pair, other: Pair) -> Pair:
    return one[0] * other[0], one[1] * other[1]
