"""Small NIR graphs, and what tests ask of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.nir import from_nir
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import interpret
from chipflow.ir.nodes import Add, AvgPool2d, BatchNorm, Conv2d, Flatten, Iaf, Input, Linear, Node, Scale, SumPool2d

nir = pytest.importorskip("nir", reason="nir is an extra: pip install -e '.[nir]'")

SHAPE = (2, 6, 6)


def rasters(graph: Graph, steps: int = 6, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {node.name: rng.poisson(0.6, (steps, *node.shape)) for node in graph.inputs}


def answers(graph: Graph) -> list[Any]:
    """The values of its outputs on a fixed raster, in order."""
    values = interpret(graph, rasters(graph))
    return [values[name] for name in graph.outputs]


def assert_same_answers(a: Graph, b: Graph) -> None:
    for mine, theirs in zip(answers(a), answers(b), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def network(nodes: dict[str, Any], shape: tuple[int, ...] | None = SHAPE, edges: list[tuple[str, str]] | None = None) -> Any:
    """Input 'in', the nodes one after the other unless there are edges, Output 'out'."""
    names = ["in", *nodes, "out"]
    ends = {"in": nir.Input({"input": None if shape is None else np.array(shape)}), "out": nir.Output(np.array([1]))}
    return nir.NIRGraph({"in": ends["in"], **nodes, "out": ends["out"]}, edges or list(itertools.pairwise(names)))


def conv(features: int = 3, channels: int = 2, size: int = 3, seed: int = 0, **options: Any) -> Any:
    weight = np.random.default_rng(seed).normal(0.1, 0.4, (features, channels, size, size))
    defaults = {"input_shape": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(features)}
    return nir.Conv2d(**{"weight": weight, **defaults, **options})


def neuron(shape: tuple[int, ...] = SHAPE, threshold: float = 1.0, r: float = 1.0, **options: Any) -> Any:
    return nir.IF(r=np.full(shape, r), v_threshold=np.full(shape, threshold), **options)


def with_fields(node: Any, **fields: Any) -> Any:
    """The node, with values that its own constructor would not take."""
    for name, value in fields.items():
        setattr(node, name, value)
    return node


def refusal(source: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(UnsupportedModelError) as caught:
        from_nir(source, *arguments, **options)
    return str(caught.value)


def two_ports() -> Any:
    inputs = {name: nir.Input(np.array(SHAPE)) for name in ("x", "y")}
    edges = [("x", "sum"), ("y", "sum"), ("sum", "z")]
    return nir.NIRGraph({**inputs, "sum": neuron(), "z": nir.Output(np.array(SHAPE))}, edges)


class Builder:
    """A random graph, node by node."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        count = int(self.rng.integers(1, 3))
        self.nodes: list[Node] = [Input(f"in{i}", (2, 8, 8)) for i in range(count)]
        self.edges: list[tuple[str, str]] = []
        self.shapes: dict[str, tuple[int, ...]] = {node.name: (2, 8, 8) for node in self.nodes}

    def add(self, node: Node, *sources: str) -> None:
        self.nodes.append(node)
        self.edges += [(source, node.name) for source in sources]
        self.shapes[node.name] = node.output_shape(*(self.shapes[source] for source in sources))

    def pick(self) -> str:
        """A map, rather a late one."""
        maps = [name for name, shape in self.shapes.items() if len(shape) == 3][-5:]
        return str(self.rng.choice(maps))

    def step(self, i: int) -> None:
        name, source = f"stage{i % 3}.{i}", self.pick()
        features, height, width = self.shapes[source]
        kind = self.rng.choice(["conv", "iaf", "iaf", "sum", "sum", "pool", "scale", "norm", "linear"])
        if kind == "conv":
            weight = self.rng.normal(0.05, 0.3, (int(self.rng.choice([2, features])), features, 3, 1))
            bias = self.rng.normal(0, 0.1, len(weight)) if self.rng.random() < 0.5 else None
            self.add(Conv2d(name, weight, bias, (1, int(self.rng.integers(1, 3))), (1, 0)), source)
        elif kind == "iaf":
            bound = [None, -1.0, 0.0][int(self.rng.integers(3))]
            self.add(Iaf(name, float(self.rng.uniform(0.2, 2)), bound, bool(self.rng.random() < 0.3)), source)
        elif kind == "sum":
            alike = [other for other, shape in self.shapes.items() if shape == self.shapes[source] and other != source]
            if alike:
                self.add(Add(name), source, *map(str, self.rng.permutation(alike)[:2]))
        elif kind == "pool" and min(height, width) >= 2:
            self.add((SumPool2d if self.rng.random() < 0.5 else AvgPool2d)(name, (2, 1)), source)
        elif kind == "scale":
            self.add(Scale(name, float(self.rng.uniform(0.5, 2))), source)
        elif kind == "norm":
            self.add(BatchNorm(name, self.rng.uniform(0.5, 2, features), np.zeros(features)), source)
        elif kind == "linear":
            self.add(Flatten(f"{name}.flat"), source)
            self.add(Linear(f"{name}.fc", self.rng.normal(0, 0.3, (3, features * height * width)), None), f"{name}.flat")

    def graph(self) -> Graph:
        for i in range(int(self.rng.integers(4, 16))):
            self.step(i)
        outputs = [str(name) for name in self.rng.permutation([node.name for node in self.nodes])[: self.rng.integers(1, 12)]]
        return Graph(self.nodes, self.edges, outputs)
