"""What is read from NIR means what NIR says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chipflow.errors import ChipflowError
from chipflow.frontends.nir import from_nir
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    Iaf,
    Input,
    Linear,
    Node,
    Scale,
    SumPool2d,
)
from tests.frontends.nir_networks import SHAPE, assert_same_answers, conv, network, neuron, two_ports, with_fields

nir = pytest.importorskip("nir", reason="nir is an extra: pip install -e '.[nir]'")


def test_each_kind_of_node() -> None:
    read = from_nir(
        network(
            {
                "c": conv(padding=1, bias=np.array([1.0, 0.0, -1.0])),
                "n": neuron((3, 6, 6), 0.5),
                "p": nir.SumPool2d(2, 2, 0),
                "a": nir.AvgPool2d(np.array([3, 1]), np.array([3, 1]), np.array([0, 0])),
                "s": nir.Scale(np.full((3, 1, 3), 0.25)),
                "f": nir.Flatten({"input": np.array([3, 1, 3])}, 0, -1),
                "l": nir.Linear(np.ones((4, 9))),
                "m": nir.Affine(np.ones((2, 4)), np.array([0.5, 0.0])),
            }
        )
    )
    assert read == Graph.chain(
        [
            Input("in", SHAPE),
            Conv2d("c", conv().weight, np.array([1.0, 0.0, -1.0]), (1, 1), (1, 1)),
            Iaf("n", 0.5, -0.5),
            SumPool2d("p", (2, 2)),
            AvgPool2d("a", (3, 1)),
            Scale("s", 0.25),
            Flatten("f"),
            Linear("l", np.ones((4, 9)), None),
            Linear("m", np.ones((2, 4)), np.array([0.5, 0.0])),
        ]
    )
    assert read.outputs == ("m",)


@pytest.mark.parametrize(
    "two",
    [2, [2], (2, 2), [2, 2], np.int64(2), np.array(2), np.array([2, 2]), np.array([2.0]), torch.tensor(2), torch.tensor([2, 2])],
)
def test_pairs_may_be_scalars_lists_arrays_and_tensors(two: Any) -> None:
    nodes = {
        "c": with_fields(conv(), stride=two, padding=two),
        "p": with_fields(nir.SumPool2d(1, 1, 0), kernel_size=two, stride=two),
    }
    read = from_nir(network(nodes))
    assert (read["c"].stride, read["c"].padding, read["p"].size) == ((2, 2), (2, 2), (2, 2))  # type: ignore[attr-defined]


@pytest.mark.parametrize("as_type", [lambda a: a, lambda a: a.tolist(), torch.tensor, lambda a: nn.Parameter(torch.tensor(a))])
def test_weights_may_be_lists_arrays_and_tensors(as_type: Callable[[Any], Any]) -> None:
    weight, bias = np.arange(36.0).reshape(2, 2, 3, 3), np.array([1.0, 2.0])
    read = from_nir(network({"c": with_fields(conv(2), weight=as_type(weight), bias=as_type(bias))}))
    assert read["c"] == Conv2d("c", weight, bias)


@pytest.mark.parametrize(
    "half", [0.5, [0.5], np.array(0.5), np.full(SHAPE, 0.5), np.full(SHAPE, 0.5).tolist(), torch.full(SHAPE, 0.5)]
)
def test_thresholds_may_be_scalars_lists_arrays_and_tensors(half: Any) -> None:
    read = from_nir(network({"n": with_fields(neuron(), v_threshold=half, r=1)}))
    assert read["n"] == Iaf("n", 0.5, -0.5)


def test_one_bias_stands_for_all_features() -> None:
    read = from_nir(network({"c": with_fields(conv(), bias=0.5)}))
    assert read["c"] == Conv2d("c", conv().weight, np.full(3, 0.5))


@pytest.mark.parametrize(("padding", "expected"), [("valid", (0, 0)), (b"valid", (0, 0)), ("same", (1, 2)), (b"same", (1, 2))])
def test_padding_in_words(padding: Any, expected: tuple[int, int]) -> None:
    node = with_fields(conv(weight=np.ones((1, 2, 3, 5))), padding=padding, bias=0.0)
    assert from_nir(network({"c": node}))["c"] == Conv2d("c", np.ones((1, 2, 3, 5)), None, (1, 1), expected)


def test_padding_in_words_from_a_file(tmp_path: Path) -> None:
    nir.write(tmp_path / "net.nir", network({"c": conv(padding="same", input_shape=np.array((6, 6)))}))
    assert from_nir(tmp_path / "net.nir") == Graph.chain([Input("in", SHAPE), Conv2d("c", conv().weight, None, (1, 1), (1, 1))])


def test_a_gain_divides_threshold_and_bound() -> None:
    scaled = from_nir(network({"n": neuron(threshold=3.0, r=0.5)}), min_v_mem=-2.0)
    assert scaled["n"] == Iaf("n", 6.0, -4.0)
    before = Graph.chain([Input("in", SHAPE), Scale("r", 0.5), Iaf("n", 3.0, -2.0)])
    assert_same_answers(scaled, before)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Iaf("n", 2.0, -2.0)),
        ({"reset": "zero"}, Iaf("n", 2.0, -2.0, True)),
        ({"min_v_mem": None}, Iaf("n", 2.0, None)),
        ({"min_v_mem": -0.5, "reset": "subtract"}, Iaf("n", 2.0, -0.5)),
        ({"min_v_mem": 0}, Iaf("n", 2.0, 0.0)),
    ],
)
def test_reset_and_lower_bound_are_options(options: dict[str, Any], expected: Node) -> None:
    assert from_nir(network({"n": neuron(threshold=2.0)}), **options)["n"] == expected


def test_a_reset_to_zero_of_newer_versions_leaves_the_choice() -> None:
    """They fill it in where a file has none, so that it says nothing."""
    node = with_fields(neuron(), v_reset=np.zeros(SHAPE))
    assert from_nir(network({"n": node}))["n"] == Iaf("n", 1.0, -1.0)
    assert from_nir(network({"n": node}), reset="zero")["n"] == Iaf("n", 1.0, -1.0, True)


@pytest.mark.parametrize(
    "options", [{"reset": "hard"}, {"min_v_mem": 0.5}, {"min_v_mem": float("nan")}, {"min_v_mem": "threshold"}], ids=str
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ChipflowError, match=name):
        from_nir(network({"n": neuron()}), **options)


@pytest.mark.parametrize("scale", [np.array([1.0, 2.0]).reshape(2, 1, 1), np.array([1.0, 2.0])[:, None, None] * np.ones(SHAPE)])
def test_a_scale_for_each_feature_is_a_batch_normalisation(scale: Any) -> None:
    assert from_nir(network({"s": nir.Scale(scale)}))["s"] == BatchNorm("s", np.array([1.0, 2.0]), np.zeros(2))


def test_a_scale_for_each_feature_of_a_vector() -> None:
    read = from_nir(network({"s": nir.Scale(np.array([1.0, 2.0, 3.0]))}, (3,)))
    assert read["s"] == BatchNorm("s", np.array([1.0, 2.0, 3.0]), np.zeros(3))


@pytest.mark.parametrize(("start", "end"), [(0, -1), (0, 2), (-3, -1), (-3, 2)])
def test_flatten_counts_axes_without_a_batch(start: int, end: int) -> None:
    read = from_nir(network({"f": with_fields(nir.Flatten(None, 0, -1), start_dim=start, end_dim=end)}))
    assert read.shapes["f"] == (72,)


def test_several_edges_are_a_sum() -> None:
    nodes = {"a": conv(2, padding=1, seed=1), "b": conv(2, padding=1, seed=2), "n": neuron()}
    edges = [("in", "b"), ("in", "a"), ("b", "n"), ("a", "n"), ("in", "n"), ("n", "out")]
    read = from_nir(network(nodes, edges=edges))
    assert read["n.sum"] == Add("n.sum")
    assert read.sources("n.sum") == ("b", "a", "in")
    assert read.sources("n") == ("n.sum",)


def test_several_edges_into_an_output() -> None:
    nodes = {"a": neuron(threshold=1.0), "b": neuron(threshold=2.0)}
    read = from_nir(network(nodes, edges=[("in", "a"), ("in", "b"), ("a", "out"), ("b", "out")]))
    assert read.outputs == ("out.sum",)
    assert read.sources("out.sum") == ("a", "b")


def test_a_sum_finds_a_free_name() -> None:
    nodes = {"n.sum": neuron(), "n": neuron()}
    read = from_nir(network(nodes, edges=[("in", "n.sum"), ("n.sum", "n"), ("in", "n"), ("n", "out")]))
    assert read.sources("n") == ("n.sum_",)


def test_several_inputs_and_outputs() -> None:
    ends = {name: nir.Input(np.array(SHAPE)) for name in ("left", "right")} | {
        f"out{i}": nir.Output(np.array(SHAPE)) for i in (2, 1)
    }
    edges = [("left", "a"), ("right", "b"), ("a", "out2"), ("b", "out1")]
    read = from_nir(nir.NIRGraph({**ends, "a": neuron(), "b": neuron()}, edges), SHAPE)
    assert [node.name for node in read.inputs] == ["left", "right"]
    assert read.outputs == ("a", "b")


def test_without_outputs_those_that_nobody_reads() -> None:
    graph = nir.NIRGraph({"in": nir.Input(np.array(SHAPE)), "a": neuron(), "b": neuron()}, [("in", "a"), ("in", "b")])
    assert from_nir(graph).outputs == ("a", "b")


def nested() -> Any:
    """A block of conv and neuron in a block, used between two others, with a path around."""
    inner = network({"conv": conv(2, padding=1, input_shape=np.array((6, 6))), "if": neuron()})
    outer = network({"inner": inner, "if": neuron(threshold=2.0)})
    return network(
        {"block": outer, "last": neuron()}, edges=[("in", "block"), ("block", "last"), ("in", "last"), ("last", "out")]
    )


def test_nested_graphs_get_dotted_names(tmp_path: Path) -> None:
    nir.write(tmp_path / "net.nir", nested())
    for read in (from_nir(nested()), from_nir(tmp_path / "net.nir")):
        assert read.names == ("in", "block.inner.conv", "block.inner.if", "block.if", "last.sum", "last")
        assert read.sources("last.sum") == ("block.if", "in")
        assert_same_answers(
            read,
            Graph(
                [
                    Input("in", SHAPE),
                    Conv2d("c", conv(2).weight, None, (1, 1), (1, 1)),
                    Iaf("i", 1.0, -1.0),
                    Iaf("j", 2.0, -2.0),
                    Add("s"),
                    Iaf("k", 1.0, -1.0),
                ],
                [("in", "c"), ("c", "i"), ("i", "j"), ("j", "s"), ("in", "s"), ("s", "k")],
            ),
        )


def test_ports_of_nested_graphs_by_dotted_name() -> None:
    edges = [("in", "n"), ("n", "two.x"), ("in", "two.y"), ("two", "out")]
    read = from_nir(network({"n": neuron(), "two": two_ports()}, edges=edges))
    assert read.sources("two.sum.sum") == ("n", "in")
    assert read.outputs == ("two.sum",)


def test_the_inputs_shape_may_be_given() -> None:
    assert from_nir(network({"n": neuron()}, None), SHAPE) == from_nir(network({"n": neuron()}), list(SHAPE))  # type: ignore[arg-type]
