"""Batch normalisation into the weights and biases of the layer before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chipflow.errors import UnsupportedModelError
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import BatchNorm, Node, Weighted


@dataclass(frozen=True)
class FoldBatchNorm:
    """W' = scale * W and b' = scale * b + shift, per output feature."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph without BatchNorm nodes.

        Raises:
            UnsupportedModelError: batch normalisations that do not directly follow a convolution or linear layer.
        """
        kept: list[Node] = []
        refusals: list[str] = []
        for node in graph.nodes:
            if not isinstance(node, BatchNorm):
                kept.append(node)
            elif isinstance(kept[-1], Weighted):
                kept[-1] = fold(kept[-1], node)
            else:
                refusals.append(f"layer {node.name!r}: batch normalisation must directly follow a convolution or linear layer")
        if refusals:
            raise UnsupportedModelError("\n".join(refusals))
        return Graph.chain(kept)


def fold(layer: Weighted, norm: BatchNorm) -> Weighted:
    """The layer with the normalisation's scale and shift multiplied in."""
    axes = (slice(None),) + (None,) * (layer.weight.ndim - 1)
    bias = 0.0 if layer.bias is None else layer.bias.astype(np.float64)
    return replace(layer, weight=layer.weight.astype(np.float64) * norm.scale[axes], bias=norm.scale * bias + norm.shift)
