"""Changes to a graph, collected and then made at once: what passes are written with."""

from __future__ import annotations

from collections.abc import Sequence

from chipflow.errors import UnsupportedModelError
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Node


class Rewrite:
    """A copy of a graph that can be changed.

    Attributes:
        graph: the graph as it was.
        refusals: what the pass found that cannot be done; `done` raises them together.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.refusals: list[str] = []
        self._nodes = {node.name: node for node in graph.nodes}
        self._sources = {name: list(graph.sources(name)) for name in graph.names}
        self._outputs = list(graph.outputs)

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def sources(self, name: str) -> tuple[str, ...]:
        """What the node reads now."""
        return tuple(self._sources[name])

    def targets(self, name: str) -> tuple[str, ...]:
        """What reads the node now, once for each time."""
        return tuple(target for target, sources in self._sources.items() for source in sources if source == name)

    def is_output(self, name: str) -> bool:
        """Whether the node's values are an answer of the network."""
        return name in self._outputs

    def refuse(self, name: str, problem: str) -> None:
        """Notes that the layer cannot be done."""
        self.refusals.append(f"layer {name!r}: {problem}")

    def replace(self, node: Node) -> None:
        """Puts the node in the place of the one of its name."""
        self._nodes[node.name] = node

    def read(self, name: str, sources: Sequence[str]) -> None:
        """Lets the node read these."""
        self._sources[name] = list(sources)

    def add(self, node: Node, sources: Sequence[str]) -> None:
        """A new node that reads these; in the order of nodes it comes right behind the last of them."""
        order = list(self._nodes)
        place = 1 + max(map(order.index, sources), default=-1)
        order.insert(place, node.name)
        self._nodes[node.name] = node
        self._nodes = {name: self._nodes[name] for name in order}
        self._sources[node.name] = list(sources)

    def insert_after(self, name: str, node: Node) -> None:
        """A new node that reads `name`; all that read `name` now read the new one, which also takes its place as output."""
        for sources in self._sources.values():
            sources[:] = [node.name if source == name else source for source in sources]
        self._outputs = [node.name if output == name else output for output in self._outputs]
        self.add(node, [name])

    def insert_between(self, source: str, target: str, node: Node) -> None:
        """A new node on every edge from `source` to `target`."""
        self._sources[target] = [node.name if name == source else name for name in self._sources[target]]
        self.add(node, [source])

    def bypass(self, name: str) -> None:
        """Takes out a node that reads one other: whatever read it, reads what it read."""
        (before,) = self._sources.pop(name)
        del self._nodes[name]
        for sources in self._sources.values():
            sources[:] = [before if source == name else source for source in sources]
        self._outputs = [before if output == name else output for output in self._outputs]

    def free_name(self, wanted: str) -> str:
        """`wanted`, with a number behind it where there is such a node."""
        name, number = wanted, 1
        while name in self._nodes:
            number += 1
            name = f"{wanted}{number}"
        return name

    def done(self) -> Graph:
        """The changed graph, without what no output needs any more.

        Raises:
            UnsupportedModelError: all that was refused, or shapes that no longer fit.
        """
        if self.refusals:
            raise UnsupportedModelError("\n".join(self.refusals))
        needed = self._needed()
        nodes = [node for name, node in self._nodes.items() if name in needed]
        return Graph(nodes, [(source, node.name) for node in nodes for source in self._sources[node.name]], self._outputs)

    def _needed(self) -> set[str]:
        found, open_ = set(self._outputs), list(self._outputs)
        while open_:
            for source in self._sources[open_.pop()]:
                if source not in found:
                    found.add(source)
                    open_.append(source)
        return found
