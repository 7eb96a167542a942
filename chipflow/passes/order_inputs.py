"""Events enter a core unshifted: what an input gives comes first where features are concatenated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Concat, Conv2d, Input, Sensor
from chipflow.ir.rewrite import Rewrite


@dataclass(frozen=True)
class OrderInputs:
    """Concatenations that a convolution reads directly are put into order, and its weights with them."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph in which an input is the first of what is concatenated."""
        change = Rewrite(graph)
        for node in graph.nodes:
            if isinstance(node, Conv2d) and isinstance(graph[graph.sources(node.name)[0]], Concat):
                _order(change, node)
        return change.done()


def _order(change: Rewrite, conv: Conv2d) -> None:
    graph = change.graph
    (concat,) = graph.sources(conv.name)
    sources = graph.sources(concat)
    order = sorted(range(len(sources)), key=lambda i: not isinstance(graph[sources[i]], Input | Sensor))
    if order == list(range(len(sources))):
        return
    ends = np.cumsum([graph.shapes[source][0] for source in sources])[:-1]
    blocks = np.split(conv.weight, ends, axis=1)
    own = Concat(change.free_name(f"{conv.name}.inputs"))
    change.add(own, [sources[i] for i in order])
    change.read(conv.name, [own.name])
    change.replace(replace(conv, weight=np.concatenate([blocks[i] for i in order], axis=1)))
