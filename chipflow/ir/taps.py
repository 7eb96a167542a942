"""Where the values that a node sees come from: neurons and inputs, through pooling and feature shifts alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Add, ChannelShift, Concat, Iaf, Input, Pair, Sensor, SumPool2d


@dataclass(frozen=True)
class Tap:
    """One way from a source: its coordinates are divided by `pooling` (y, x), its features moved up by `shift`."""

    source: str
    pooling: Pair = (1, 1)
    shift: int = 0


def taps(graph: Graph, name: str) -> tuple[Tap, ...]:
    """All ways to the output of the node `name`, in the order of its sources.

    Raises:
        ValueError: something on the way computes; the message is the name of that node.
    """
    node, sources = graph[name], graph.sources(name)
    if isinstance(node, Iaf | Input | Sensor):
        return (Tap(name),)
    if type(node) is SumPool2d:
        (py, px) = node.size
        return tuple(replace(tap, pooling=(tap.pooling[0] * py, tap.pooling[1] * px)) for tap in taps(graph, sources[0]))
    if isinstance(node, ChannelShift):
        return _shifted(taps(graph, sources[0]), node.shift)
    if isinstance(node, Add):
        return tuple(tap for source in sources for tap in taps(graph, source))
    if isinstance(node, Concat):
        found: list[Tap] = []
        first = 0
        for source in sources:
            found.extend(_shifted(taps(graph, source), first))
            first += graph.shapes[source][0]
        return tuple(found)
    raise ValueError(name)


def _shifted(found: tuple[Tap, ...], shift: int) -> tuple[Tap, ...]:
    return tuple(replace(tap, shift=tap.shift + shift) for tap in found)
