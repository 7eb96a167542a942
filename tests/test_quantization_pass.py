"""The pass over graphs: branches, recordings, and how far spikes agree with the float network's."""

import numpy as np
import pytest

from chipflow.errors import QuantizationError
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import interpret
from chipflow.ir.nodes import Add, Concat, Conv2d, Iaf, Input, SumPool2d
from chipflow.passes.quantize import Quantize
from hwconfig import get_chip

LIMITS = get_chip("speck2f").limits


def conv(rng, name, shape, outlier=0.0, bias=None):
    fan_in = np.prod(shape[1:])
    weight = rng.normal(size=shape) / np.sqrt(fan_in) + 0.5 / fan_in
    if outlier:
        weight.flat[rng.integers(weight.size)] = outlier * abs(weight).max()
    return Conv2d(name, weight, bias)


def recordings(rng, shape, n=4, steps=40):
    return (rng.random((n, steps, *shape)) < 0.2).astype(float)


def chain(seed=0, outlier=0.0):
    rng = np.random.default_rng(seed)
    nodes = [
        Input("in", (1, 10, 10)),
        conv(rng, "conv1", (4, 1, 3, 3), outlier),
        Iaf("iaf1", 1.0, -1.0),
        SumPool2d("pool", (2, 2)),
        conv(rng, "conv2", (5, 4, 4, 4), outlier),
        Iaf("iaf2", 1.0, -1.0),
    ]
    return Graph.chain(nodes), rng


def branched():
    rng = np.random.default_rng(1)
    nodes = [
        Input("in", (2, 6, 6)),
        conv(rng, "stem", (3, 2, 3, 3)),
        Iaf("spikes", 1.0, -1.0),
        conv(rng, "left", (4, 3, 1, 1)),
        conv(rng, "right", (4, 3, 1, 1), bias=np.full(4, 0.01)),
        Iaf("left_spikes", 1.0, -1.0),
        Iaf("right_spikes", 2.0, None),
        Add("sum"),
        Concat("both"),
        conv(rng, "head", (2, 4, 4, 4)),
        Iaf("answer", 1.0, -1.0),
    ]
    edges = [
        *(("in", "stem"), ("stem", "spikes"), ("spikes", "left"), ("spikes", "right"), ("left", "left_spikes")),
        *(("right", "right_spikes"), ("left_spikes", "sum"), ("right_spikes", "sum"), ("sum", "head"), ("head", "answer")),
        *(("left_spikes", "both"), ("spikes", "both")),
    ]
    return Graph(nodes, edges, ["answer", "both"]), rng


def disagreement(graph, quantised, name, rasters):
    """(differing, miscounted, displacement), by the definition."""
    total = np.zeros(3)
    for raster in rasters:
        difference = interpret(quantised, raster)[name] - interpret(graph, raster)[name]
        parts = difference, difference.sum(0), difference.cumsum(0)
        total += [abs(part).sum() for part in parts]
    return tuple(total)


def views(found):
    return found.differing, found.miscounted, found.displacement


@pytest.mark.parametrize("mode", ["default", "sinabs", "search"])
@pytest.mark.parametrize("with_recordings", [False, True])
def test_a_branched_graph(mode, with_recordings):
    graph, rng = branched()
    given = recordings(rng, (2, 6, 6), 2, 10) if with_recordings else None
    quantised, records = Quantize(LIMITS, mode, given)(graph)
    assert quantised.names == graph.names
    assert all(quantised.sources(name) == graph.sources(name) for name in graph.names)
    assert quantised.outputs == graph.outputs
    assert list(records) == ["stem", "left", "right", "head"]
    for name, record in records.items():
        assert quantised[name].weight.dtype == np.int8
        (neuron,) = quantised.targets(name)
        assert isinstance(quantised[neuron].threshold, int)
        assert (record.agreement is not None) == with_recordings
    assert quantised["right"].bias.dtype == np.int16
    assert quantised["right_spikes"].lower_bound == (-32768 if mode != "sinabs" else round(-32768 * records["right"].scale))


@pytest.mark.parametrize("mode", ["default", "sinabs", "search"])
@pytest.mark.parametrize("make", [chain, branched])
def test_what_is_recorded_is_what_the_interpreter_computes(mode, make):
    graph, rng = make()
    given = recordings(rng, graph.inputs[0].shape)
    quantised, records = Quantize(LIMITS, mode, given)(graph)
    default, _ = Quantize(LIMITS)(graph)
    for name, record in records.items():
        (neuron,), agreement = graph.targets(name), record.agreement
        assert (agreement.recordings, agreement.steps) == (4, 160)
        assert agreement.spikes == sum(interpret(graph, raster)[neuron].sum() for raster in given)
        assert views(agreement.found) == disagreement(graph, quantised, neuron, given)
        assert views(agreement.default) == disagreement(graph, default, neuron, given)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("outlier", [0.0, 8.0])
def test_the_search_is_never_worse_at_the_outputs(seed, outlier):
    graph, rng = chain(seed, outlier)
    _, records = Quantize(LIMITS, "search", recordings(rng, (1, 10, 10), 2, 30))(graph)
    last = records["conv2"].agreement
    assert last.found.displacement <= last.default.displacement
    first = records["conv1"].agreement  # reads the same in both
    assert first.found.displacement <= first.default.displacement


def test_a_search_that_makes_the_whole_worse_is_given_up():
    """Greedy from layer to layer, so it may be; found by trying seeds."""
    kept = []
    for seed in range(40):
        graph, rng = chain(seed)
        given = recordings(rng, (1, 10, 10), 1, 12)
        quantised, records = Quantize(LIMITS, "search", given)(graph)
        if any("default scale kept" in note for note in records["conv2"].notes):
            kept.append(seed)
            assert quantised == Quantize(LIMITS)(graph)[0]
            assert all(record.agreement.found == record.agreement.default for record in records.values())
    assert kept


def rare_outlier():
    """A weight twenty times as large as any other, of a pixel that hardly ever spikes; and recordings."""
    rng = np.random.default_rng(0)
    layer = conv(rng, "conv", (10, 1, 6, 6))
    layer.weight[3, 0, 0, 0] = 20 * abs(layer.weight).max()
    graph = Graph.chain([Input("in", (1, 6, 6)), layer, Iaf("iaf", 1.0, -1.0)])
    given = recordings(rng, (1, 6, 6), 20, 50)
    given[:, :, 0, 0, 0] *= rng.random((20, 50)) < 0.005
    return graph, given[:10], given[10:]


def test_clipping_an_outlier_makes_spikes_agree():
    """Judged on other recordings than those of the search: of 577 spikes, 106 too many or too few become 13."""
    graph, given, fresh = rare_outlier()
    quantised, records = Quantize(LIMITS, "search", given)(graph)
    default, _ = Quantize(LIMITS)(graph)
    before, after = (disagreement(graph, made, "iaf", fresh) for made in (default, quantised))
    assert after[0] < before[0] / 4
    assert after[1] < before[1] / 4
    assert after[2] < before[2] / 10
    assert records["conv"].saturated == 1
    assert records["conv"].blame.index == (3, 0, 0, 0)
    assert records["conv"].blame.scale_without > 20 * records["conv"].blame.scale


def test_silent_and_busy_features():
    weight = np.array([1.0, 0.001, -1.0, 0.3]).reshape(4, 1, 1, 1)
    graph = Graph.chain([Input("in", (1, 2, 1)), Conv2d("conv", weight, np.array([0, 0, 1, 0])), Iaf("iaf", 1.0, -1.0)])
    given = np.zeros((1, 10, 1, 2, 1))
    given[:, :, :, 0] = 1
    agreement = Quantize(LIMITS, "default", given)(graph)[1]["conv"].agreement
    assert agreement.silent_features == (1,)
    assert agreement.busy_features == (0, 2)


def test_recordings_of_several_inputs_and_lengths():
    rng = np.random.default_rng(0)
    nodes = [
        Input("a", (1, 1, 1)),
        Input("b", (1, 1, 1)),
        Add("sum"),
        Conv2d("conv", np.ones((1, 1, 1, 1)), None),
        Iaf("iaf", 1.5, None),
    ]
    graph = Graph(nodes, [("a", "sum"), ("b", "sum"), ("sum", "conv"), ("conv", "iaf")])
    given = [{"a": recordings(rng, (1,), 1, n)[0], "b": recordings(rng, (1,), 1, n)[0]} for n in (5, 8)]
    agreement = Quantize(LIMITS, "search", given)(graph)[1]["conv"].agreement
    assert (agreement.recordings, agreement.steps) == (2, 13)
    assert agreement.found.differing == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "empty"),
        ([np.zeros((3, 2, 10, 10))], r"recording 0 has shape \(3, 2, 10, 10\), the network reads \[time, 1, 10, 10\]"),
        ([np.zeros((3, 1, 10, 10)), np.zeros((0, 1, 10, 10))], "recording 1 has no time steps"),
        ([np.full((3, 1, 10, 10), np.nan)], "not finite"),
        ([{"x": np.zeros((3, 1, 10, 10))}], r"inputs \['x'\], the network has \['in'\]"),
    ],
)
def test_recordings_that_do_not_fit(given, says):
    with pytest.raises(QuantizationError, match=says):
        Quantize(LIMITS, "search", given)(chain()[0])


def test_a_convolution_that_is_an_output():
    """No core can do that, which is not for this pass to say."""
    graph, rng = chain()
    graph = Graph(graph.nodes, graph.edges, ["conv2", "iaf2"])
    quantised, _ = Quantize(LIMITS, "search", recordings(rng, (1, 10, 10), 1, 5))(graph)
    assert quantised["conv2"].weight.dtype == np.int8


@pytest.mark.parametrize("mode", ["default", "search"])
def test_all_layers_that_cannot_fire_are_named(mode):
    graph = Graph.chain(
        [
            Input("in", (1, 1, 1)),
            Conv2d("first", -np.ones((1, 1, 1, 1)), None),
            Iaf("iaf1", 1.0, -1.0),
            Conv2d("second", np.full((1, 1, 1, 1), 1e3), None),
            Iaf("iaf2", 1.0, -1.0),
        ]
    )
    with pytest.raises(QuantizationError, match=r"(?s)'first'.*'second'"):
        Quantize(LIMITS, mode, [np.ones((2, 1, 1, 1))])(graph)


def test_a_default_that_is_impossible_is_recorded_as_none():
    weight = np.array([[[[300.0]], *[[[0.5]]] * 9]])
    graph = Graph.chain([Input("in", (10, 1, 1)), Conv2d("conv", weight, None), Iaf("iaf", 1.0, -1.0)])
    agreement = Quantize(LIMITS, "search", [np.ones((2, 10, 1, 1))])(graph)[1]["conv"].agreement
    assert agreement.default is None


def test_the_same_recordings_give_the_same_records():
    graph, rng = chain(0, 5.0)
    given = recordings(rng, (1, 10, 10), 2, 20)
    (one, first), (other, second) = (Quantize(LIMITS, "search", given)(graph) for _ in range(2))
    assert one == other
    assert first == second
