"""Average pools become sum pools; the next weights take the factor. Pools in a row become one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import AvgPool2d, Node, SumPool2d, Weighted


@dataclass(frozen=True)
class LowerPooling:
    """The chip pools by address, which sums: exact, because pooling and the weights behind it are linear."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph with SumPool2d nodes only."""
        kept: list[Node] = []
        area = 1
        for node in graph.nodes:
            if isinstance(node, AvgPool2d):
                area *= node.size[0] * node.size[1]
                _add_pool(kept, SumPool2d(node.name, node.size))
            elif isinstance(node, SumPool2d):
                _add_pool(kept, node)
            elif isinstance(node, Weighted):
                kept.append(replace(node, weight=node.weight.astype(np.float64) / area))
                area = 1
            else:
                kept.append(node)
        return Graph.chain(kept)


def _add_pool(kept: list[Node], pool: SumPool2d) -> None:
    """Two pools in a row are one of the product of their sizes, also at borders: both floors drop the same pixels."""
    last = kept[-1]
    if isinstance(last, SumPool2d):
        kept[-1] = replace(last, size=(last.size[0] * pool.size[0], last.size[1] * pool.size[1]))
    else:
        kept.append(pool)


def pooling_factors(graph: Graph) -> dict[str, float]:
    """Weighted layer -> factor that average pooling multiplies into its weights (1 where there is none)."""
    factors: dict[str, float] = {}
    area = 1
    for node in graph.nodes:
        if isinstance(node, AvgPool2d):
            area *= node.size[0] * node.size[1]
        elif isinstance(node, Weighted):
            factors[node.name] = 1 / area
            area = 1
    return factors
