"""What is written as NIR comes back equal, from memory and from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.nir import from_nir, load, to_nir
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import (
    Add,
    AvgPool2d,
    BatchNorm,
    ChannelShift,
    Concat,
    Conv2d,
    Flatten,
    Iaf,
    Input,
    Linear,
    Node,
    Relu,
    Scale,
    Sensor,
    SumPool2d,
)
from tests.frontends.nir_networks import SHAPE, Builder, assert_same_answers

nir = pytest.importorskip("nir", reason="nir is an extra: pip install -e '.[nir]'")


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_come_back_equal(seed: int, tmp_path: Path) -> None:
    graph = Builder(seed).graph()
    written = to_nir(graph)
    nir.write(tmp_path / "net.nir", written)
    for read in (from_nir(written), from_nir(tmp_path / "net.nir")):
        assert read == graph
        assert_same_answers(read, graph)


def test_random_graphs_have_what_they_are_for() -> None:
    graphs = [Builder(seed).graph() for seed in range(40)]
    kinds = {type(node) for graph in graphs for node in graph.nodes}
    assert kinds == {Input, Conv2d, Linear, BatchNorm, Iaf, SumPool2d, AvgPool2d, Flatten, Add, Scale}
    assert any(len(graph.inputs) > 1 for graph in graphs)
    assert any(len(graph.outputs) > 10 for graph in graphs)


@pytest.mark.parametrize("bound", [None, 0.0, -0.5, np.int64(-3)])
@pytest.mark.parametrize("to_zero", [False, True])
def test_lower_bound_and_reset_survive_files_and_beat_the_options(bound: Any, to_zero: bool, tmp_path: Path) -> None:
    graph = Graph.chain([Input("in", SHAPE), Iaf("n", 2, bound, to_zero)])
    nir.write(tmp_path / "net.nir", to_nir(graph))
    assert load(tmp_path / "net.nir", reset="subtract" if to_zero else "zero", min_v_mem=-9.0) == graph


def test_a_simple_sum_is_several_edges_for_others_to_read() -> None:
    graph = Graph(
        [Input("in", SHAPE), Iaf("a", 1.0, None), Add("merge"), Iaf("b", 1.0, None)],
        [("in", "a"), ("a", "merge"), ("in", "merge"), ("merge", "b")],
    )
    written = to_nir(graph)
    assert list(written.nodes) == ["in", "a", "b", "output"]
    assert written.edges == [("in", "a"), ("a", "b"), ("in", "b"), ("b", "output")]
    assert from_nir(written) == graph
    written.metadata.clear()
    assert from_nir(written).sources("b") == ("b.sum",)


def test_a_shared_sum_is_a_scale_by_one() -> None:
    graph = Graph(
        [Input("in", SHAPE), Iaf("a", 1.0, None), Add("merge"), Iaf("b", 1.0, None)],
        [("in", "a"), ("a", "merge"), ("in", "merge"), ("merge", "b")],
        ["merge", "b"],
    )
    written = to_nir(graph)
    assert (written.nodes["merge"].scale == 1).all()
    written.metadata.clear()
    assert from_nir(written) == graph


def test_what_nir_writes_in_another_way_computes_the_same() -> None:
    graph = Graph.chain(
        [
            Input("output", SHAPE),
            Add("one term"),
            Scale("one", 1.0),
            BatchNorm("norm", np.array([2.0, 2.0]), np.zeros(2)),
            Conv2d("c", np.ones((1, 2, 3, 3)), np.zeros(1)),
            Iaf("n", 1, -1),
        ]
    )
    assert_same_answers(from_nir(to_nir(graph)), graph)


def test_types_are_those_that_nir_expects() -> None:
    graph = Graph.chain(
        [
            Input("in", SHAPE),
            Conv2d("c", np.ones((3, 2, 3, 3)), None),
            Iaf("n", 1.0, None),
            Scale("s", 0.5),
            Flatten("f"),
            Linear("l", np.ones((2, 48)), None),
        ]
    )
    assert to_nir(graph)._check_types()


@pytest.mark.parametrize(
    ("node", "field", "words"),
    [
        (Relu("x"), "type", "NIR has no ReLU"),
        (Concat("x"), "type", "NIR has no concatenation"),
        (ChannelShift("x", 1, 4), "type", "NIR has no shift"),
        (Sensor("x"), "type", "NIR has no sensor"),
        (BatchNorm("x", np.ones(2), np.ones(2)), "shift", "fold it"),
        (Iaf("x/y", 1.0, None), "name", "without '/'"),
        (Iaf(".", 1.0, None), "name", "rename"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Node) else None,
)
def test_what_nir_cannot_say(node: Node, field: str, words: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        to_nir(Graph.chain([Input("in", SHAPE), node, Relu("last")]))
    first, last = str(caught.value).splitlines()
    assert first.startswith(f"layer {node.name!r} ({type(node).__name__}), field {field!r}: ")
    assert words in first
    assert "'last' (Relu)" in last


def test_a_node_that_is_added_to_itself_cannot_be_said() -> None:
    graph = Graph([Input("in", SHAPE), Add("twice")], [("in", "twice"), ("in", "twice")])
    with pytest.raises(UnsupportedModelError, match=r"'twice' \(Add\), field 'edges': reads 'in' twice.*Scale of 2"):
        to_nir(graph)
