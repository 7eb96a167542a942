"""Random graphs with branches through all passes, onto a large chip and through its emulator: they compute what they computed before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from random import Random

import numpy as np
import pytest

from chipflow import Program, alternatives, compile
from chipflow.compiler import float_passes
from chipflow.errors import MappingError, QuantizationError, UnsupportedModelError
from chipflow.events import EventArray, RunResult, make_events, raster_to_events
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import Values, interpret
from chipflow.ir.make_plan import make_plan
from chipflow.ir.nodes import Add, Array, AvgPool2d, Conv2d, Iaf, Input, Relu
from chipflow.passes.agreement import weighted_layers
from chipflow.passes.quantize import Quantize
from chipflow.passes.spiking import MakeSpiking
from chipflow.program_file import NODE_KINDS
from hwconfig import get_chip, synthetic_chip
from tests.compiler.graphs import (
    Style,
    one_event_rasters,
    random_graph,
    random_layer,
    random_rasters,
    with_high_thresholds,
)

CHIP = get_chip("speck2f")
LARGE = synthetic_chip([(1 << 20, 1 << 18, 1 << 10)] * 24, limits={"destinations": 8, "poolings": [1, 2, 3, 4, 6, 8]})
"""Room for all of them: what is refused is refused by what a core can compute."""
UNEVEN = synthetic_chip(
    [(1 << 14 + i % 5, 1 << 12 + i % 3, 1 << 8) for i in range(20)], limits={"destinations": 8, "poolings": [1, 2, 3, 4, 6, 8]}
)
"""The same with memories of many sizes, so that placements differ in their cost."""

RELU = Style(spiking=False)
SPIKING = Style()
THIRDS = Style(thirds=True)
EXCITATORY = Style(signed=False, legal=True, layers=5)
STYLES = {"relu": RELU, "spiking": SPIKING, "thirds": THIRDS, "excitatory": EXCITATORY}

STEP_US = 1000
BLOCKS = 16
EACH = 10
"""A property holds for BLOCKS x EACH graphs: the first ones that compile among the seeds of each block."""

every_style = pytest.mark.parametrize("style", STYLES)
seeds = pytest.mark.parametrize("seed", range(80))
blocks = pytest.mark.parametrize("block", range(BLOCKS))


def lowered(graph: Graph) -> Graph:
    for step in float_passes(LARGE):
        graph = step(graph)
    return graph


def rasters_of(graph: Graph, rasters: Mapping[str, Array]) -> dict[str, Array]:
    """Those of the inputs that are left: passes take out what no output needs."""
    return {node.name: rasters[node.name] for node in graph.inputs}


def answers(graph: Graph, rasters: Mapping[str, Array]) -> dict[str, Values]:
    """What outputs and neurons give, flattened; outputs by their place, as passes may put neurons behind them."""
    values = interpret(graph, rasters_of(graph, rasters))
    found = {node.name: values[node.name] for node in graph.nodes if isinstance(node, Iaf)}
    found |= {f"output {i}": values[name] for i, name in enumerate(graph.outputs)}
    return {name: each.reshape(len(each), -1) for name, each in found.items()}


def assert_kept(graph: Graph, rasters: Mapping[str, Array], wanted: Mapping[str, Values], rtol: float) -> None:
    found = answers(graph, rasters)
    outputs = {name for name in wanted if name.startswith("output ")}
    assert outputs <= found.keys()
    for name in wanted.keys() & found.keys():
        np.testing.assert_allclose(found[name], wanted[name], rtol=rtol, atol=rtol and 1e-9, err_msg=name)


def named(error: Exception) -> list[str]:
    """The layer that each line of a refusal begins with."""
    matches = [re.match(r"[lL]ayer '([^']+)'", line) for line in str(error).splitlines()]
    assert all(matches), str(error)
    return [match[1] for match in matches if match]


# --- passes in floats ---


@every_style
@seeds
def test_every_pass_keeps_what_outputs_and_neurons_give(style: str, seed: int) -> None:
    """Exactly, where all numbers are multiples of powers of two."""
    graph = random_graph(seed, STYLES[style])
    rasters = random_rasters(graph, seed)
    wanted = answers(graph, rasters)
    for step in float_passes(CHIP):
        try:
            graph = step(graph)
        except UnsupportedModelError:
            return  # how many, and what they say: below
        if isinstance(step, MakeSpiking):
            wanted = answers(graph, rasters)
        assert_kept(graph, rasters, wanted, rtol=1e-5 if STYLES[style].thirds else 0)


@every_style
def test_few_graphs_are_refused_and_refusals_name_their_layers(style: str) -> None:
    """By the passes seldom; by the plan where a core cannot do it, such as inputs that are read twice."""
    passed, planned = 0, 0
    for seed in range(200):
        graph = random_graph(seed, STYLES[style])
        try:
            low = lowered(graph)
        except UnsupportedModelError as error:
            assert set(named(error)) <= set(graph.names), (seed, str(error))
            continue
        passed += 1
        assert {type(node).__name__ for node in low.nodes} <= NODE_KINDS.keys()
        assert all(len(set(node.weight.shape[2:])) == 1 for node in low.nodes if isinstance(node, Conv2d))
        try:
            make_plan(low)
        except UnsupportedModelError as error:
            assert set(named(error)) <= set(low.names), (seed, str(error))
        else:
            planned += 1
    assert passed >= 0.9 * 200
    assert planned >= 0.6 * 200


def test_most_neurons_spike() -> None:
    """Otherwise what passes keep would say little."""
    spiking: list[bool] = []
    for seed in range(80):
        graph = random_graph(seed, SPIKING)
        found = answers(graph, random_rasters(graph, seed))
        spiking.extend(bool(found[name].any()) for name in found if name in graph)
    assert np.mean(spiking) > 0.75


@every_style
@seeds
def test_lowering_what_is_lowered_changes_no_layer(style: str, seed: int) -> None:
    try:
        low = lowered(random_graph(seed, STYLES[style]))
    except UnsupportedModelError:
        return
    assert weighted_layers(lowered(low)) == weighted_layers(low)


def test_pooling_behind_a_sum_of_convolutions_becomes_part_of_them() -> None:
    """Found by the graphs above: relu(pool(a(x) + b(x)))."""
    nodes = [
        Input("input", (1, 4, 4)),
        Conv2d("a", np.full((1, 1, 1, 1), 0.5), None),
        Conv2d("b", np.full((1, 1, 1, 1), 0.25), np.full(1, 0.125)),
        Add("sum"),
        AvgPool2d("pool", (2, 2)),
        Relu("relu"),
    ]
    graph = Graph(nodes, [("input", "a"), ("input", "b"), ("a", "sum"), ("b", "sum"), ("sum", "pool"), ("pool", "relu")])
    (layer,) = make_plan(lowered(graph)).layers
    assert (layer.shape.kernel_size, layer.shape.stride) == (2, (2, 2))
    np.testing.assert_array_equal(layer.weights, np.full((1, 1, 2, 2), 0.75 / 4))
    np.testing.assert_array_equal(layer.biases, [0.125])


# --- integers ---


@pytest.mark.parametrize("style", ["relu", "spiking"])
@seeds
def test_quantisation_keeps_names_outputs_and_structure(style: str, seed: int) -> None:
    try:
        low = lowered(random_graph(seed, STYLES[style]))
    except UnsupportedModelError:
        return
    try:
        quantised, scales = Quantize(CHIP.limits)(low)
    except QuantizationError as error:  # layers that were dead before
        assert set(named(error)) <= set(low.names)
        return
    assert (quantised.names, quantised.outputs, quantised.shapes) == (low.names, low.outputs, low.shapes)
    assert [type(node) for node in quantised.nodes] == [type(node) for node in low.nodes]
    assert all(quantised.sources(name) == low.sources(name) for name in low.names)
    layers = weighted_layers(quantised)
    assert scales.keys() == layers.keys()
    for name, (conv, neuron) in layers.items():
        assert conv.weight.dtype == np.int8
        before = low[name]
        assert isinstance(before, Conv2d)
        np.testing.assert_allclose(conv.weight / scales[name].scale, before.weight, atol=0.51 / scales[name].scale)
        assert neuron.threshold == round(neuron.threshold)


# --- on the chip ---


def compiled(make: Callable[[int], Graph], block: int) -> Iterator[tuple[int, Graph, Program]]:
    """The first programs among a block's seeds; most graphs have to become one."""
    found = 0
    for tried in count(1):
        seed = 1000 * block + tried
        try:
            graph = make(seed)
            program = compile(graph, LARGE)
        except (UnsupportedModelError, QuantizationError, MappingError):
            assert tried < 3 * EACH, "most graphs have to compile"
            continue
        found += 1
        yield seed, graph, program
        if found == EACH:
            return


def weak(graph: Graph, seed: int, *, signed: bool) -> Graph:
    """Weights and biases at most as large as the threshold."""
    return with_high_thresholds(graph, lowered(graph), seed, signed=signed)


def events_of(program: Program, rasters: Mapping[str, Array]) -> EventArray:
    """One microsecond into each step, as a tick at the end of a step belongs to it."""
    recordings = {name: later(raster_to_events(raster, STEP_US)) for name, raster in rasters_of(program.graph, rasters).items()}
    return program.addressed(recordings) if len(recordings) > 1 else next(iter(recordings.values()))


def later(events: EventArray) -> EventArray:
    return make_events(events["x"], events["y"], events["t"] + 1, events["p"])


def run(program: Program, rasters: Mapping[str, Array], *, strict: bool = True) -> RunResult:
    steps = len(next(iter(rasters.values())))
    names = [layer.name for layer in program.layers]
    return program.run(events_of(program, rasters), monitor=names, duration=steps * STEP_US, strict=strict)


def raster(result: RunResult, layer: str, shape: tuple[int, ...]) -> Array:
    """Spikes [time, feature, y, x]; a tick's are those of the step that it ends."""
    spikes, found = result.spikes(layer), np.zeros(shape)
    np.add.at(found, ((spikes["t"] - 1) // STEP_US, spikes["p"], spikes["y"], spikes["x"]), 1)
    return found


def end_state(currents: Values, neuron: Iaf) -> Values:
    """Of neurons that get a step's current at once."""
    v = np.zeros(currents.shape[1:])
    for current in currents:
        v += current
        spikes = np.where(v >= neuron.threshold, v // neuron.threshold, 0)
        v = np.where(spikes > 0, 0, v) if neuron.return_to_zero else v - spikes * neuron.threshold
        v = v if neuron.lower_bound is None else np.maximum(v, neuron.lower_bound)
    return v


def assert_runs_as_interpreted(program: Program, rasters: Mapping[str, Array]) -> int:
    """Every spike in its step, and all end states; the number of spikes."""
    result, values = run(program, rasters), interpret(program.graph, rasters_of(program.graph, rasters))
    total = 0
    for conv, neuron in weighted_layers(program.graph).values():
        expected = values[neuron.name]
        np.testing.assert_array_equal(raster(result, conv.name, expected.shape), expected)
        np.testing.assert_array_equal(result.states[program.placement[conv.name]], end_state(values[conv.name], neuron))
        total += int(expected.sum())
    return total


@blocks
def test_a_layer_with_one_event_a_step_runs_as_interpreted(block: int) -> None:
    """Weights of both signs, both resets, lower bounds: one update of each neuron in a step, so that both rules are the same."""
    spikes = 0
    for seed, _, program in compiled(lambda seed: weak(random_layer(seed), seed, signed=True), block):
        assert len(program.layers) == 1, seed
        spikes += assert_runs_as_interpreted(program, one_event_rasters(program.graph, seed, 150))
    assert spikes > 100


@blocks
def test_a_layer_with_biases_and_one_event_a_step_runs_as_interpreted(block: int) -> None:
    """Events and then the tick, all excitatory."""
    spikes = 0
    for seed, _, program in compiled(lambda seed: weak(random_layer(seed, biased=True), seed, signed=False), block):
        spikes += assert_runs_as_interpreted(program, one_event_rasters(program.graph, seed, 60))
    assert spikes > 100


@blocks
def test_counts_and_end_states_of_deep_graphs_are_those_of_the_interpreter(block: int) -> None:
    """Where weights lie between 0 and the threshold and nothing is clamped, no order of events changes them."""
    silent = 0
    for seed, _, program in compiled(lambda seed: weak(random_graph(seed, EXCITATORY), seed, signed=False), block):
        rasters = random_rasters(program.graph, seed)
        result, values = run(program, rasters), interpret(program.graph, rasters)
        for conv, neuron in weighted_layers(program.graph).values():
            spikes = values[neuron.name].sum(0)
            np.testing.assert_array_equal(result.counts(conv.name), spikes, err_msg=f"{seed} {conv.name}")
            states = result.states[program.placement[conv.name]]
            np.testing.assert_array_equal(
                states, values[conv.name].sum(0) - spikes * neuron.threshold, err_msg=f"{seed} {conv.name}"
            )
            silent += not spikes.any()
    assert silent < EACH


@blocks
def test_files_load_equal(block: int, tmp_path: Path) -> None:
    for _, _, program in compiled(lambda seed: random_graph(seed, SPIKING), block):
        program.save(tmp_path / "program.chipflow")
        assert Program.load(tmp_path / "program.chipflow") == program


def by_name(program: Program, result: RunResult) -> list[tuple[str, list[int]]]:
    """All spikes in their order, cores by the names of their layers."""
    names = {record.core: record.name for record in program.layers}
    columns = [result.events[field].tolist() for field in ("layer", "t", "p", "y", "x")]
    return [(names[core], rest) for core, *rest in zip(*columns, strict=True)]


@blocks
def test_placements_make_no_difference_to_the_spikes(block: int) -> None:
    """One layer is pinned by chance, and one of the placements that remain is taken."""
    for seed, graph, program in compiled(lambda seed: random_graph(seed, SPIKING), block):
        rng, rasters = Random(seed), random_rasters(graph, seed)
        pin = {rng.choice(list(program.placement)): rng.choice(UNEVEN.core_ids)}
        place = rng.choice(alternatives(graph, UNEVEN, layer2core_map=pin, split=False, limit=8)).layer2core_map
        moved = compile(graph, UNEVEN, layer2core_map=place)
        assert moved.placement == place
        one, other = run(program, rasters, strict=False), run(moved, rasters, strict=False)
        assert by_name(program, one) == by_name(moved, other)
        for name, core in program.placement.items():
            np.testing.assert_array_equal(one.states[core], other.states[moved.placement[name]])
