"""Linear layers become convolutions that see the whole map."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Add, ChannelShift, Concat, Conv2d, Flatten, Input, Linear, Shape
from chipflow.ir.rewrite import Rewrite


@dataclass(frozen=True)
class LowerLinear:
    """Weight [f, c*y*x] becomes [f, c, y, x], as torch flattens features outermost; a vector is a map of 1 x 1."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph without Linear and Flatten nodes, all shapes (features, y, x).

        Raises:
            UnsupportedModelError: flattened maps of different sizes that are added or concatenated.
        """
        change = Rewrite(graph)
        maps: dict[str, Shape] = {}
        for node in graph.nodes:
            inputs = [maps[source] for source in graph.sources(node.name)]
            if isinstance(node, Input):
                node = Input(node.name, _as_map(node.shape))
            elif isinstance(node, Linear):
                node = Conv2d(node.name, node.weight.reshape(len(node.weight), *inputs[0]), node.bias, whole_map=True)
            elif isinstance(node, ChannelShift):
                node = _shift_of_maps(node, len(graph.shapes[node.name]), inputs[0])
            if isinstance(node, Add | Concat) and len({shape[1:] for shape in inputs}) > 1:
                verb = "adds" if isinstance(node, Add) else "concatenates"
                change.refuse(node.name, f"{verb} flattened maps {inputs} (features, y, x); their sides must agree")
                maps[node.name] = inputs[0]
                continue
            change.replace(node)
            maps[node.name] = inputs[0] if isinstance(node, Flatten) else node.output_shape(*inputs)
        for node in graph.nodes:
            if isinstance(node, Flatten):
                change.bypass(node.name)
        return change.done()


def _shift_of_maps(shift: ChannelShift, axes: int, shape: Shape) -> ChannelShift:
    """A shift of flattened maps counted in features; where it is no multiple of a map, nothing that reads it fits."""
    area = shape[1] * shape[2]
    if axes > 1 or shift.features is None or shift.shift % area or shift.features % area:
        return shift
    return replace(shift, shift=shift.shift // area, features=shift.features // area)


def _as_map(shape: Shape) -> Shape:
    return shape if len(shape) == 3 else (shape[0], 1, 1)
