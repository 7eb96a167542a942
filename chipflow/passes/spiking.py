"""A network of ReLUs becomes one of spiking neurons."""

from __future__ import annotations

from dataclasses import dataclass

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Flatten, Iaf, Node, Relu
from chipflow.ir.rewrite import Rewrite

SPIKE_OUTPUT = "spike_output"


@dataclass(frozen=True)
class MakeSpiking:
    """Integrate and fire in the place of every ReLU, whose rate follows it, and behind every output that is no neuron.

    A graph that has spiking neurons already is left as it is.

    Attributes:
        threshold: of the neurons.
        lower_bound: of their states.
    """

    threshold: float = 1.0
    lower_bound: float | None = -1.0

    def __call__(self, graph: Graph) -> Graph:
        """The graph without Relu nodes; neurons behind an output are named `spike_output`, or by the output where there are several.

        Raises:
            UnsupportedModelError: ReLUs in a network that has spiking neurons already.
        """
        change = Rewrite(graph)
        if any(isinstance(node, Iaf) for node in graph.nodes):
            for node in graph.nodes:
                if isinstance(node, Relu):
                    change.refuse(
                        node.name, "a ReLU in a network of spiking neurons; convert the whole network with chipflow.from_model"
                    )
            return change.done()
        for node in graph.nodes:
            if isinstance(node, Relu):
                change.replace(self._neuron(node.name))
        for output in graph.outputs:
            if isinstance(change[_behind_views(graph, output)], Iaf):
                continue
            if graph.targets(output):
                change.refuse(
                    output,
                    "is an answer of the network without neurons, and is read further on as well: return what comes behind its ReLU",
                )
            else:
                name = SPIKE_OUTPUT if len(graph.outputs) == 1 else f"{output}.{SPIKE_OUTPUT}"
                change.insert_after(output, self._neuron(change.free_name(name)))
        return change.done()

    def _neuron(self, name: str) -> Node:
        return Iaf(name, self.threshold, self.lower_bound)


def _behind_views(graph: Graph, name: str) -> str:
    """What a node shows in another shape; itself where it computes."""
    while isinstance(graph[name], Flatten):
        (name,) = graph.sources(name)
    return name
