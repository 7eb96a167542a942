"""Our graph to NIR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.nir.files import library
from chipflow.frontends.nir.neurons import Neurons
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import (
    Add,
    AvgPool2d,
    BatchNorm,
    ChannelShift,
    Concat,
    Conv2d,
    Flatten,
    Iaf,
    Input,
    Linear,
    Node,
    Relu,
    Scale,
    Sensor,
    Shape,
    SumPool2d,
)

# What NIR has no node for, and what to do instead.
REFUSED: dict[type[Node], str] = {
    Relu: "NIR has no ReLU; convert the network with chipflow.from_model first",
    Concat: "NIR has no concatenation; write the branches as graphs of their own",
    ChannelShift: "NIR has no shift of features; write the branches as graphs of their own",
    Sensor: "NIR has no sensor; write the network behind it, and do the pre-processing with the events",
}


def to_nir(graph: Graph) -> Any:
    """The nir.NIRGraph of a graph, with its names; `from_nir` gives an equal graph back, from files too.

    Reset and lower bound of each IF, the names of sums, and the order of nodes go into metadata under "chipflow", which other
    libraries do not read: to them, neurons have no lower bound, and reset as they themselves understand NIR. A layer without
    bias gets one of zeros, as NIR's Conv2d needs it and others export it.

    Args:
        graph: of any level.

    Raises:
        UnsupportedModelError: what NIR cannot say, with layer and field, all at once.
        ChipflowError: the `nir` package is missing.
    """
    nir = library()
    problems = [problem for node in graph.nodes for problem in _problems(graph, node)]
    if problems:
        raise UnsupportedModelError("\n".join(problems))
    merged = {node.name for node in graph.nodes if _is_merged(graph, node)}
    outputs = dict(zip(_output_names(graph), graph.outputs, strict=True))
    nodes = {node.name: _write(nir, graph, node) for node in graph.nodes if node.name not in merged}
    nodes |= {name: nir.Output(output_type=_typed("output", graph.shapes[source])) for name, source in outputs.items()}
    reads = {name: graph.sources(name) for name in nodes if name not in outputs} | {name: (s,) for name, s in outputs.items()}
    edges = [(source, name) for name, read in reads.items() for source in _terms(graph, read, merged)]
    sums = {name: read[0] for name, read in reads.items() if read and read[0] in merged}
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata={"chipflow": {"order": list(graph.names), "sums": sums}})


def _terms(graph: Graph, read: tuple[str, ...], merged: set[str]) -> tuple[str, ...]:
    """What a node reads, with a merged sum's terms in its place."""
    return graph.sources(read[0]) if read and read[0] in merged else read


def _is_merged(graph: Graph, node: Node) -> bool:
    """Whether this is a sum that NIR says by several edges into its only reader.

    Others become a Scale by 1 with several edges into it: a sum of sums stays one, rounding and all, and a shared sum is one.
    """
    readers, outputs = graph.targets(node.name), graph.outputs.count(node.name)
    return isinstance(node, Add) and len(readers) + outputs == 1 and not any(isinstance(graph[name], Add) for name in readers)


def _output_names(graph: Graph) -> list[str]:
    """Of the Output nodes, in an order that sorting keeps, as files sort."""
    base, count = "output", len(graph.outputs)
    while any(name.startswith(base) for name in graph.names):
        base += "_"
    return [base] if count == 1 else [f"{base}_{i:0{len(str(count - 1))}}" for i in range(count)]


def _problems(graph: Graph, node: Node) -> list[str]:
    kind, sources = type(node), graph.sources(node.name)
    found: list[tuple[str, str]] = []
    if "/" in node.name or node.name in ("", "."):
        found.append(("name", "NIR files cannot hold it: rename the layer, without '/'"))
    if len(set(sources)) < len(sources):
        found.append(("edges", f"reads {max(sources, key=sources.count)!r} twice, NIR's edges are a set; use a Scale of 2"))
    if isinstance(node, BatchNorm) and node.shift.any():
        found.append(("shift", "NIR has factors only; fold it into the weights before, as chipflow.compiler.lower does"))
    if kind in REFUSED or kind not in _WRITERS:
        found.append(("type", REFUSED.get(kind, "NIR has no such node")))
    return [f"layer {node.name!r} ({kind.__name__}), field {field!r}: {problem}" for field, problem in found]


def _write(nir: Any, graph: Graph, node: Node) -> Any:
    sources = graph.sources(node.name)
    shape = graph.shapes[sources[0]] if sources else graph.shapes[node.name]
    return _WRITERS[type(node)](nir, node, shape)


def _typed(port: str, shape: Shape) -> dict[str, Any]:
    return {port: np.array(shape)}


def _conv(nir: Any, node: Conv2d, shape: Shape) -> Any:
    bias = np.zeros(len(node.weight)) if node.bias is None else node.bias
    options = {"stride": node.stride, "padding": node.padding, "dilation": (1, 1), "groups": 1}
    return nir.Conv2d(input_shape=shape[1:], weight=node.weight, bias=bias, **options)


def _iaf(nir: Any, node: Iaf, shape: Shape) -> Any:
    low = None if node.lower_bound is None else float(node.lower_bound)
    states = Neurons("zero" if node.return_to_zero else "subtract", low)
    return nir.IF(r=np.ones(shape), v_threshold=np.full(shape, float(node.threshold)), metadata={"chipflow": states.metadata()})


def _pool(kind: str) -> Callable[[Any, Any, Shape], Any]:
    return lambda nir, node, shape: getattr(nir, kind)(
        kernel_size=np.array(node.size), stride=np.array(node.size), padding=np.array((0, 0))
    )


# Each takes the nir package, the node, and the shape of its input.
_WRITERS: dict[type[Node], Callable[[Any, Any, Shape], Any]] = {
    Input: lambda nir, node, shape: nir.Input(input_type=_typed("input", shape)),
    Conv2d: _conv,
    Linear: lambda nir, node, shape: nir.Affine(node.weight, np.zeros(len(node.weight)) if node.bias is None else node.bias),
    Iaf: _iaf,
    SumPool2d: _pool("SumPool2d"),
    AvgPool2d: _pool("AvgPool2d"),
    Flatten: lambda nir, node, shape: nir.Flatten(input_type=_typed("input", shape), start_dim=0, end_dim=-1),
    Scale: lambda nir, node, shape: nir.Scale(np.full(shape, float(node.factor))),
    BatchNorm: lambda nir, node, shape: nir.Scale(np.broadcast_to(node.scale[:, *(None,) * (len(shape) - 1)], shape).copy()),
    Add: lambda nir, node, shape: nir.Scale(np.ones(shape)),
}
