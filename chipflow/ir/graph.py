"""A graph of nodes in topological order, immutable; verified when made."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from chipflow.errors import UnsupportedModelError
from chipflow.ir.nodes import Input, Node, Shape


class Graph:
    """Nodes by name and the edges between them.

    Attributes:
        names: node names in topological order; the order of definition decides between equals.
        edges: (source, target), in the order of definition.
        shapes: node name -> shape of its output.

    Raises (on construction):
        UnsupportedModelError: a name twice, an edge without node, a loop, or shapes that do not fit.
    """

    def __init__(self, nodes: Iterable[Node], edges: Iterable[tuple[str, str]]) -> None:
        self._nodes: dict[str, Node] = {}
        for node in nodes:
            if node.name in self._nodes:
                raise UnsupportedModelError(f"layer {node.name!r} is used twice: a core holds one use, give each its own module")
            self._nodes[node.name] = node
        self.edges = tuple(edges)
        for source, target in self.edges:
            if source not in self._nodes or target not in self._nodes:
                raise UnsupportedModelError(f"edge {source!r} -> {target!r} names a layer that does not exist")
        self.names = topological(tuple(self._nodes), self.edges)
        self.shapes = self._verified_shapes()

    @classmethod
    def chain(cls, nodes: Iterable[Node]) -> Graph:
        """Each node reads the one before."""
        ordered = list(nodes)
        return cls(ordered, [(a.name, b.name) for a, b in itertools.pairwise(ordered)])

    def _verified_shapes(self) -> dict[str, Shape]:
        """Output shape of each node; one reader of one source each, except the input, in this version."""
        shapes: dict[str, Shape] = {}
        for name in self.names:
            node, sources = self._nodes[name], [source for source, target in self.edges if target == name]
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
    def nodes(self) -> tuple[Node, ...]:
        """Nodes in topological order."""
        return tuple(self._nodes[name] for name in self.names)

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.nodes == other.nodes and set(self.edges) == set(other.edges)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Graph({' -> '.join(f'{node.name}:{type(node).__name__}' for node in self.nodes)})"


def topological(names: tuple[str, ...], edges: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """`names` with every source before its targets, otherwise in their own order.

    Raises:
        UnsupportedModelError: a loop, with the names in it.
    """
    position = {name: i for i, name in enumerate(names)}
    if all(position[source] < position[target] for source, target in edges):
        return names  # as everything that was sorted once is: files load without the time that networkx takes to start
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph(edges)
    graph.add_nodes_from(names)
    if not nx.is_directed_acyclic_graph(graph):
        loop: list[tuple[str, str]] = list(nx.find_cycle(graph))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        raise UnsupportedModelError(f"layers form a loop: {' -> '.join(source for source, _ in loop)}")
    return tuple(nx.lexicographical_topological_sort(graph, key=position.__getitem__))
