"""Batch normalisation into the weights and biases of the layer before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import BatchNorm, Weighted
from chipflow.ir.rewrite import Rewrite


@dataclass(frozen=True)
class FoldBatchNorm:
    """W' = scale * W and b' = scale * b + shift, per output feature."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph without BatchNorm nodes.

        Raises:
            UnsupportedModelError: batch normalisations that do not directly follow a convolution or linear layer of their own.
        """
        change = Rewrite(graph)
        for node in graph.nodes:
            if isinstance(node, BatchNorm):
                _fold_one(change, node)
        return change.done()


def _fold_one(change: Rewrite, norm: BatchNorm) -> None:
    (source,) = change.sources(norm.name)
    layer = change[source]
    if not isinstance(layer, Weighted):
        change.refuse(norm.name, "batch normalisation must directly follow a convolution or linear layer")
    elif len(change.targets(source)) > 1 or change.is_output(source):
        change.refuse(
            norm.name, f"others read layer {source!r} before its batch normalisation; let them read what comes behind it"
        )
    else:
        change.replace(fold(layer, norm))
        change.bypass(norm.name)


def fold(layer: Weighted, norm: BatchNorm) -> Weighted:
    """The layer with the normalisation's scale and shift multiplied in."""
    axes = (slice(None),) + (None,) * (layer.weight.ndim - 1)
    bias = 0.0 if layer.bias is None else layer.bias.astype(np.float64)
    return replace(layer, weight=layer.weight.astype(np.float64) * norm.scale[axes], bias=norm.scale * bias + norm.shift)
