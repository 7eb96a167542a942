"""A NIR graph without its nesting: one dict of nodes under dotted names, and edges between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.nir.fields import kind_of
from chipflow.ir.graph import topological

Edge = tuple[str, str]
PORTS = ("Input", "Output")


@dataclass
class Flat:
    """What `lay_flat` collects.

    Attributes:
        nodes: by dotted name, in the order of definition.
        edges: in the order of definition, which is that of a sum's terms.
        ports: Input and Output nodes of nested graphs, which hand on what they read.
        problems: edges that lead nowhere, and the like.
    """

    nodes: dict[str, Any] = field(default_factory=dict[str, Any])
    edges: list[Edge] = field(default_factory=list[Edge])
    ports: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])


def lay_flat(graph: Any) -> Flat:
    """The nodes of `graph` and of the graphs in it, whose ports are replaced by edges; problems are noted, not raised."""
    flat = Flat()
    _expand(graph, "", flat)
    try:
        topological(tuple(flat.nodes), tuple(flat.edges))
    except UnsupportedModelError as error:
        flat.problems.append(f"field 'edges': {error}; a core cannot feed an earlier one: train a network without recurrence")
        flat.edges.clear()
        return flat
    for port in flat.ports:
        flat.edges = _bypassed(port, flat)
        del flat.nodes[port]
    return flat


def _expand(graph: Any, prefix: str, flat: Flat) -> None:
    """Adds a graph whose nodes are called `prefix` and their name."""
    for name, node in graph.nodes.items():
        if kind_of(node) == "NIRGraph":
            _expand(node, f"{prefix}{name}.", flat)
            continue
        if prefix + name in flat.nodes:
            flat.problems.append(f"layer {prefix + name!r}, field 'nodes': two nodes have this name; rename one")
        flat.nodes[prefix + name] = node
        if prefix and kind_of(node) in PORTS:
            flat.ports.append(prefix + name)
    edges = [(str(source), str(target)) for source, target in graph.edges]
    for source, target in _twice(edges):
        flat.problems.append(
            f"layer {prefix + target!r}, field 'edges': {prefix + source!r} -> {prefix + target!r} is there twice; "
            "NIR's edges are a set: use a Scale of 2 if both are meant"
        )
    for source, target in edges:
        ends = _end(graph, prefix, source, "Output", flat), _end(graph, prefix, target, "Input", flat)
        if ends[0] is not None and ends[1] is not None:
            flat.edges.append((ends[0], ends[1]))


def _twice(edges: Iterable[Edge]) -> list[Edge]:
    return [edge for edge, count in Counter(edges).items() if count > 1]


def _end(graph: Any, prefix: str, name: str, port: str, flat: Flat) -> str | None:
    """The flat name of an edge's end: a node, a nested graph's port by its dotted name, or a nested graph that has only one."""
    inside = graph.nodes.get(name)
    if inside is None:
        if prefix + name in flat.nodes:
            return prefix + name
        flat.problems.append(
            f"layer {prefix + name!r}, field 'edges': an edge names it, but there is no such node; remove the edge"
        )
        return None
    if kind_of(inside) != "NIRGraph":
        return prefix + name
    ports = [f"{name}.{key}" for key, node in inside.nodes.items() if kind_of(node) == port]
    if len(ports) == 1:
        return prefix + ports[0]
    flat.problems.append(
        f"layer {prefix + name!r} (NIRGraph), field 'nodes': {len(ports)} {port} nodes ({', '.join(ports) or 'none'}); "
        f"an edge must name one of them, or there must be one only"
    )
    return None


def _bypassed(port: str, flat: Flat) -> list[Edge]:
    """The edges, with the sources of `port` in its place."""
    sources = [source for source, target in flat.edges if target == port]
    if not sources and any(source == port for source, _ in flat.edges):
        flat.problems.append(f"layer {port!r} ({kind_of(flat.nodes[port])}), field 'edges': reads nothing; add an edge into it")
    kept: list[Edge] = []
    for source, target in flat.edges:
        if source == port:
            kept.extend((further, target) for further in sources)
        elif target != port:
            kept.append((source, target))
    return kept
