"""What a core cannot compute exactly, and files that are no NIR, are refused with node and field."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.nir import from_nir, load, to_nir
from tests.frontends.nir_networks import SHAPE, Builder, conv, network, neuron, refusal, two_ports, with_fields
from tests.processes import python

nir = pytest.importorskip("nir", reason="nir is an extra: pip install -e '.[nir]'")
h5py = pytest.importorskip("h5py", reason="comes with nir")

DIFFERENT = np.arange(1.0, 73.0).reshape(SHAPE)
VECTOR = np.ones(72)

REFUSED: list[tuple[str, Callable[[], Any], str, str]] = [
    ("lif", lambda: nir.LIF(0.02 * VECTOR, VECTOR, VECTOR * 0, VECTOR), "tau", "0.02; no neuron of a core leaks"),
    ("lif, infinite tau", lambda: nir.LIF(np.inf * VECTOR, VECTOR, VECTOR * 0, VECTOR), "tau", "inf; .* use IF"),
    ("cubalif", lambda: nir.CubaLIF(VECTOR, DIFFERENT.ravel(), VECTOR, VECTOR, VECTOR), "tau_mem", "1 to 72 in shape .* use IF"),
    ("li", lambda: nir.LI(VECTOR, VECTOR, VECTOR), "tau", "spikes only: use IF"),
    ("i", lambda: nir.I(VECTOR), "r", "spikes only: use IF"),
    ("threshold", lambda: nir.Threshold(VECTOR), "threshold", "keep a state: use IF"),
    ("delay", lambda: nir.Delay(2 * VECTOR), "delay", "2; .*leave the delay out"),
    ("conv1d", lambda: nir.Conv1d(None, np.ones((1, 2, 3)), 1, 0, 1, 1, np.zeros(1)), "weight", "use Conv2d on a map of height 1"),
    ("unknown", lambda: type("Resonate", (), {"input_type": None})(), "type", "Resonate is not supported .*Conv2d"),
    ("groups", lambda: conv(2, 1, groups=2), "groups", "2; .*use groups 1"),
    ("dilation", lambda: conv(dilation=(1, 2)), "dilation", r"\(1, 2\); .*use dilation 1"),
    ("stride", lambda: conv(stride=0), "stride", "0.* of at least 1"),
    ("half a stride", lambda: conv(stride=(1, 0.5)), "stride", "whole numbers"),
    ("padding", lambda: conv(padding=-1), "padding", "of at least 0"),
    ("three paddings", lambda: conv(padding=[1, 1, 1]), "padding", "one or two"),
    ("padding in words", lambda: with_fields(conv(), padding="full"), "padding", "'full'; use 'valid'"),
    ("same, stride 2", lambda: conv(padding="same", stride=2), "padding", r"'same' with stride \(2, 2\)"),
    ("same, even", lambda: conv(size=4, padding="same"), "padding", "use an odd kernel"),
    ("conv's weight", lambda: conv(weight=np.ones((2, 3))), "weight", r"\(2, 3\); 4 axes"),
    ("no weight", lambda: conv(weight=None), "weight", "missing"),
    ("ragged weight", lambda: conv(weight=[[1], [1, 2]]), "weight", "numbers are needed"),
    ("words", lambda: conv(weight="abc"), "weight", "'abc'; numbers"),
    ("nan", lambda: conv(weight=np.full((1, 2, 1, 1), np.nan)), "weight", "not finite"),
    ("empty", lambda: conv(weight=np.zeros((0, 2, 1, 1))), "weight", "empty"),
    ("bias", lambda: conv(bias=np.ones(2)), "bias", "each of 3 features"),
    ("conv's input", lambda: conv(input_shape=(5, 6)), "input_shape", r"\(5, 6\), but its input has shape \(2, 6, 6\)"),
    ("channels", lambda: conv(channels=3), "", "a convolution of 3 channels got an input of shape"),
    ("linear on a map", lambda: nir.Linear(np.ones((2, 72))), "", "flatten first"),
    ("affine's weight", lambda: nir.Affine(np.ones((2, 3, 4)), np.ones(3)), "weight", "2 axes"),
    ("thresholds", lambda: nir.IF(np.ones(SHAPE), DIFFERENT), "v_threshold", "1 to 72 .*differ; .*into the weights"),
    ("gains", lambda: nir.IF(DIFFERENT, np.ones(SHAPE)), "r", "1 to 72 .*differ"),
    ("threshold of 0", lambda: neuron(threshold=0.0), "v_threshold", "0; it must be above 0"),
    ("gain of -1", lambda: neuron(r=-1.0), "r", "-1; it must be above 0"),
    ("neurons' shape", lambda: with_fields(neuron((3, 6, 6)), r=1.0), "v_threshold", r"\(3, 6, 6\), but its input has shape \(2, 6, 6\)"),
    ("reset", lambda: with_fields(neuron(), v_reset=np.full(SHAPE, -0.5)), "v_reset", "-0.5; .*use v_reset = 0"),
    ("resets", lambda: with_fields(neuron(), v_reset=-DIFFERENT), "v_reset", "-72 to -1 .*differ"),
    ("metadata", lambda: neuron(metadata={"chipflow": {"reset": "soft"}}), "metadata", "'soft'.*'subtract' or 'zero'"),
    ("bound", lambda: neuron(metadata={"chipflow": {"lower_bound": 1.0}}), "metadata", "at most 0"),
    ("bounds", lambda: neuron(metadata={"chipflow": {"lower_bound": -DIFFERENT}}), "metadata", "at most 0"),
    ("pool's stride", lambda: nir.SumPool2d(3, 2, 0), "stride", r"\(2, 2\); .*use kernel_size \(3, 3\)"),
    ("pool's padding", lambda: nir.AvgPool2d(2, 2, [0, 1]), "padding", r"\(0, 1\); .*use 0"),
    ("pool's kernel", lambda: nir.AvgPool2d(None, 2, 0), "kernel_size", "None; one or two whole numbers"),
    ("large pool", lambda: nir.AvgPool2d(7, 7, 0), "", "leaves nothing"),
    ("flatten from 1", lambda: nir.Flatten(None, 1, -1), "start_dim", r"1 of input shape \(2, 6, 6\); .*use 0"),
    ("flatten to 1", lambda: nir.Flatten(None, 0, 1), "end_dim", "1 of input shape .*use -1"),
    ("flatten to half", lambda: nir.Flatten(None, 0, 0.5), "end_dim", "0.5; a whole number"),
    ("flatten's input", lambda: nir.Flatten(np.array([72]), 0, -1), "input_type", r"\(72,\), but its input"),
    ("scales", lambda: nir.Scale(DIFFERENT), "scale", "1 to 72 .*differ within a feature"),
    ("scale's shape", lambda: nir.Scale(np.array([1.0, 2.0])), "scale", r"\(2,\), but its input has shape"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "field", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_node_and_field(make: Callable[[], Any], field: str, words: str) -> None:
    node = make()
    message = refusal(network({"block.7": node}))
    where = f"layer 'block.7' ({type(node).__name__}){f', field {field!r}' if field else ''}: "
    assert message.startswith(where)
    assert "\n" not in message
    assert re.search(words, message)


EDGES: list[tuple[str, Callable[[], Any], str]] = [
    (
        "loop",
        lambda: network({"a": neuron(), "b": neuron()}, edges=[("in", "a"), ("a", "b"), ("b", "a"), ("b", "out")]),
        "field 'edges': layers form a loop: a -> b;",
    ),
    (
        "loop of a neuron on itself",
        lambda: network({"a": neuron()}, edges=[("in", "a"), ("a", "a"), ("a", "out")]),
        "field 'edges': layers form a loop: a;",
    ),
    (
        "nowhere",
        lambda: network({"a": neuron()}, edges=[("in", "a"), ("a", "b"), ("a", "out")]),
        "layer 'b', field 'edges': an edge names it, but there is no such node",
    ),
    (
        "twice",
        lambda: network({"a": neuron()}, edges=[("in", "a"), ("in", "a"), ("a", "out")]),
        "layer 'a', field 'edges': 'in' -> 'a' is there twice",
    ),
    (
        "reads nothing",
        lambda: network({"a": neuron(), "b": neuron()}, edges=[("in", "a"), ("b", "out")]),
        "layer 'b' (IF), field 'edges': reads nothing",
    ),
    (
        "output reads nothing",
        lambda: network({"a": neuron()}, edges=[("in", "a")]),
        "layer 'out' (Output), field 'edges': reads nothing",
    ),
    (
        "into an input",
        lambda: network({"a": neuron(), "b": nir.Input(np.array(SHAPE))}, edges=[("in", "a"), ("a", "b"), ("a", "out")]),
        "layer 'b' (Input), field 'edges': reads 'a'",
    ),
    (
        "out of an output",
        lambda: network({"a": neuron()}, edges=[("in", "out"), ("out", "a")]),
        "layer 'out' (Output), field 'edges': is read by another node",
    ),
    (
        "ambiguous ports",
        lambda: network({"two": two_ports()}),
        "layer 'two' (NIRGraph), field 'nodes': 2 Input nodes (two.x, two.y)",
    ),
    (
        "open port",
        lambda: network({"two": two_ports()}, edges=[("in", "two.x"), ("two", "out")]),
        "layer 'two.y' (Input), field 'edges': reads nothing",
    ),
    (
        "one name for two",
        lambda: network({"two": two_ports(), "two.sum": neuron()}, edges=[("in", "two.x"), ("in", "two.y"), ("two", "out")]),
        "layer 'two.sum', field 'nodes': two nodes have this name",
    ),
    (
        "terms of two shapes",
        lambda: network({"a": conv(2), "b": neuron()}, edges=[("in", "a"), ("a", "b"), ("in", "b"), ("b", "out")]),
        "layer 'b.sum' (Add): adds inputs of shapes (2, 4, 4) and (2, 6, 6)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [row[1:] for row in EDGES], ids=[row[0] for row in EDGES])
def test_edges_that_are_refused(make: Callable[[], Any], words: str) -> None:
    assert words in refusal(make())


def test_loops_through_nested_graphs_name_the_nodes_inside() -> None:
    cell = network({"lif": neuron(), "w": nir.Scale(np.ones(SHAPE))})
    cell.edges = [("in", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "out")]
    assert "layers form a loop: rnn.lif -> rnn.w" in refusal(network({"rnn": cell}))


def test_all_refusals_at_once() -> None:
    nodes = {
        "a": conv(groups=2, dilation=3, padding="same", stride=2),
        "b": nir.LIF(VECTOR, VECTOR, VECTOR, VECTOR),
        "c": nir.Delay(VECTOR),
    }
    lines = refusal(network(nodes, edges=[("in", "a"), ("a", "b"), ("b", "c"), ("c", "b"), ("b", "out")])).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "field 'edges'",
        "layer 'a' (Conv2d), field 'dilation'",
        "layer 'a' (Conv2d), field 'groups'",
        "layer 'a' (Conv2d), field 'padding'",
        "layer 'b' (LIF), field 'tau'",
        "layer 'c' (Delay), field 'delay'",
    ]


def test_nothing_follows_from_a_refusal_further_up() -> None:
    nodes = {"a": conv(groups=2), "s": nir.Scale(np.arange(6.0)), "f": nir.Flatten(None, 1, -1), "l": nir.Linear(np.ones((2, 3)))}
    assert len(refusal(network(nodes)).splitlines()) == 1


@pytest.mark.parametrize(
    ("shape", "given", "words"),
    [
        (SHAPE, (2, 6, 7), r"(2, 6, 6), but input_shape is (2, 6, 7)"),
        (None, None, "states no shape; give input_shape"),
        ((2, 0, 6), None, "a shape without batch and time axes is needed"),
    ],
)
def test_shapes_of_inputs(shape: Any, given: Any, words: str) -> None:
    message = refusal(network({"n": neuron(shape or SHAPE)}, shape), given)
    assert message.startswith("layer 'in' (Input), field 'input_type': ")
    assert words in message


def test_a_node_is_no_graph() -> None:
    assert refusal(neuron()) == "source is a IF, a NIRGraph is needed"


def test_files_that_are_no_nir(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    path.write_bytes(b"no HDF5")
    assert refusal(path).startswith(f"{path}: not a NIR file that nir {nir.version} reads (OSError")
    with h5py.File(path, "w") as file:
        file["x"] = 1
    assert refusal(str(path)).startswith(f"{path}: not a NIR file that nir {nir.version} reads (KeyError")
    nir.write(path, neuron())
    assert refusal(path) == f"{path}: holds a IF, a NIRGraph is needed"
    nir.write(path, network({"n": neuron()}))
    path.write_bytes(path.read_bytes()[:3000])
    assert refusal(path).startswith(f"{path}: not a NIR file")
    assert refusal(tmp_path / "none.nir") == f"{tmp_path / 'none.nir'}: no such file"


def test_a_file_with_a_field_that_is_not_known_yet(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    nir.write(path, network({"n": neuron()}))
    with h5py.File(path, "a") as file:
        file["node/nodes/n/v_charm"] = np.ones(SHAPE)
    message = refusal(path)
    assert message.startswith(f"{path}: not a NIR file")
    assert "v_charm" in message
    assert f"written by nir {nir.version}" in message


def test_load_is_from_nir_of_a_path(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    nir.write(path, network({"n": neuron()}, (2, 6, 6)))
    assert load(str(path), SHAPE, reset="zero", min_v_mem=None) == from_nir(path, reset="zero", min_v_mem=None)


@pytest.mark.parametrize("call", ["load('pyproject.toml')", "to_nir(None)"])
def test_without_the_package_it_says_how_to_get_it(call: str) -> None:
    done = python(
        f"import chipflow.frontends.nir as n\ntry:\n    n.{call}\nexcept Exception as e:\n    print(e)", blocked=("nir",)
    )
    assert done.stdout == "NIR needs the nir package: pip install 'chipflow[nir]'\n", done.stderr


def test_a_graph_in_memory_is_read_without_the_package() -> None:
    """What is read is told by the names of classes and fields, as they come from whatever version of nir."""
    code = """
import chipflow.frontends.nir as n
def make(name, **fields):
    return type(name, (), fields)()
nodes = {"in": make("Input", input_type=(2, 6, 6)), "n": make("IF", v_threshold=2), "out": make("Output")}
print(n.from_nir(make("NIRGraph", nodes=nodes, edges=[("in", "n"), ("n", "out")])))
"""
    done = python(code, blocked=("nir", "h5py", "torch"))
    assert done.stdout == "Graph( -> in:Input; in -> n:Iaf)\n", done.stderr


# --- anything at all ------------------------------------------------------------------------------------------------------------

STRANGE: list[Any] = [
    None, "abc", b"\xff", True, -1, 0, 2, 3.5, 1j, np.nan, np.inf, [], [[1], [1, 2]], {}, {"a": 1}, (1, 2, 3, 4), object(),
    np.zeros(0), np.array(1.0), np.arange(3.0), np.ones((2, 8, 8)), np.array(["a"]),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_fields_hold_it_is_read_or_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def strange() -> Any:
        return STRANGE[rng.integers(len(STRANGE))]

    for case in range(40):
        graph = to_nir(Builder(int(rng.integers(1000))).graph())
        names = list(graph.nodes)
        node = graph.nodes[names[rng.integers(len(names))]]
        fields = list(vars(node))
        setattr(node, fields[rng.integers(len(fields))], strange())
        if case % 4 == 0:
            graph.edges.append((str(rng.choice(names)), str(rng.choice(names))))
        if case % 4 == 1:
            graph.edges.pop()
        if case % 8 == 2:
            graph.metadata["chipflow"] = strange()
        if case % 8 == 3:
            graph.metadata["chipflow"] = {"order": strange(), "sums": strange()}
        with contextlib.suppress(UnsupportedModelError):
            from_nir(graph)
