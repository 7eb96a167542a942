"""Sums in front of neurons: a core adds what arrives, but has one convolution for all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Add, Array, Concat, Conv2d, Iaf
from chipflow.ir.rewrite import Rewrite
from chipflow.passes.fold_pooling import PoolBehind
from chipflow.passes.kernels import axes_of, embedded, smallest_square
from hwconfig.chip import Limits


@dataclass(frozen=True)
class LowerSums:
    """conv1(x) + conv2(y) becomes one convolution over x and y behind each other; a summand without weights has the identity's.

    Sums of spikes stay: two sources send to one core. Pooling behind a sum becomes part of its convolution. Neurons that read spikes without
    weights between get the identity's.
    """

    limits: Limits

    def __call__(self, graph: Graph) -> Graph:
        """The graph in which every neuron reads a convolution, and sums are of spikes only.

        Raises:
            UnsupportedModelError: convolutions that cannot become one.
        """
        graph = _flat_sums(graph)
        change = Rewrite(graph)
        for node in graph.nodes:
            if isinstance(node, Add) and any(isinstance(graph[source], Conv2d) for source in graph.sources(node.name)):
                self._merge(change, node)
        return _with_identities(PoolBehind()(change.done()))

    def _merge(self, change: Rewrite, node: Add) -> None:
        graph, sources = change.graph, change.sources(node.name)
        summands = [_summand(graph, source) for source in sources]
        read = [graph.sources(source)[0] if isinstance(graph[source], Conv2d) else source for source in sources]
        maps = {graph.shapes[name][1:] for name in read}
        shared = [s for s in sources if isinstance(graph[s], Conv2d) and (len(graph.targets(s)) > 1 or change.is_output(s))]
        if shared:
            return change.refuse(node.name, f"layer {shared[0]!r} is added here and read elsewhere, without neurons between")
        if len(maps) > 1 or len({conv.stride for conv in summands}) > 1:
            found = ", ".join(
                f"{s!r} with stride {c.stride} from {graph.shapes[r]}" for s, c, r in zip(sources, summands, read, strict=True)
            )
            return change.refuse(
                node.name,
                f"one core cannot compute both summands, {found}: put neurons before the sum, or let strides and maps agree",
            )
        geometry = smallest_square(axes_of(summands, graph.shapes[read[0]], graph.shapes[node.name]), self.limits)
        if geometry is None:
            kernels = [conv.weight.shape[2:] for conv in summands]
            return change.refuse(node.name, f"kernels {kernels} do not fit into one: use sides that are all odd or all even")
        weights: dict[str, Array] = {}
        for name, conv in zip(read, summands, strict=True):
            weights[name] = weights.get(name, 0.0) + embedded(conv, geometry)
        first = next(source for source in sources if isinstance(graph[source], Conv2d))
        merged = Conv2d(
            first, np.concatenate(list(weights.values()), axis=1), _sum_of_biases(summands), geometry.stride, geometry.padding
        )
        change.replace(merged)
        if len(weights) > 1:
            inputs = Concat(change.free_name(f"{first}.inputs"))
            change.add(inputs, list(weights))
            change.read(first, [inputs.name])
        else:
            change.read(first, list(weights))
        change.read(node.name, [first])
        return change.bypass(node.name)


def _summand(graph: Graph, source: str) -> Conv2d:
    node = graph[source]
    return node if isinstance(node, Conv2d) else identity(source, graph.shapes[source][0])


def identity(name: str, features: int) -> Conv2d:
    """A convolution of one pixel that changes nothing."""
    return Conv2d(name, np.eye(features)[:, :, None, None], None)


def _sum_of_biases(convs: Sequence[Conv2d]) -> Array | None:
    biases = [conv.bias.astype(np.float64) for conv in convs if conv.bias is not None]
    return np.sum(biases, axis=0) if biases else None


def _flat_sums(graph: Graph) -> Graph:
    """x + y + z as one sum."""
    change = Rewrite(graph)
    for node in graph.nodes:
        if isinstance(node, Add):
            change.read(node.name, [inner for source in change.sources(node.name) for inner in _summands_of(change, source)])
    return change.done()


def _summands_of(change: Rewrite, source: str) -> tuple[str, ...]:
    lone = len(change.targets(source)) == 1 and not change.is_output(source)
    return change.sources(source) if isinstance(change[source], Add) and lone else (source,)


def _with_identities(graph: Graph) -> Graph:
    change = Rewrite(graph)
    for node in graph.nodes:
        if isinstance(node, Iaf) and not isinstance(graph[graph.sources(node.name)[0]], Conv2d):
            (source,) = graph.sources(node.name)
            change.insert_between(source, node.name, identity(change.free_name(f"{node.name}.input"), graph.shapes[source][0]))
    return change.done()
