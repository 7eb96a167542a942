"""A small network through all stages: what adds up, what is equal, and what is left out and said so."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chipflow import Program, Sensor, compile, open_device
from chipflow.compiler import lower
from chipflow.errors import ChipflowError, CompileError, EventError
from chipflow.events import EventArray, events_to_raster, make_events
from chipflow.ir.interpret import interpret
from chipflow.report import Comparison, compare
from chipflow.report.analog import analog_network
from chipflow.report.attribution import Estimate
from chipflow.report.float_numbers import float_numbers
from tests.backends.standin import standin

SHAPE, STEP_US = (2, 8, 8), 1000
ALL_STAGES = ["analog", "spiking", "quantised", "emulated chip"]


def small_model(bias: bool = False) -> nn.Sequential:
    """An ANN with spikes in every layer, and inhibition enough for the lower bound to matter."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(2, 4, 3, padding=1, bias=bias),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 3, bias=bias),
        nn.ReLU(),
    ]
    model = nn.Sequential(*layers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2).add_(0.02)
    return model.eval()


def recording(seed: int) -> EventArray:
    """1,000 events over 10 ms."""
    rng = np.random.default_rng(seed)
    x, y, p = (rng.integers(0, size, 1000) for size in (8, 8, 2))
    return make_events(x, y, np.sort(rng.integers(0, 10_000, 1000)), p)


RECORDINGS = [recording(seed) for seed in range(3)]
LABELS = [0, 1, 2]


@pytest.fixture(scope="module")
def model() -> nn.Sequential:
    return small_model()


@pytest.fixture(scope="module")
def program(model: nn.Sequential) -> Program:
    return compile(model, "speck2f", SHAPE)


@pytest.fixture(scope="module")
def found(program: Program, model: nn.Sequential) -> Comparison:
    return compare(program, RECORDINGS, LABELS, model=model, published=(0.985, 0.954))


def test_all_stages_that_there_are(found: Comparison) -> None:
    assert [stage.name for stage in found.stages] == ALL_STAGES
    assert [(pair.first, pair.second) for pair in found.pairs] == list(pairwise(ALL_STAGES))
    assert (found.base, found.recordings, found.time_step_us, found.output) == ("spiking", ("0", "1", "2"), STEP_US, "4")


def test_stages_in_time_steps_are_the_interpreter_s(found: Comparison, program: Program, model: nn.Sequential) -> None:
    for name, graph in (("spiking", lower(model, SHAPE)), ("quantised", program.graph)):
        values = [interpret(graph, events_to_raster(events, SHAPE, STEP_US, 10_000)) for events in RECORDINGS]
        for layer in program.placement:
            (neuron,) = graph.targets(layer)
            assert found.stage(name).spikes[layer] == pytest.approx(np.mean([value[neuron].sum() for value in values]))


def test_the_analog_stage_is_the_model_on_mean_rates(found: Comparison, model: nn.Sequential) -> None:
    means = [events_to_raster(events, SHAPE, STEP_US, 10_000).mean(axis=0) for events in RECORDINGS]
    with torch.no_grad():
        wanted = model(torch.tensor(np.array(means), dtype=torch.float32)).argmax(1).tolist()
    assert list(found.stage("analog").decisions) == wanted
    assert found.stage("analog").spikes == {}


def test_analog_answers_are_those_to_the_mean_of_a_step() -> None:
    model = small_model(bias=True)
    analog = analog_network(model, compile(model, "speck2f", SHAPE, time_step_us=STEP_US).graph, SHAPE)
    assert analog is not None
    mean = events_to_raster(RECORDINGS[0], SHAPE, STEP_US, 10_000).mean(axis=0)
    with torch.no_grad():
        wanted = model(torch.tensor(mean[np.newaxis], dtype=torch.float32))[0]
    np.testing.assert_allclose(analog.answer(RECORDINGS[0], STEP_US, 10_000), wanted.numpy(), rtol=1e-5)


def test_the_emulated_stage_is_the_emulator(found: Comparison, program: Program) -> None:
    results = [program.run(events, duration=10_000, monitor=list(program.placement)) for events in RECORDINGS]
    assert list(found.stage("emulated chip").decisions) == [result.prediction() for result in results]
    for layer in program.placement:
        assert found.stage("emulated chip").spikes[layer] == np.mean([result.counts(layer).sum() for result in results])


def test_shares_and_rest_add_up_and_nothing_is_left_of_a_chain(found: Comparison) -> None:
    for attribution in (*found.differing.values(), *found.more.values(), found.decisions, found.accuracy):
        assert attribution is not None
        assert [cause.cause for cause in attribution.causes] == ["rounding", "order", "clamp", "one_spike"]
        assert sum(cause.share.value for cause in attribution.causes) == pytest.approx(attribution.whole.value)
        assert attribution.rest.value == 0
    assert all(attribution.whole.value > 0 for attribution in found.differing.values())


def test_the_difference_is_where_counts_differ(found: Comparison) -> None:
    rounding, chip = found.pairs[1:]
    for layer in rounding.layers:
        (alone,) = (cause.alone for cause in found.differing[layer.layer].causes if cause.cause == "rounding")
        assert alone.value == pytest.approx(layer.differing)
    assert chip.first_differing == "0"
    assert chip.first_difference is not None
    assert chip.first_difference.layer == "0"


def test_text_and_document(found: Comparison) -> None:
    text = str(found)
    for words in (*ALL_STAGES, "clamping at each event", "unexplained rest", "98.5%", "McNemar", "first difference"):
        assert words in text
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert document["accuracy"]["causes"][0]["cause"] == "rounding"
    with pytest.raises(KeyError, match="stages are analog, spiking"):
        found.stage("board")


def test_text_fits_a_terminal(found: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert max(map(len, str(found).splitlines())) <= 100


def test_no_percentages_of_what_may_be_nothing(found: Comparison) -> None:
    whole = Estimate(2.0, -1.0, 5.0)
    unsure = replace(found.decisions, whole=whole)
    rows = str(replace(found, decisions=unsure, accuracy=None)).split("decisions that differ")[1].split("share:")[0]
    assert "%" not in rows.replace("[95%]", "")
    assert "%" in str(found).split("spikes that differ, means")[1].split("share:")[0].replace("[95%]", "")


def test_what_is_not_given_is_left_out_and_said_so(program: Program) -> None:
    found = compare(program, RECORDINGS[:1])
    assert [stage.name for stage in found.stages] == ALL_STAGES[2:]
    assert (found.base, found.accuracy, found.prospects) == ("quantised", None, None)
    assert [cause.cause for cause in found.decisions.causes] == ["order", "clamp", "one_spike"]
    assert sum("model=" in note or "labels=" in note for note in found.notes) == 2


def test_another_device_is_a_stage(program: Program) -> None:
    with open_device("emulator:speck2f") as device:
        found = compare(program, RECORDINGS[:1], device=device)
    (*_, last) = found.pairs
    assert (last.first, last.second) == ("emulated chip", "emulator:speck2f")
    assert all(layer.equal == 1 for layer in last.layers)
    assert last.first_difference is None


def test_biases_are_a_cause_where_steps_are_no_ticks() -> None:
    model = small_model(bias=True)
    program = compile(model, "speck2f", SHAPE, time_step_us=STEP_US)
    as_made = compare(program, RECORDINGS[:2], model=model)
    assert as_made.time_step_us == STEP_US
    (leak,) = (cause for cause in as_made.differing["0"].causes if cause.cause == "leak")
    assert leak.share.value == pytest.approx(0, abs=1e-9)
    longer = compare(program, RECORDINGS[:2], model=model, time_step_us=5 * STEP_US)
    (leak,) = (cause for cause in longer.differing["0"].causes if cause.cause == "leak")
    assert leak.alone.value > 0
    assert longer.differing["0"].rest.value == 0


def test_through_the_sensor_and_to_the_readout_block() -> None:
    model = small_model()
    program = compile(model, "speck2f", SHAPE, sensor=True, readout=True)
    found = compare(program, RECORDINGS[:1], model=model)
    direct = compare(compile(model, "speck2f", SHAPE), RECORDINGS[:1], model=model)
    assert [stage.decisions for stage in found.stages] == [stage.decisions for stage in direct.stages]
    assert [stage.spikes for stage in found.stages] == [stage.spikes for stage in direct.stages]


def test_the_sensor_s_front_end_comes_before_the_analog_network() -> None:
    model = small_model()
    front = Sensor("sensor", pooling=(2, 2))
    program = compile(model, "speck2f", (2, 16, 16), sensor=front)
    rng = np.random.default_rng(0)
    x, y, p = (rng.integers(0, size, 3000) for size in (16, 16, 2))
    events = make_events(x, y, np.sort(rng.integers(0, 9000, 3000)), p)
    found = compare(program, [events], model=model)
    assert [stage.name for stage in found.stages] == ALL_STAGES


def test_a_layer_in_parts_is_one_layer() -> None:
    model = small_model()
    whole = compile(model, "speck2f", SHAPE)
    parts = compile(model, "speck2f", SHAPE, layer2core_map={"0": [0, 1]})
    assert len(parts.layers) == len(whole.layers) + 1
    one, other = (compare(program, RECORDINGS[:1], model=model) for program in (whole, parts))
    assert one.stages[1].spikes == other.stages[1].spikes
    assert one.differing["0"] == other.differing["0"]
    assert (other.differing["4"].rest.low, other.differing["4"].rest.high) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recordings": []}, "no recordings"),
        ({"labels": [1]}, "1 labels for 3 recordings"),
        ({"recordings": iter(RECORDINGS[:1]), "labels": [1, 1]}, "2 labels for 1 recordings"),
        ({"names": ["one"]}, "1 names for 3 recordings"),
        ({"labels": [0, 1, 3]}, r"label 2 is 3: the output has features 0 to 2"),
        ({"labels": [0, 1, float("nan")]}, r"label 2 is nan"),
        ({"published": (0.9, 0.95)}, "0.9 and 0.95"),
        ({"time_step_us": 0}, "time_step_us .* from 1"),
        ({"program": "network.chipflow"}, "program is str: .* Program.load"),
    ],
)
def test_what_makes_no_sense_is_refused(program: Program, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ChipflowError, match=message):
        compare(**({"program": program, "recordings": RECORDINGS} | arguments))


def test_recordings_go_by_their_names(program: Program) -> None:
    found = compare(program, RECORDINGS[1:], names=["b.npz", "c.npz"], time_step_us=10_000)
    assert found.pairs[0].first_differing == "b.npz"
    assert "first difference: recording b.npz, layer 0" in str(found)
    decided = zip(found.recordings, *(stage.decisions for stage in found.stages), strict=True)
    assert found.pairs[0].decided_otherwise == tuple(name for name, a, b in decided if a != b)
    with pytest.raises(EventError, match=r"recording far: event 0 .*outside"):
        compare(program, [RECORDINGS[0], make_events([8], [1], [0], [0])], names=["near", "far"])


def test_means_are_over_recordings(program: Program) -> None:
    one, other, both = (compare(program, chosen) for chosen in (RECORDINGS[:1], RECORDINGS[1:2], RECORDINGS[:2]))
    for a, b, mean in zip(one.pairs[0].layers, other.pairs[0].layers, both.pairs[0].layers, strict=True):
        for name in ("equal", "differing", "more", "cosine"):
            assert getattr(mean, name) == pytest.approx((getattr(a, name) + getattr(b, name)) / 2)


def test_a_board_is_a_stage_and_what_it_lost_is_said(program: Program) -> None:
    with standin(lose_every=7), open_device("speck2fdevkit:0") as board:
        found = compare(program, RECORDINGS[:1], device=board)
    assert found.stages[-1].name == "speck2fdevkit:0"
    assert found.pairs[-1].layers[0].more < 0
    assert found.pairs[-1].first_differing == "0"
    assert any("speck2fdevkit:0" in note and "lost" in note for note in found.notes)


def test_what_begins_late_takes_no_longer(program: Program, model: nn.Sequential) -> None:
    late = RECORDINGS[0].copy()
    late["t"] += 1_000_000_000 * STEP_US
    one, other = (compare(program, [events], model=model) for events in (RECORDINGS[0], late))
    assert one.differing == other.differing
    assert one.stages[1] == other.stages[1]


def test_another_model_is_refused(program: Program) -> None:
    other = small_model()
    linear = other[4]
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight[1, 2] += 0.5
    with pytest.raises(CompileError, match=r"layer '4'.*1 of 192 differ"):
        compare(program, RECORDINGS, model=other)
    with torch.no_grad():
        linear.weight[1, 2] -= 0.5
    linear.bias = nn.Parameter(torch.full((3,), 0.5))
    with pytest.raises(CompileError, match=r"layer '4': bias.*3 of 3 differ"):
        compare(program, RECORDINGS, model=other)
    with pytest.raises(CompileError, match="no layer '4'"):
        float_numbers(program, lower(nn.Sequential(*list(other)[:2]), SHAPE))


def test_events_outside_are_refused_or_dropped(program: Program, model: nn.Sequential) -> None:
    outside = make_events([1, 8], [1, 1], [0, 5], [0, 0])
    with pytest.raises(EventError, match="outside"):
        compare(program, [outside], model=model)
    found = compare(program, [outside], model=model, on_outside="drop")
    assert found.recordings == ("0",)
