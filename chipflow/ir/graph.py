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
        edges: (source, target), in the order of definition; the edges into a node are its inputs, in their order.
        outputs: the nodes whose values are the network's answer, in the user's order.
        shapes: node name -> shape of its output.

    Args:
        nodes: in any order.
        edges: (source, target).
        outputs: names; None: every node that no other reads.

    Raises (on construction):
        UnsupportedModelError: a name twice, an edge without node, a loop, or shapes that do not fit, all of these at once.
    """

    def __init__(self, nodes: Iterable[Node], edges: Iterable[tuple[str, str]], outputs: Iterable[str] | None = None) -> None:
        self._nodes: dict[str, Node] = {}
        for node in nodes:
            if node.name in self._nodes:
                raise UnsupportedModelError(f"layer {node.name!r} is used twice: a core holds one use, give each its own module")
            self._nodes[node.name] = node
        self.edges = tuple(edges)
        self._sources: dict[str, list[str]] = {name: [] for name in self._nodes}
        self._targets: dict[str, list[str]] = {name: [] for name in self._nodes}
        for source, target in self.edges:
            if source not in self._nodes or target not in self._nodes:
                raise UnsupportedModelError(f"edge {source!r} -> {target!r} names a layer that does not exist")
            self._sources[target].append(source)
            self._targets[source].append(target)
        self.names = topological(tuple(self._nodes), self.edges)
        self.outputs = tuple(outputs) if outputs is not None else tuple(name for name in self.names if not self._targets[name])
        unknown = [name for name in self.outputs if name not in self._nodes]
        if unknown:
            raise UnsupportedModelError(f"output {unknown[0]!r} names a layer that does not exist")
        self.shapes = self._verified_shapes()

    @classmethod
    def chain(cls, nodes: Iterable[Node]) -> Graph:
        """Each node reads the one before."""
        ordered = list(nodes)
        return cls(ordered, [(a.name, b.name) for a, b in itertools.pairwise(ordered)])

    def _verified_shapes(self) -> dict[str, Shape]:
        """Output shape of each node."""
        shapes: dict[str, Shape] = {}
        refusals: list[str] = []
        for node in self.nodes:
            sources = self._sources[node.name]
            wrong = not sources if node.arity is None else len(sources) != node.arity
            if wrong:
                refusals.append(
                    f"layer {node.name!r} reads {len(sources)} layers, kind {type(node).__name__} reads {node.arity or 'some'}"
                )
                continue
            if not all(source in shapes for source in sources):
                continue  # follows from a refusal further up
            try:
                shapes[node.name] = node.output_shape(*(shapes[source] for source in sources))
            except ValueError as error:
                refusals.append(f"layer {node.name!r}: {error}")
        if refusals:
            raise UnsupportedModelError("\n".join(refusals))
        return shapes

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Nodes in topological order."""
        return tuple(self._nodes[name] for name in self.names)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Where events enter, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Input))

    def sources(self, name: str) -> tuple[str, ...]:
        """The nodes that this one reads, in order; one that it reads twice stands there twice."""
        return tuple(self._sources[name])

    def targets(self, name: str) -> tuple[str, ...]:
        """The nodes that read this one, in the order of the edges."""
        return tuple(self._targets[name])

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph) or self.nodes != other.nodes or self.outputs != other.outputs:
            return False
        return all(self.sources(name) == other.sources(name) for name in self.names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        lines = (f"{', '.join(self._sources[node.name])} -> {node.name}:{type(node).__name__}" for node in self.nodes)
        return f"Graph({'; '.join(lines)})"


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
