"""Average pools become sum pools; the weights that read them take the factor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Add, AvgPool2d, ChannelShift, Concat, Conv2d, Node, Scale, SumPool2d
from chipflow.ir.rewrite import Rewrite

Factors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LowerPooling:
    """The chip pools by address, which sums: exact, because pooling and the weights behind it are linear.

    Where summands come with different factors, W (a x + b y), the convolution reads x and y behind each other with weights
    a W and b W.
    """

    def __call__(self, graph: Graph) -> Graph:
        """The graph without AvgPool2d and Scale nodes.

        Raises:
            UnsupportedModelError: summands with different factors whose sum goes elsewhere than into convolutions.
        """
        graph = _widened(_with_scales(graph))
        change = Rewrite(graph)
        for name, factor in input_factors(graph).items():
            conv = change[name]
            assert isinstance(conv, Conv2d)
            if np.any(factor != 1):
                change.replace(replace(conv, weight=conv.weight.astype(np.float64) * factor[None, :, None, None]))
        for node in graph.nodes:
            if isinstance(node, Scale) and not change.is_output(node.name):
                change.bypass(node.name)
        return change.done()


def input_factors(graph: Graph) -> dict[str, Factors]:
    """For each convolution, the factor on each of its input features that scales and average pools before it make."""
    found = _all_factors(_with_scales(graph))
    return {node.name: np.nan_to_num(found[node.name], nan=1.0) for node in graph.nodes if isinstance(node, Conv2d)}


def _with_scales(graph: Graph) -> Graph:
    """An average is a sum times a factor."""
    change = Rewrite(graph)
    for node in graph.nodes:
        if isinstance(node, AvgPool2d):
            change.replace(SumPool2d(node.name, node.size))
            change.insert_after(node.name, Scale(change.free_name(f"{node.name}.scale"), 1 / (node.size[0] * node.size[1])))
    return change.done()


def _all_factors(graph: Graph) -> dict[str, Factors]:
    """Node -> factor of each feature: of what a convolution reads, and of what any other node gives; nan where nothing arrives."""
    found: dict[str, Factors] = {}
    given: dict[str, Factors] = {}
    for node in graph.nodes:
        inputs = [given[source] for source in graph.sources(node.name)]
        given[node.name] = _given(node, inputs, graph.shapes[node.name][0])
        found[node.name] = inputs[0] if isinstance(node, Conv2d) else given[node.name]
    return found


def _given(node: Node, inputs: list[Factors], features: int) -> Factors:
    if isinstance(node, SumPool2d):
        return inputs[0]
    if isinstance(node, Scale):
        return inputs[0] * node.factor
    if isinstance(node, Concat):
        return np.concatenate(inputs)
    if isinstance(node, ChannelShift):
        padded = np.full(features, np.nan)
        padded[node.shift : node.shift + len(inputs[0])] = inputs[0]
        return padded
    return _common(inputs) if isinstance(node, Add) else np.ones(features)


def _common(inputs: list[Factors]) -> Factors:
    """The factor of each feature of a sum, from the first summand that has it."""
    result = inputs[0]
    for other in inputs[1:]:
        result = np.where(np.isnan(result), other, result)
    return result


def _agree(one: Factors, other: Factors) -> bool:
    return bool(np.all(np.isnan(one) | np.isnan(other) | (one == other)))


def _widened(graph: Graph) -> Graph:
    """The graph in which all summands of a sum have the same factors."""
    while (node := next((n for n in graph.nodes if isinstance(n, Add) and len(_groups(graph, n.name)) > 1), None)) is not None:
        graph = _widened_at(graph, node.name)
    return graph


def _groups(graph: Graph, name: str) -> list[list[str]]:
    """The summands, those of equal factors together."""
    factors = _all_factors(graph)
    groups: list[list[str]] = []
    for source in graph.sources(name):
        for group in groups:
            if _agree(_common([factors[member] for member in group]), factors[source]):
                group.append(source)
                break
        else:
            groups.append([source])
    return groups


def _widened_at(graph: Graph, name: str) -> Graph:
    """Summands of different factors behind each other, for convolutions with their weights once for each."""
    change, groups = Rewrite(graph), _groups(graph, name)
    members: list[str] = []
    for group in groups:
        members.append(_sum_of(change, name, group))
    change.replace(Concat(name))
    change.read(name, members)
    for reader in _readers(graph, name):
        conv = graph[reader]
        if not isinstance(conv, Conv2d):
            change.refuse(
                name,
                f"adds values with different factors (average pools, scales), and layer {reader!r} reads the sum; "
                "use pools of equal size, sum pools, or a convolution directly behind the sum",
            )
            continue
        change.replace(replace(conv, weight=np.tile(conv.weight, (1, len(groups), 1, 1))))
    return change.done()


def _sum_of(change: Rewrite, name: str, group: list[str]) -> str:
    """The name of a node that adds the group."""
    if len(group) == 1:
        return group[0]
    inner = change.free_name(f"{name}.sum")
    change.add(Add(inner), group)
    return inner


def _readers(graph: Graph, name: str) -> list[str]:
    """Who reads the node's values, through pooling and scales."""
    found: list[str] = []
    for target in graph.targets(name):
        found.extend(_readers(graph, target) if isinstance(graph[target], SumPool2d | Scale) else [target])
    return found
