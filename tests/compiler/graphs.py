"""Random graphs as frontends give them: branches, sums, concatenations, pools of all sizes; the same for the same seed.

All numbers are multiples of small powers of two, so that sums are exact in any order. Where averages over thirds make them inexact, thresholds
are numbers that no sum meets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import (
    Add,
    Array,
    AvgPool2d,
    BatchNorm,
    Concat,
    Conv2d,
    Flatten,
    Iaf,
    Input,
    Linear,
    Node,
    Pair,
    Relu,
    Scale,
    Sensor,
    Shape,
    SumPool2d,
    Weighted,
)
from chipflow.ir.rewrite import Rewrite
from chipflow.passes.agreement import weighted_layers


@dataclass(frozen=True)
class Style:
    """What may occur.

    Attributes:
        spiking: neurons are Iaf, else Relu.
        signed: weights of both signs, and biases, lower bounds and resets of all kinds; else all is above 0, and neurons subtract.
        thirds: average pools by 3, too.
        legal: only what cores can do: pools between layers have equal sides that destinations have.
        layers: at most so many.
    """

    spiking: bool = True
    signed: bool = True
    thirds: bool = False
    legal: bool = False
    layers: int = 6


INEXACT = 0.7310585786300049
"""A threshold that no sum of multiples of 1/64 and 1/9 meets."""


def random_graph(seed: int, style: Style) -> Graph:
    """A network of a few layers."""
    builder = Builder(seed, style)
    builder.begin()
    wanted = builder.rng.randint(1, style.layers)
    for _ in range(4 * wanted):
        if len(builder.neurons) < wanted:
            builder.attempt(builder.rng.choice(builder.moves))
    while not builder.neurons:
        builder.attempt(builder.layer)
    return builder.graph()


def random_layer(seed: int, *, biased: bool = False) -> Graph:
    """One layer of spiking neurons, on one input or two, through whatever becomes part of its convolution.

    Args:
        seed: of everything.
        biased: all weights and biases are above 0, and neurons subtract; else there are no biases.
    """
    builder = Builder(seed, Style(signed=not biased, legal=True, layers=1), has_bias=biased)
    builder.begin()
    while not builder.neurons:
        builder.attempt(
            builder.rng.choice(
                [builder.layer, builder.layer, builder.sum_of_convs, builder.residual, builder.linear, builder.identity]
            )
        )
    return builder.graph()


class Builder:
    """A graph that grows by moves; a move that does not fit leaves it as it was.

    Attributes:
        rng, numbers: all chance.
        neurons: names of Relu or Iaf nodes.
    """

    def __init__(self, seed: int, style: Style, has_bias: bool | None = None) -> None:
        self.rng = Random(f"{seed} {style}")
        self.numbers = np.random.default_rng(self.rng.getrandbits(32))
        self.style, self.has_bias = style, has_bias
        self.neurons: list[str] = []
        self._nodes: dict[str, Node] = {}
        self._edges: list[tuple[str, str]] = []
        self._shapes: dict[str, Shape] = {}
        self._spikes: list[str] = []  # what a layer can read
        once, often = (self.linear, self.identity, self.sum_of_spikes), (self.layer, self.layer)
        self.moves: list[Callable[[], None]] = [*once, *often, self.residual, self.sum_of_convs, self.twins, self.concat]

    def begin(self) -> None:
        """One input or two, of equal maps, or one behind a sensor."""
        shape = self.rng.randint(1, 3), self.rng.randint(4, 12), self.rng.randint(4, 12)
        if self.rng.random() < 0.4:
            shape = shape[0], shape[1], shape[1]
        kind = self.rng.random()
        if kind < 0.25:
            sensor = self._add(self._sensor(), self._add(Input("input", (self.rng.choice([2, 2, 1]), *shape[1:]))))
            self._spikes.append(sensor)
            if self.rng.random() < 0.7:
                self.attempt(self._pool_first)
            return
        self._spikes.append(self._add(Input("input", shape)))
        if kind < 0.4:
            self._spikes.append(self._add(Input("other", (self.rng.randint(1, 3), *shape[1:]))))

    def attempt(self, move: Callable[[], None]) -> None:
        """Makes the move, or none of it."""
        saved = dict(self._nodes), list(self._edges), dict(self._shapes), list(self._spikes), list(self.neurons)
        try:
            move()
        except ValueError:
            self._nodes, self._edges, self._shapes, self._spikes, self.neurons = saved

    def graph(self) -> Graph:
        """All of it; its outputs are what nothing reads, sometimes a layer in the middle as well."""
        self.attempt(self._tail)
        read = {source for source, _ in self._edges}
        ends = [name for name in self._nodes if name not in read and not isinstance(self._nodes[name], Input | Sensor)]
        outputs = [name for name in ends if name in self.neurons or not self.style.spiking]
        inner = [name for name in self.neurons if name not in outputs]
        if inner and (not outputs or self.rng.random() < 0.15):
            outputs.append(self.rng.choice(inner))
        self.rng.shuffle(outputs)
        return Graph(self._nodes.values(), self._edges, outputs)

    # --- moves ---

    def layer(self) -> None:
        """A convolution, normalised and pooled or not, and its neurons."""
        self._neuron(self._behind(self._conv(self._read())))

    def residual(self) -> None:
        """What a convolution of the same map makes, and the map itself."""
        source = self._read()
        kernel, features = self.rng.choice([1, 3]), self._shapes[source][0]
        conv = self._conv(source, features, (kernel, kernel), (1, 1), (kernel // 2, kernel // 2))
        self._neuron(self._add(Add(self._name("add")), *self._shuffled(self._behind(conv, pools=False), source)))

    def sum_of_convs(self) -> None:
        """Two convolutions that look at the same pixels, of one map or of two."""
        source = self._read()
        other = self.rng.choice([source, *self._of_map(self._shapes[source][1:])])
        features, kernel, padding, stride = self.rng.randint(1, 4), self._kernel(), self._padding(), self._stride()
        wider = self.rng.choice([0, 0, 1])
        one = self._conv(source, features, kernel, stride, padding)
        two = self._conv(other, features, (kernel[0] + 2 * wider, kernel[1]), stride, (padding[0] + wider, padding[1]))
        self._neuron(self._behind(self._add(Add(self._name("add")), one, two)))

    def twins(self) -> None:
        """Two layers of equal shape, which a sum of spikes can have."""
        source = self._read()
        geometry = self.rng.randint(1, 4), self._kernel(), self._stride(), self._padding()
        for _ in range(2):
            self._neuron(self._conv(source, *geometry))

    def sum_of_spikes(self) -> None:
        """Of two or three maps of the same shape, pooled in ways of their own."""
        source = self._read()
        same = [name for name in self._spikes if self._shapes[name] == self._shapes[source] and name != source]
        if not same:
            raise ValueError("nothing to add")
        added = self.rng.sample(same, min(len(same), self.rng.choice([1, 1, 2])))
        scaled = [self._scaled(name) for name in self._shuffled(source, *added)]
        self._spikes.append(self._add(Add(self._name("sum")), *scaled))

    def concat(self) -> None:
        """Of two or three maps of equal size, the input among them if it is one."""
        source = self._read()
        others = [name for name in self._of_map(self._shapes[source][1:]) if name != source]
        if not others:
            raise ValueError("nothing to concatenate")
        joined = self.rng.sample(others, min(len(others), self.rng.choice([1, 1, 2])))
        self._spikes.append(self._add(Concat(self._name("cat")), *self._shuffled(source, *joined)))

    def linear(self) -> None:
        """A linear layer on all of a map, or on a vector; another behind it or not."""
        source = self._add(Flatten(self._name("flat")), self._read())
        for _ in range(self.rng.choice([1, 1, 2]) if self.style.layers > 1 else 1):
            (inputs,), features = self._shapes[source], self.rng.randint(1, 5)
            name = self._name("linear")
            source = self._add(Linear(name, self._weights(features, inputs), self._biases(features)), source)
            source = self._neuron(self._normalised(source))

    def identity(self) -> None:
        """Neurons without a layer of their own."""
        self._neuron(self._read())

    def _tail(self) -> None:
        """What may stand at the end of an ANN."""
        if self.style.spiking or self.rng.random() < 0.4:
            return
        end = self._conv(self._read()) if self.rng.random() < 0.7 else self._read()
        if self.rng.random() < 0.3:
            self._add(Flatten(self._name("flat")), end)

    def _pool_first(self) -> None:
        """All that reads what is there now reads it pooled."""
        self._spikes = [self._pool(source) for source in self._spikes]

    # --- parts ---

    def _add(self, node: Node, *sources: str) -> str:
        self._shapes[node.name] = node.output_shape(*(self._shapes[source] for source in sources))
        self._nodes[node.name] = node
        self._edges.extend((source, node.name) for source in sources)
        return node.name

    def _name(self, wanted: str) -> str:
        """Sometimes one that a pass would like to have."""
        name = f"{wanted}{len(self._nodes)}"
        if self._nodes and self.rng.random() < 0.1:
            name = f"{self.rng.choice(list(self._nodes))}.{self.rng.choice(['scale', 'inputs', 'input', 'sum', 'spike_output'])}"
        return name if name not in self._nodes else f"{wanted}{len(self._nodes)}"

    def _shuffled(self, *names: str) -> list[str]:
        return self.rng.sample(names, len(names))

    def _of_map(self, size: Shape) -> list[str]:
        return [name for name in self._spikes if self._shapes[name][1:] == size]

    def _read(self) -> str:
        """Something with a map, pooled or not; the newest more often."""
        maps = [name for name in self._spikes if len(self._shapes[name]) == 3]
        source = self.rng.choice([*maps, maps[-1], maps[-1]])
        while self.rng.random() < 0.3:
            source = self._pool(source, between=True)
        return source

    def _scaled(self, source: str) -> str:
        return self._add(Scale(self._name("scale"), self.rng.choice([0.5, 2.0])), source) if self.rng.random() < 0.2 else source

    def _pool(self, source: str, between: bool = False) -> str:
        if self.rng.random() < 0.2 and between:
            return self._scaled(source)
        squares = self.style.legal and between and isinstance(self._nodes[source], Iaf)
        size = self.rng.choice([(2, 2), (2, 2), (1, 1)] if squares else [(2, 2), (2, 2), (1, 1), (2, 1), (3, 3), (1, 2)])
        average = self.rng.random() < 0.5 and (self.style.thirds or 3 not in size)
        kind = AvgPool2d if average else SumPool2d
        return self._add(kind(self._name("pool"), size), source)

    def _conv(
        self,
        source: str,
        features: int | None = None,
        kernel: Pair | None = None,
        stride: Pair | None = None,
        padding: Pair | None = None,
    ) -> str:
        features, kernel = features or self.rng.randint(1, 4), kernel or self._kernel()
        weight = self._weights(features, self._shapes[source][0], *kernel)
        geometry = stride or self._stride(), self._padding() if padding is None else padding
        return self._add(Conv2d(self._name("conv"), weight, self._biases(features), *geometry), source)

    def _kernel(self) -> Pair:
        """Square, or of sides that agree with it in being odd, mostly: others seldom fit into a square."""
        side = self.rng.randint(1, 4)
        if self.rng.random() < 0.75:
            return side, side
        return side, self.rng.choice([1, 3] if side % 2 else [2, 4]) if self.rng.random() < 0.8 else self.rng.randint(1, 4)

    def _stride(self) -> Pair:
        return self.rng.choice([(1, 1), (1, 1), (1, 1), (2, 2), (1, 2)])

    def _padding(self) -> Pair:
        return self.rng.choice([(0, 0), (0, 0), (1, 1), (2, 2), (0, 1), (2, 0)])

    def _behind(self, source: str, pools: bool = True) -> str:
        """Normalisation and pooling between a layer and its neurons."""
        source = self._normalised(source)
        while pools and self.rng.random() < 0.2:
            source = self._pool(source)
        return source

    def _normalised(self, source: str) -> str:
        if not isinstance(self._nodes[source], Weighted) or self.rng.random() < 0.7 or self.has_bias is False:
            return source
        features = self._shapes[source][0]
        scale = self.numbers.integers(-4 if self.style.signed else 1, 9, features) / 8
        shift = self.numbers.integers(-16 if self.style.signed else 1, 17, features) / 64
        return self._add(BatchNorm(self._name("norm"), scale, shift), source)

    def _neuron(self, source: str) -> str:
        name = self._name("neuron")
        self.neurons.append(self._add(self._iaf(name) if self.style.spiking else Relu(name), source))
        self._spikes.append(name)
        return name

    def _iaf(self, name: str) -> Iaf:
        threshold = INEXACT if self.style.thirds else self.rng.choice([0.5, 1.0, 1.0, 2.0])
        if not self.style.signed:
            return Iaf(name, threshold, None)
        bound = self.rng.choice([None, -threshold, -threshold, -0.25])
        return Iaf(name, threshold, bound, return_to_zero=self.rng.random() < 0.3)

    def _weights(self, *shape: int) -> Array:
        """More of them excite, so that spikes get through; few inputs have larger ones."""
        few = max(1, min(64, int(128 / np.prod(shape[1:]))))
        weight = self.numbers.integers(-few if self.style.signed else 1, 2 * few + 1, shape) / 64
        weight.flat[0] = 1.0
        return weight

    def _biases(self, features: int) -> Array | None:
        has = self.rng.random() < 0.3 if self.has_bias is None else self.has_bias
        return self.numbers.integers(-16 if self.style.signed else 1, 17, features) / 64 if has else None

    def _sensor(self) -> Sensor:
        flags = [self.rng.random() < 0.5 for _ in range(4)]
        pooling = self.rng.choice([(1, 1), (1, 1), (2, 1), (2, 2)])
        origin = self.rng.choice([(0, 0), (1, 0), (1, 1)])
        return Sensor(
            "sensor",
            merge=flags[0],
            swap=flags[1],
            mirror=(flags[2], flags[3]),
            pooling=pooling,
            origin=origin,
            on=self.rng.random() < 0.9,
        )


def with_high_thresholds(graph: Graph, lowered: Graph, seed: int, *, signed: bool) -> Graph:
    """The graph, in which no weight or bias lies beyond its layer's threshold, as `lowered` has them.

    Args:
        graph: a spiking one.
        lowered: the same after all passes in floats.
        seed: of the thresholds, and of lower bounds and resets if `signed`.
        signed: weights may be below 0.
    """
    rng, change = Random(seed), Rewrite(graph)
    for conv, neuron in weighted_layers(lowered).values():
        largest = max(np.abs(values).max() for values in (conv.weight, conv.bias) if values is not None)
        threshold = float(largest) * rng.choice([1.0, 1.0, 1.5, 2.7])
        bound = rng.choice([None, -0.5, -1.0, -2.3]) if signed else None
        change.replace(
            replace(
                neuron,
                threshold=threshold,
                lower_bound=None if bound is None else bound * threshold,
                return_to_zero=signed and rng.random() < 0.5,
            )
        )
    return change.done()


def random_rasters(graph: Graph, seed: int, steps: int = 6, most: int = 2) -> dict[str, Array]:
    """Spike counts for every input."""
    numbers = np.random.default_rng(seed)
    return {node.name: numbers.integers(0, most + 1, (steps, *node.shape)).astype(np.float64) for node in graph.inputs}


def one_event_rasters(graph: Graph, seed: int, steps: int) -> dict[str, Array]:
    """One event in each step, at one of the inputs."""
    numbers = np.random.default_rng(seed)
    rasters = {node.name: np.zeros((steps, *node.shape)) for node in graph.inputs}
    for step in range(steps):
        node = graph.inputs[numbers.integers(len(graph.inputs))]
        rasters[node.name][step, *(numbers.integers(0, side) for side in node.shape)] = 1
    return rasters
