"""Kernels that are not square get rows or columns of zeros, where that is exact."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Conv2d
from chipflow.ir.rewrite import Rewrite
from chipflow.passes.kernels import axes_of, embedded, smallest_square
from hwconfig.chip import Limits


@dataclass(frozen=True)
class SquareKernels:
    """A core has one kernel size for both axes; its padding and stride may differ."""

    limits: Limits

    def __call__(self, graph: Graph) -> Graph:
        """The graph with square kernels only.

        Raises:
            UnsupportedModelError: kernels that no padding makes square without changing the map.
        """
        change = Rewrite(graph)
        for node in graph.nodes:
            if isinstance(node, Conv2d) and len(set(node.weight.shape[2:])) > 1:
                self._square(change, node)
        return change.done()

    def _square(self, change: Rewrite, conv: Conv2d) -> None:
        graph = change.graph
        (source,) = graph.sources(conv.name)
        axes = axes_of([conv], graph.shapes[source], graph.shapes[conv.name])
        geometry = smallest_square(axes, self.limits)
        if geometry is None:
            kernel = " x ".join(map(str, conv.weight.shape[2:]))
            change.refuse(
                conv.name,
                f"the kernel of {kernel} (y x x) is not square, and no zeros around it make it so without changing the map of "
                f"{graph.shapes[conv.name][1:]}: use sides that are both odd or both even",
            )
            return
        change.replace(
            replace(conv, weight=embedded(conv, geometry), padding=geometry.padding, stride=geometry.stride),
        )
