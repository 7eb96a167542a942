"""From a quantised graph of convolutions, neurons and what lies between to the plan of all cores."""

from __future__ import annotations

from collections.abc import Iterator

from chipflow.errors import UnsupportedModelError
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Conv2d, Iaf, Input, Node, Scale, Sensor, SumPool2d
from chipflow.ir.plan import READOUT, LayerPlan, LayerShape, Link, NetworkPlan, SensorPlan
from chipflow.ir.taps import Tap, taps


def make_plan(graph: Graph, *, readout: bool = False) -> NetworkPlan:
    """One layer for each convolution and the neurons that read it, in order.

    Args:
        graph: as the passes leave it.
        readout: send the outputs to the readout block as well.

    Raises:
        UnsupportedModelError: nodes that do not follow the pattern convolution, neurons, pooling; all at once.
    """
    found = _Found(graph)
    layers = tuple(found.layer(conv, neuron, readout) for conv, neuron in found.pairs)
    return NetworkPlan(layers, found.entries(), found.outputs, found.sensor())


class _Found:
    """What a graph holds, in the terms of a plan."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        refusals = list(_pattern_refusals(graph))
        self.pairs = [(node, neuron) for node in graph.nodes if isinstance(node, Conv2d) for neuron in _neurons_of(graph, node)]
        self.ways: dict[str, tuple[Tap, ...]] = {}
        for conv, _ in self.pairs:
            try:
                self.ways[conv.name] = taps(graph, graph.sources(conv.name)[0])
            except ValueError as error:
                refusals.append(_way_refusal(graph, str(error)))
        refusals.extend(self._tap_refusals())
        if refusals:
            raise UnsupportedModelError("\n".join(dict.fromkeys(refusals)))
        if not self.pairs:
            raise UnsupportedModelError("the network has no convolution or linear layer")
        layer_of = {neuron.name: conv.name for conv, neuron in self.pairs}
        self.outputs = tuple(dict.fromkeys(layer_of[output] for output in graph.outputs))

    def _tap_refusals(self) -> Iterator[str]:
        for reader, found in self.ways.items():
            given = [tap.source for tap in found if isinstance(self.graph[tap.source], Input | Sensor)]
            if len(given) > len(set(given)):
                yield f"layer {reader!r}: reads the input {given[0]!r} more than once; put a convolution on one of the ways"
            for tap in found:
                if tap.pooling[0] != tap.pooling[1]:
                    yield f"layer {reader!r}: pooling by {tap.pooling} (y, x) before it, a core pools by squares: use equal sides"
                source = self.graph[tap.source]
                if isinstance(source, Input | Sensor) and tap.pooling != (1, 1):
                    yield (
                        f"layer {reader!r}: an input reaches it pooled by {tap.pooling} (y, x), which cannot become part of it: that needs the pool "
                        "directly before it, no padding there or sides that the pool divides, and strides that cores have; or let the sensor's "
                        "front end pool (sensor=Sensor(pooling=...))"
                    )
                if isinstance(source, Input | Sensor) and tap.shift:
                    yield f"layer {reader!r}: an input reaches it with its features shifted; only the first of what is concatenated can be an input"

    def layer(self, conv: Conv2d, neuron: Iaf, readout: bool) -> LayerPlan:
        links = [
            Link(reader, tap.pooling[0], tap.shift)
            for reader, found in self.ways.items()
            for tap in found
            if tap.source == neuron.name
        ]
        if readout and conv.name in self.outputs:
            links.append(Link(READOUT))
        features, height, width = self.graph.shapes[self.graph.sources(conv.name)[0]]
        shape = LayerShape(
            name=conv.name,
            input_shape=(features, height, width),
            features=len(conv.weight),
            kernel_size=conv.weight.shape[-1],
            stride=conv.stride,
            padding=conv.padding,
            has_bias=conv.bias is not None and bool(conv.bias.any()),
            links=tuple(links),
            whole_map=conv.whole_map,
        )
        return LayerPlan(
            shape=shape,
            neuron=neuron.name,
            weights=conv.weight,
            biases=conv.bias,
            threshold_high=int(neuron.threshold),
            threshold_low=int(neuron.lower_bound or 0),
            return_to_zero=neuron.return_to_zero,
            layer=conv.name,
        )

    def _readers(self, source: str) -> tuple[str, ...]:
        return tuple(reader for reader, found in self.ways.items() for tap in found if tap.source == source)

    def entries(self) -> dict[str, tuple[str, ...]]:
        """Input -> the layers that read it directly; an input behind the sensor's front end has none."""
        named = {node.name: self._readers(node.name) for node in self.graph.inputs}
        return {name: readers for name, readers in named.items() if readers}

    def sensor(self) -> SensorPlan | None:
        for node in self.graph.nodes:
            if isinstance(node, Sensor):
                return SensorPlan(node, self.graph.shapes[self.graph.sources(node.name)[0]], self._readers(node.name))
        return None


def _neurons_of(graph: Graph, conv: Conv2d) -> list[Iaf]:
    """The one neuron node that reads the convolution, in a list; [] where the pattern is another."""
    readers = [graph[target] for target in graph.targets(conv.name)]
    return [reader for reader in readers if isinstance(reader, Iaf)] if len(readers) == 1 else []


def _pattern_refusals(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if isinstance(node, Conv2d):
            if not _neurons_of(graph, node) or node.name in graph.outputs:
                yield (
                    f"layer {node.name!r}: no spiking layer alone reads it directly; put a ReLU or IAF behind it "
                    "(add_spiking_output=True for the last layer)"
                )
        elif isinstance(node, Iaf) and not isinstance(graph[graph.sources(node.name)[0]], Conv2d):
            yield f"layer {node.name!r}: a spiking layer needs a convolution or linear layer directly before it"
    for output in graph.outputs:
        node = graph[output]
        if isinstance(node, SumPool2d):
            yield f"layer {output!r}: nothing reads this pooling; remove it, or add a layer behind it"
        elif not isinstance(node, Iaf | Conv2d):
            name = graph.sources(output)[0] if isinstance(node, Scale) else output
            yield f"layer {name!r}: the network's answer has to come from spiking neurons; remove this, or add a layer behind it"


def _way_refusal(graph: Graph, name: str) -> str:
    node: Node = graph[name]
    if isinstance(node, Conv2d):
        return f"layer {name!r}: no spiking layer reads it directly; put a ReLU or IAF behind it (add_spiking_output=True for the last layer)"
    return f"layer {name!r}: {type(node).__name__} should have been lowered"
