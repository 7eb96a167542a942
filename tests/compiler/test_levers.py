"""Advice that chains of layers have no use for, taken."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from chipflow import compile, fit
from chipflow.errors import CompileError, MappingError
from chipflow.events import events_to_raster, make_events
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import interpret
from chipflow.ir.nodes import Conv2d, Iaf, Input, Node
from hwconfig import synthetic_chip


def readers(source: str, count: int) -> tuple[list[Node], list[tuple[str, str]]]:
    """So many layers that read one node."""
    nodes: list[Node] = []
    edges: list[tuple[str, str]] = []
    for i in range(count):
        nodes += [Conv2d(f"b{i}", np.full((1, 2, 3, 3), 0.25), None), Iaf(f"nb{i}", 1.0, -1.0)]
        edges += [(source, f"b{i}"), (f"b{i}", f"nb{i}")]
    return nodes, edges


def fanned_out(relay: bool) -> Graph:
    """A layer with three readers; with `relay` two of them read a layer that copies it."""
    nodes, edges = readers("na", 3)
    first: list[Node] = [Input("input", (2, 8, 8)), Conv2d("a", np.full((2, 2, 3, 3), 0.25), None), Iaf("na", 1.0, -1.0)]
    if relay:
        first += [Conv2d("a.copy", np.eye(2)[:, :, None, None], None), Iaf("nc", 1.0, -1.0)]
        edges = [("nc", target) if source == "na" and target != "b0" else (source, target) for source, target in edges]
        edges += [("na", "a.copy"), ("a.copy", "nc")]
    return Graph([*first, *nodes], [("input", "a"), ("a", "na"), *edges], [f"nb{i}" for i in range(3)])


def test_a_layer_with_too_many_readers_may_be_copied() -> None:
    with pytest.raises(MappingError) as caught:
        compile(fanned_out(relay=False))
    report = caught.value.report
    assert report is not None
    assert [(found.source, found.needed, found.allowed) for found in report.fan_out] == [("a", 3, 2)]
    (lever,) = report.levers
    assert (lever.kind, lever.layer, lever.value, lever.sufficient) == ("relay", "a", 1, True)
    program = compile(fanned_out(relay=True))
    rng = np.random.default_rng(0)
    events = make_events(rng.integers(0, 8, 500), rng.integers(0, 8, 500), np.arange(500) * 40, rng.integers(0, 2, 500))
    expected = interpret(fanned_out(relay=False), events_to_raster(events, (2, 8, 8), 1000, 20_000))
    result = program.run(events, duration=20_000)
    for i in range(3):
        assert expected[f"nb{i}"].sum() > 0
        np.testing.assert_array_equal(result.counts(f"b{i}"), expected[f"nb{i}"].sum(0))


def test_the_sensor_may_be_copied() -> None:
    nodes, edges = readers("input", 3)
    with pytest.raises(MappingError) as caught:
        compile(Graph([Input("input", (2, 8, 8)), *nodes], edges), sensor=True)
    assert caught.value.report is not None
    assert [(lever.kind, lever.sufficient) for lever in caught.value.report.levers] == [("relay", True)]


def test_more_readers_than_cores_can_copy_for_are_not_promised_anything() -> None:
    nodes, edges = readers("na", 7)
    first: list[Node] = [Input("input", (2, 8, 8)), Conv2d("a", np.full((2, 2, 3, 3), 0.25), None), Iaf("na", 1.0, -1.0)]
    with pytest.raises(MappingError) as caught:
        compile(Graph([*first, *nodes], [("input", "a"), ("a", "na"), *edges]))
    assert caught.value.report is not None
    assert not any(lever.sufficient for lever in caught.value.report.levers)


def wide(features: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 16, 3, padding=1, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4096, features)
    )


def test_features_of_a_layer_that_is_read_out_are_those_of_the_user() -> None:
    with pytest.raises(MappingError) as caught:
        fit(wide(10), "speck2f", (2, 32, 32), readout=True, split=False)
    assert caught.value.report is not None
    lever = next(lever for lever in caught.value.report.levers if (lever.kind, lever.layer) == ("features", "4"))
    assert "now 10" in lever.words
    assert lever.sufficient
    assert fit(wide(int(str(lever.value))), "speck2f", (2, 32, 32), readout=True, split=False).placement


def test_only_chips_with_the_blocks_asked_for_are_proposed() -> None:
    small = synthetic_chip([(64, 64, 64)])
    for options, missing in (({"readout": True}, {"dynapcnn", "speck2b"}), ({}, set())):
        with pytest.raises(MappingError) as caught:
            fit(nn.Sequential(nn.Flatten(), nn.Linear(256, 4)), small, (1, 16, 16), **options)
        assert caught.value.report is not None
        proposed = {lever.value for lever in caught.value.report.levers if lever.kind == "chip"}
        assert "speck2f" in proposed
        assert not proposed & missing
        assert missing or "dynapcnn" in proposed


def test_an_answer_without_neurons_that_is_read_further_on_is_refused() -> None:
    nodes = [Input("input", (4,)), *(Conv2d(name, np.ones((4, 4, 1, 1)), None) for name in "ab")]
    with pytest.raises(CompileError, match="answer of the network"):
        compile(Graph([Input("input", (4, 1, 1)), *nodes[1:]], [("input", "a"), ("a", "b")], ["a", "b"]))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"monitor": "4"}, "list"),
        ({"recording": make_events([], [], [], [])}, "speed"),
        ({"quantization": "best"}, "search"),
        ({"layer2core_map": [1, 2]}, "auto"),
        ({"time_step_us": 0}, "at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(options: dict[str, object], word: str) -> None:
    with pytest.raises(CompileError, match=word):
        compile(wide(4), "speck2f", (2, 32, 32), **options)  # type: ignore[arg-type]
