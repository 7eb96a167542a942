"""Linear layers become convolutions that see the whole map."""

from __future__ import annotations

from dataclasses import dataclass

from chipflow.errors import UnsupportedModelError
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Conv2d, Flatten, Input, Linear, Node, Shape


@dataclass(frozen=True)
class LowerLinear:
    """Weight [f, c*y*x] becomes [f, c, y, x], as torch flattens features outermost; a vector is a map of 1 x 1."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph without Linear and Flatten nodes, all shapes (features, y, x).

        Raises:
            UnsupportedModelError: linear layers on maps that are not square.
        """
        kept: list[Node] = []
        refusals: list[str] = []
        shape: Shape = (0, 1, 1)
        for node in graph.nodes:
            if isinstance(node, Flatten):
                continue
            if isinstance(node, Linear):
                if shape[1] != shape[2]:
                    refusals.append(
                        f"layer {node.name!r}: the linear layer reads a map of {shape[1]} x {shape[2]}, cores have square kernels"
                    )
                node = Conv2d(node.name, node.weight.reshape(len(node.weight), *shape), node.bias)
                shape = (len(node.weight), 1, 1)
            elif isinstance(node, Input):
                shape = node.shape if len(node.shape) == 3 else (node.shape[0], 1, 1)
                node = Input(node.name, shape)
            else:
                shape = node.output_shape(shape)
            kept.append(node)
        if refusals:
            raise UnsupportedModelError("\n".join(refusals))
        return Graph.chain(kept)
