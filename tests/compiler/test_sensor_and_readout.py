"""Events through the sensor's front end, spikes into the readout block, biases by the slow clock: as the time-stepped network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from torch import nn

from chipflow import Program, Sensor, compile, open_device
from chipflow.errors import CompileError, DeviceError, EventError, MappingError, UnsupportedModelError
from chipflow.events import events_to_raster, make_events
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import interpret
from chipflow.ir.nodes import Add, AvgPool2d, Concat, Conv2d, Flatten, Iaf, Input, Linear, SumPool2d
from hwconfig import ReadoutConfig, get_chip

CHIP = get_chip("speck2f")


def graph_of(*nodes, shape=(2, 24, 16)) -> Graph:
    return Graph.chain([Input("input", shape), *nodes, conv("a", 3, nodes, shape), Iaf("n", 1.0, -1.0)])


def conv(name, features, nodes, shape):
    """Weights between 0 and the threshold: the order of a step's events then does not count."""
    before = Graph.chain([Input("input", shape), *nodes])
    channels = before.shapes[before.names[-1]][0]
    return Conv2d(name, np.random.default_rng(1).uniform(0.05, 0.6, (features, channels, 3, 3)), None)


def sensor_events(shape, count=600, seed=0):
    rng = np.random.default_rng(seed)
    p, y, x = (rng.integers(0, side, count) for side in shape)
    return make_events(x, y, np.sort(rng.integers(0, 20, count)) * 1000, p)


def counts_agree(program: Program, events, layer="a", neuron="n") -> None:
    """Spikes of each neuron, on the emulated chip and by the interpreter on the same events."""
    raster = events_to_raster(events, program.graph.inputs[0].shape, 1000, 20_000)
    expected = interpret(program.graph, raster)[neuron].sum(0)
    assert expected.sum() > 0
    np.testing.assert_array_equal(program.run(events, monitor=[layer], duration=20_000).counts(layer), expected)


@pytest.mark.parametrize(
    ("merge", "swap", "on", "off"), list(itertools.product([False, True], [False, True], [True], [False, True]))
)
@pytest.mark.parametrize("mirror", [(False, False), (True, False), (False, True)])
def test_the_front_end_on_the_chip_is_that_of_the_interpreter(merge, swap, on, off, mirror):
    sensor = Sensor(merge=merge, swap=swap, on=on, off=off, mirror=mirror, pooling=(2, 1), origin=(1, 2), size=(8, 10))
    program = compile(graph_of(sensor))
    assert program.entries == ()
    assert program.config.dvs_layer.cut == (8, 11)
    counts_agree(program, sensor_events((2, 24, 16)))


@pytest.mark.parametrize("size", [(2, 2), (4, 4), (2, 4)])
def test_pooling_behind_the_front_end_becomes_part_of_it(size):
    program = compile(graph_of(AvgPool2d("pool", size), shape=(2, 32, 32)), input_shape=(2, 32, 32), sensor=Sensor(swap=True))
    assert program.config.dvs_layer.pooling == size[::-1]
    assert program.layers[0].pooling_factor == 1 / (size[0] * size[1])
    counts_agree(program, sensor_events((2, 32, 32), 3000))


@pytest.mark.parametrize(("size", "shape"), [((2, 2), (2, 23, 20)), ((4, 2), (2, 32, 14)), ((8, 4), (2, 40, 20))])
def test_pooling_of_an_input_without_front_end_becomes_part_of_the_convolution(size, shape):
    model = Graph.chain(
        [Input("input", shape), AvgPool2d("pool", size), conv("a", 3, [SumPool2d("pool", size)], shape), Iaf("n", 1.0, -1.0)]
    )
    if size == (8, 4):  # a kernel of 24
        with pytest.raises(MappingError, match="kernel size 24"):
            compile(model)
        return
    program = compile(model)
    assert program.config.core(program.placement["a"]).dimensions.stride == size
    counts_agree(program, sensor_events(shape, 20_000))


def test_an_average_of_the_whole_map_becomes_part_of_a_linear_layer():
    shape = (2, 17, 14)
    nodes = [
        conv("c", 4, [], shape),
        Iaf("m", 1.0, -1.0),
        AvgPool2d("pool", (7, 6)),
        Flatten("flat"),
        Linear("a", np.full((3, 16), 0.9), None),
    ]
    program = compile(Graph.chain([Input("input", shape), *nodes, Iaf("n", 1.0, -1.0)]))
    core = program.config.core(program.placement["a"])
    assert (core.dimensions.kernel_size, core.dimensions.output_shape) == (14, (3, 1, 1))
    counts_agree(program, sensor_events(shape, 3000))


def test_the_sensor_has_two_destinations():
    nodes = [
        Input("input", (2, 8, 8)),
        *(Conv2d(name, np.ones((1, 2, 3, 3)), None) for name in "abc"),
        *(Iaf(f"n{i}", 1.0, -1.0) for i in "abc"),
    ]
    graph = Graph(nodes, [("input", name) for name in "abc"] + [(name, f"n{name}") for name in "abc"])
    assert len(compile(graph).entries) == 3
    with pytest.raises(CompileError, match="sensor"):
        compile(graph, sensor=True)


def test_what_is_no_sensor_map_is_refused():
    with pytest.raises(UnsupportedModelError, match="sensor"):
        compile(graph_of(shape=(3, 8, 8)), sensor=True)


def test_two_inputs_are_addressed_by_name():
    rng = np.random.default_rng(3)
    weights = {name: rng.uniform(0.05, 0.6, (2, 2, 3, 3)) for name in ("a", "b")}
    graph = Graph(
        [
            Input("left", (2, 6, 6)), Input("right", (2, 6, 6)), Conv2d("a", weights["a"], None), Iaf("na", 1.0, -1.0),
            Conv2d("b", weights["b"], None), Iaf("nb", 1.0, -1.0), Add("sum"), Conv2d("c", rng.uniform(0.05, 0.6, (2, 2, 4, 4)), None), Iaf("nc", 1.0, -1.0),
        ],
        [("left", "a"), ("a", "na"), ("right", "b"), ("b", "nb"), ("na", "sum"), ("nb", "sum"), ("sum", "c"), ("c", "nc")],
    )  # fmt: skip
    program = compile(graph)
    left, right = sensor_events((2, 6, 6), seed=1), sensor_events((2, 6, 6), seed=2)
    result = program.run(program.addressed({"left": left, "right": right}), duration=20_000)
    rasters = {name: events_to_raster(events, (2, 6, 6), 1000, 20_000) for name, events in (("left", left), ("right", right))}
    np.testing.assert_array_equal(result.counts("c"), interpret(program.graph, rasters)["nc"].sum(0))
    np.testing.assert_array_equal(program.run({"left": left, "right": right}, duration=20_000).events, result.events)
    with pytest.raises(EventError, match="by input"):
        program.run(left)
    with pytest.raises(EventError, match="left"):
        program.addressed({"left": left})


def test_an_input_that_is_concatenated_comes_first():
    shape = (2, 6, 6)
    rng = np.random.default_rng(4)
    graph = Graph(
        [
            Input("input", shape), Conv2d("a", rng.uniform(0.05, 0.6, (3, 2, 3, 3)), None, padding=(1, 1)), Iaf("na", 1.0, -1.0), Concat("cat"),
            Conv2d("b", rng.uniform(0.05, 0.6, (2, 5, 3, 3)), None), Iaf("n", 1.0, -1.0),
        ],
        [("input", "a"), ("a", "na"), ("na", "cat"), ("input", "cat"), ("cat", "b"), ("b", "n")],
    )  # fmt: skip
    counts_agree(compile(graph), sensor_events(shape), "b")


# --- readout ---


def readout_model() -> nn.Module:
    from tests.compiler.networks import small_cnn

    return small_cnn()


@pytest.mark.parametrize("chip", ["speck2f", "speck2e"])
def test_the_erratum_is_applied_and_undone(chip):
    plain, wide = (compile(readout_model(), chip, (2, 8, 8), readout=readout) for readout in (False, True))
    core = wide.config.core(wide.placement["1.5"])
    assert core.dimensions.output_shape == (9, 1, 1)
    assert [bool(core.weights[f].any()) for f in range(9)] == [f % 4 == 0 for f in range(9)]
    assert core.destinations[0].layer == wide.config.chip.layers.readout
    events = sensor_events((2, 8, 8), 2000)
    one, other = (program.run(events, duration=20_000) for program in (plain, wide))
    np.testing.assert_array_equal(one.counts(), other.counts())
    np.testing.assert_array_equal(one.states[plain.placement["1.5"]], other.states[wide.placement["1.5"]])
    np.testing.assert_array_equal(one.raster(), other.raster())
    assert one.counts().sum() > 0
    assert one.prediction() == other.prediction()
    assert other.readout is not None
    assert (other.readout.events_in, other.readout.without_class) == (one.counts().sum(), 0)


def test_the_readout_block_names_the_class():
    block = ReadoutConfig(enable=True, monitor_enable=True, low_pass_filter_disable=True)
    program = compile(readout_model(), "speck2f", (2, 8, 8), readout=block, time_step_us=20_000)
    result = program.run(sensor_events((2, 8, 8), 2000), duration=20_000)
    plain = compile(readout_model(), "speck2f", (2, 8, 8)).run(sensor_events((2, 8, 8), 2000), duration=20_000)
    assert result.readout is not None
    assert (int(result.readout.values["value"][-1]) >> 16) & 15 == plain.prediction() + 1
    assert result.events.size == 0, "the block's monitor silences the cores'"


@pytest.mark.parametrize(("features", "chip", "word"), [(16, "speck2f", "15 classes"), (3, "dynapcnn", "no readout block")])
def test_what_cannot_be_read_out_is_refused(features, chip, word):
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, features))
    with pytest.raises(CompileError, match=word):
        compile(model, chip, (2, 4, 4), readout=True)


# --- slow clock ---


def biased() -> Graph:
    return Graph.chain(
        [Input("input", (1, 2, 2)), Conv2d("a", np.full((2, 1, 1, 1), 0.5), np.array([0.25, -0.1])), Iaf("n", 1.0, -1.0)]
    )


def test_biases_are_added_once_per_time_step_by_the_slow_clock():
    program = compile(biased(), time_step_us=500)
    assert (program.slow_clock_period_us, program.slow_clock_hz) == (500, 2000)
    assert "slow clock of 500 us (2000 Hz)" in program.summary()
    silence = make_events([], [], [], [])
    result = program.run(silence, duration=500 * 40)
    expected = interpret(program.graph, np.zeros((40, 1, 2, 2)))["n"].sum(0)
    np.testing.assert_array_equal(result.counts(), expected)
    assert expected[0].sum() == 4 * 10


def test_another_slow_clock_than_the_biases_were_made_for_is_refused():
    with open_device("emulator") as device, pytest.raises(DeviceError, match="time_step_us=250"):
        device.run(compile(biased()), make_events([], [], [], []), duration=1000, slow_clock_period_us=250)
