"""A layer in parts over several cores computes, for each event it receives, what the whole layer computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipflow import Program, compile
from chipflow.errors import MappingError
from chipflow.events import EventArray, RunResult, make_events
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Concat, Conv2d, Iaf, Input, SumPool2d
from hwconfig import ChipSpec, ReadoutConfig, get_chip, synthetic_chip

LARGE = (1 << 20, 1 << 20, 1 << 10)


def chip(*memories: tuple[int, int, int]) -> ChipSpec:
    """Cores with these words of kernel, neuron and bias memory."""
    return synthetic_chip(list(memories))


SMALL_AND_LARGE = chip((1 << 14, 4 * 64, 0), (1 << 14, 4 * 64, 0), LARGE)


def one_event_a_step(rng: np.random.Generator, shape: tuple[int, int, int], count: int) -> EventArray:
    """Events at times of their own, so that what each causes can be told apart."""
    p, y, x = (rng.integers(0, side, count) for side in shape)
    return make_events(x, y, np.arange(count) * 10, p)


def conv(rng: np.random.Generator, name: str, features: int, channels: int, size: int, **options: tuple[int, int]) -> Conv2d:
    weight = rng.normal(0.15, 0.4, (features, channels, size, size))
    weight[0, 0, 0, 0] = 0.7
    return Conv2d(name, weight, None, **options)


def same_spikes_per_event(one: RunResult, other: RunResult, layer: str) -> None:
    """As sets for each event: only the order among them may differ."""
    fields = ["t", "p", "y", "x"]
    np.testing.assert_array_equal(*(np.sort(result.spikes(layer)[fields], order=fields) for result in (one, other)))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), features=st.integers(2, 12), room=st.integers(1, 6), bias=st.booleans())
def test_the_parts_together_emit_the_spikes_of_the_whole_layer(seed: int, features: int, room: int, bias: bool) -> None:
    rng = np.random.default_rng(seed)
    first = conv(rng, "a", features, 2, 3, padding=(1, 1))
    if bias:
        first = Conv2d("a", first.weight, rng.normal(0, 0.2, features), first.stride, first.padding)
    graph = Graph.chain([Input("input", (2, 6, 6)), first, Iaf("n", 1.0, -1.0)])
    whole = compile(graph, chip(LARGE), monitor=["a"])
    parts = -(-features // room)
    split = compile(graph, chip(*[(LARGE[0], 64 * room, LARGE[2])] * parts), monitor=["a"])
    assert len(split.parts["a"]) == parts
    events = one_event_a_step(rng, (2, 6, 6), 200)
    one, other = whole.run(events, duration=5000), split.run(events, duration=5000)
    same_spikes_per_event(one, other, "a")
    np.testing.assert_array_equal(one.counts("a"), other.counts("a"))
    np.testing.assert_array_equal(one.raster(10, "a"), other.raster(10, "a"))
    assert one.prediction() == other.prediction()


def two_layers(rng: np.random.Generator) -> Graph:
    return Graph.chain(
        [
            Input("input", (2, 8, 8)),
            conv(rng, "a", 6, 2, 3, padding=(1, 1)),
            Iaf("na", 1.0, -1.0),
            SumPool2d("pool", (2, 2)),
            conv(rng, "b", 5, 6, 3),
            Iaf("nb", 1.0, -1.0),
        ]
    )


def test_parts_merge_again_into_one_target_by_feature_shifts() -> None:
    rng = np.random.default_rng(5)
    graph = two_layers(rng)
    split = compile(graph, SMALL_AND_LARGE, layer2core_map={"b": 2}, monitor=["a", "b"])
    assert [part.core for part in split.parts["a"]] == [0, 1]
    first, second = split.config.core(0).destinations[0], split.config.core(1).destinations[0]
    assert (first.layer, first.feature_shift, first.pooling) == (2, 0, 2)
    assert (second.layer, second.feature_shift, second.pooling) == (2, split.config.core(0).dimensions.output_shape[0], 2)
    whole = compile(graph, chip(LARGE, LARGE), monitor=["a", "b"])
    events = one_event_a_step(rng, (2, 8, 8), 300)
    one, other = whole.run(events), split.run(events)
    same_spikes_per_event(one, other, "a")
    assert one.counts("b").sum() > 0


def test_a_split_target_needs_a_destination_for_each_part() -> None:
    rng = np.random.default_rng(6)
    graph = two_layers(rng)
    split = compile(graph, chip(LARGE, (1 << 10, 3 * 4, 0), (1 << 10, 3 * 4, 0)), layer2core_map={"a": 0}, monitor=["a", "b"])
    assert [(d.layer, d.feature_shift) for d in split.config.core(0).destinations] == [(1, 0), (2, 0)]
    whole = compile(graph, chip(LARGE, LARGE), monitor=["a", "b"])
    events = one_event_a_step(rng, (2, 8, 8), 300)
    one, other = whole.run(events), split.run(events)
    for layer in ("a", "b"):
        same_spikes_per_event(one, other, layer)


def test_the_summary_and_the_file_know_the_parts(tmp_path: Path) -> None:
    split = compile(two_layers(np.random.default_rng(5)), SMALL_AND_LARGE, layer2core_map={"b": 2})
    assert "a is split along its features over cores 0, 1" in split.summary()
    assert "2 layers in 3 parts" in split.summary()
    split.save(tmp_path / "split.chipflow")
    assert Program.load(tmp_path / "split.chipflow") == split


def test_parts_are_monitored_and_traced_by_the_name_of_their_layer() -> None:
    rng = np.random.default_rng(5)
    split = compile(two_layers(rng), SMALL_AND_LARGE, layer2core_map={"b": 2})
    events = one_event_a_step(rng, (2, 8, 8), 100)
    result = split.run(events, monitor=["a"], trace={"a": [(0, 3, 3), (5, 3, 3)]})
    assert set(result.monitored) == {0, 1}
    assert {core: set(trace["p"].tolist()) for core, trace in result.traces.items()} == {0: {0}, 1: {2}}


def test_a_split_layer_can_be_read_out_with_the_erratum() -> None:
    rng = np.random.default_rng(7)
    graph = Graph.chain([Input("input", (2, 4, 4)), conv(rng, "a", 10, 2, 4), Iaf("n", 1.0, -1.0)])
    spec = chip(*[(LARGE[0], 12, 0)] * 4)
    assert spec.readout.feature_stride == get_chip("speck2f").readout.feature_stride == 4
    split = compile(graph, spec, readout=ReadoutConfig(enable=True, readout_pin_monitor_enable=True), monitor=["a"])
    whole = compile(graph, chip(LARGE), monitor=["a"])
    events = one_event_a_step(rng, (2, 4, 4), 400)
    one, other = whole.run(events, duration=4000), split.run(events, duration=4000)
    same_spikes_per_event(one, other, "a")
    np.testing.assert_array_equal(one.counts("a"), other.counts("a"))
    assert other.readout is not None
    assert other.readout.without_class == 0
    assert other.readout.events_in == one.counts("a").sum()


def test_without_splitting_the_reason_is_given() -> None:
    with pytest.raises(MappingError, match="'a'"):
        compile(two_layers(np.random.default_rng(5)), SMALL_AND_LARGE, layer2core_map={"b": 2}, split=False)


def test_concatenated_parts_keep_their_places() -> None:
    rng = np.random.default_rng(8)
    graph = Graph(
        [
            Input("input", (2, 6, 6)),
            conv(rng, "a", 4, 2, 3, padding=(1, 1)),
            Iaf("na", 1.0, -1.0),
            conv(rng, "b", 6, 2, 3, padding=(1, 1)),
            Iaf("nb", 1.0, -1.0),
            Concat("cat"),
            conv(rng, "c", 3, 10, 3),
            Iaf("nc", 1.0, -1.0),
        ],
        [("input", "a"), ("a", "na"), ("input", "b"), ("b", "nb"), ("na", "cat"), ("nb", "cat"), ("cat", "c"), ("c", "nc")],
    )
    small = (1 << 12, 3 * 64, 0)
    split = compile(graph, chip(small, small, small, small, LARGE), layer2core_map={"c": 4}, monitor=["a", "b", "c"])
    shifts = {name: split.config.core(core).destinations[0].feature_shift for name, core in split.placement.items() if core != 4}
    assert sorted(shifts.values()) == [0, 2, 4, 7]
    whole = compile(graph, chip(LARGE, LARGE, LARGE), monitor=["a", "b", "c"])
    events = one_event_a_step(rng, (2, 6, 6), 300)
    one, other = whole.run(events), split.run(events)
    for layer in ("a", "b"):
        same_spikes_per_event(one, other, layer)
