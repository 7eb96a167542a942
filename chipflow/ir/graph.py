"""A graph of nodes in topological order, immutable; verified when made."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import networkx as nx

from chipflow.errors import UnsupportedModelError
from chipflow.ir.nodes import Input, Node, Shape


class Graph:
    """Nodes by name and the edges between them.

    Raises (on construction):
        UnsupportedModelError: a name twice, an edge without node, a loop, or shapes that do not fit.
    """

    def __init__(self, nodes: Iterable[Node], edges: Iterable[tuple[str, str]]) -> None:
        self._graph: nx.DiGraph[str] = nx.DiGraph()
        self._nodes: dict[str, Node] = {}
        for node in nodes:
            if node.name in self._nodes:
                raise UnsupportedModelError(f"layer {node.name!r} is used twice: a core holds one use, give each its own module")
            self._nodes[node.name] = node
            self._graph.add_node(node.name)
        for source, target in edges:
            if source not in self._nodes or target not in self._nodes:
                raise UnsupportedModelError(f"edge {source!r} -> {target!r} names a layer that does not exist")
            self._graph.add_edge(source, target)
        self.shapes = self._verified_shapes()

    @classmethod
    def chain(cls, nodes: Iterable[Node]) -> Graph:
        """Each node reads the one before."""
        ordered = list(nodes)
        return cls(ordered, [(a.name, b.name) for a, b in itertools.pairwise(ordered)])

    def _verified_shapes(self) -> dict[str, Shape]:
        """Output shape of each node; one reader of one source each, except the input, in this version."""
        if not nx.is_directed_acyclic_graph(self._graph):
            raise UnsupportedModelError("the layers form a loop")
        shapes: dict[str, Shape] = {}
        for name in self.names:
            node, sources = self._nodes[name], list(self._graph.predecessors(name))
            if isinstance(node, Input):
                shapes[name] = node.shape
                continue
            if len(sources) != 1:
                raise UnsupportedModelError(f"layer {name!r} reads {len(sources)} layers, sequential networks have one")
            try:
                shapes[name] = node.output_shape(shapes[sources[0]])
            except ValueError as error:
                raise UnsupportedModelError(f"layer {name!r}: {error}") from None
        return shapes

    @property
    def names(self) -> tuple[str, ...]:
        """Names in topological order; the order of definition decides between equals."""
        position = {name: i for i, name in enumerate(self._nodes)}
        return tuple(nx.lexicographical_topological_sort(self._graph, key=position.__getitem__))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Nodes in topological order."""
        return tuple(self._nodes[name] for name in self.names)

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Edges in the order of their sources."""
        return tuple(self._graph.edges())

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.nodes == other.nodes and set(self.edges) == set(other.edges)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Graph({' -> '.join(f'{node.name}:{type(node).__name__}' for node in self.nodes)})"
