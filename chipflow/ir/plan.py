"""One entry = one core's worth: convolution, neuron, and where the spikes go. Integers only."""

from __future__ import annotations

from dataclasses import dataclass

from chipflow.errors import UnsupportedModelError
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Array, Conv2d, Iaf, Input, Node, Pair, Shape, SumPool2d


@dataclass(frozen=True)
class LayerPlan:
    """What one core will hold.

    Attributes:
        name: the weighted layer's name; `neuron` the name of its spiking layer.
        input_shape, output_shape: (features, y, x), the output before pooling.
        weights: [f, c, k, k] integers; biases [f] integers or None.
        targets: (layer name, pooling) for each layer that reads this one.
    """

    name: str
    neuron: str
    input_shape: Shape
    output_shape: Shape
    weights: Array
    biases: Array | None
    stride: Pair
    padding: Pair
    threshold_high: int
    threshold_low: int
    return_to_zero: bool
    targets: tuple[tuple[str, int], ...]


def make_plan(graph: Graph) -> tuple[LayerPlan, ...]:
    """Groups a quantised graph of Input, Conv2d, Iaf and SumPool2d nodes into layers, in order.

    Raises:
        UnsupportedModelError: nodes that do not follow the pattern convolution, neuron, optional pooling; all at once.
    """
    groups = _groups([node for node in graph.nodes if not isinstance(node, Input)])
    starts = [group[0].name for group in groups[1:]]
    shape: Shape = graph.shapes[graph.names[0]]
    plans: list[LayerPlan] = []
    for i, (conv, neuron, pool) in enumerate(groups):
        size = 1 if pool is None else pool.size[0]
        target = ((starts[i], size),) if i < len(starts) else ()
        plans.append(
            LayerPlan(
                name=conv.name,
                neuron=neuron.name,
                input_shape=shape,
                output_shape=graph.shapes[neuron.name],
                weights=conv.weight,
                biases=conv.bias,
                stride=conv.stride,
                padding=conv.padding,
                threshold_high=int(neuron.threshold),
                threshold_low=int(neuron.lower_bound or 0),
                return_to_zero=neuron.return_to_zero,
                targets=target,
            )
        )
        shape = graph.shapes[(pool or neuron).name]
    return tuple(plans)


Group = tuple[Conv2d, Iaf, SumPool2d | None]


def _groups(nodes: list[Node]) -> list[Group]:
    """(convolution, neuron, pooling or None) of each core."""
    refusals: list[str] = []
    groups: list[Group] = []
    at = 0
    while at < len(nodes):
        node = nodes[at]
        following = nodes[at + 1] if at + 1 < len(nodes) else None
        if isinstance(node, Conv2d) and isinstance(following, Iaf):
            pool = nodes[at + 2] if at + 2 < len(nodes) else None
            groups.append((node, following, pool if isinstance(pool, SumPool2d) else None))
            at += 3 if isinstance(pool, SumPool2d) else 2
            continue
        refusals.append(_refusal(node))
        at += 1
    if groups and groups[-1][2] is not None:
        refusals.append(f"layer {groups[-1][2].name!r}: nothing reads this pooling; remove it, or add a layer behind it")
    if refusals:
        raise UnsupportedModelError("\n".join(refusals))
    if not groups:
        raise UnsupportedModelError("the network has no convolution or linear layer")
    return groups


def _refusal(node: Node) -> str:
    if isinstance(node, Conv2d):
        return f"layer {node.name!r}: no spiking layer reads it directly; put a ReLU or IAF behind it (add_spiking_output=True for the last layer)"
    if isinstance(node, Iaf):
        return f"layer {node.name!r}: a spiking layer needs a convolution or linear layer directly before it"
    if isinstance(node, SumPool2d):
        return f"layer {node.name!r}: pooling must directly follow a spiking layer; put it behind the activation"
    return f"layer {node.name!r}: {type(node).__name__} should have been lowered"
