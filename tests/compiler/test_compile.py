import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from chipflow import Program, compile, from_model
from chipflow.compiler import float_passes
from chipflow.errors import CompileError, MappingError, ProgramFileError, UnsupportedModelError
from chipflow.frontends.load import load
from chipflow.ir.interpret import interpret
from hwconfig import get_chip, synthetic_chip
from tests.compiler.networks import mnist_cnn, small_cnn


def test_the_mnist_network_lands_on_legal_cores():
    snn = from_model(mnist_cnn(), input_shape=(1, 28, 28), add_spiking_output=True)
    program = compile(snn, chip="speck2f")
    assert program.config.violations().ok
    assert set(program.placement) == {"0", "3", "6", "10", "12"}
    assert {program.placement["6"], program.placement["10"]} == {5, 6}
    assert compile(snn, chip="speck2f") == program
    for row in program.memory_rows():
        assert row["kernel"][0] <= row["kernel"][1]
        assert row["layer"] in program.summary()


def test_save_and_load_give_an_equal_program(tmp_path):
    program = compile(small_cnn(bias=True), input_shape=(2, 8, 8))
    program.save(tmp_path / "a.chipflow")
    assert Program.load(tmp_path / "a.chipflow") == program
    assert program.slow_clock_period_us == 1000


@pytest.mark.parametrize("cut", [0, 10, 1000, -3])
def test_truncated_program_files_are_refused(tmp_path, cut):
    path = tmp_path / "a.chipflow"
    compile(small_cnn(), input_shape=(2, 8, 8)).save(path)
    path.write_text(path.read_text()[:cut])
    with pytest.raises(ProgramFileError, match="truncated"):
        Program.load(path)


@pytest.mark.parametrize("edit", [("config", "cnn_layers", "4", "threshold_high"), ("layers", 0, "core"), ("inputs",)])
def test_edited_program_files_are_refused(tmp_path, edit):
    path = tmp_path / "a.chipflow"
    compile(small_cnn(), input_shape=(2, 8, 8), layer2core_map={"0.0": 4}).save(path)
    document = json.loads(path.read_text())
    part = document
    for key in edit[:-1]:
        part = part[key]
    part[edit[-1]] = {"input": [3]} if edit == ("inputs",) else part[edit[-1]] + 1
    path.write_text(json.dumps(document))
    with pytest.raises(ProgramFileError, match="edited by hand"):
        Program.load(path)


@pytest.mark.parametrize("bias", [False, True])
def test_every_pass_keeps_what_the_network_computes(bias):
    snn = from_model(small_cnn(bias), input_shape=(2, 8, 8), add_spiking_output=True)
    raster = np.random.default_rng(0).integers(0, 4, (20, 2, 8, 8))
    snn.reset_states()
    with torch.no_grad():
        expected = snn.double()(torch.from_numpy(raster)[None].double())[0].numpy()
    graph = load(snn, None)
    assert expected.sum() > 0
    for step in (lambda graph: graph, *float_passes(get_chip("speck2f"))):
        graph = step(graph)
        out = interpret(graph, raster)[graph.names[-1]]
        np.testing.assert_allclose(out.reshape(expected.shape), expected, rtol=1e-5)


def test_all_refusals_at_once_with_what_to_use_instead():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, groups=1, dilation=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.Sigmoid())
    with pytest.raises(UnsupportedModelError) as caught:
        compile(model, input_shape=(1, 12, 12))
    text = str(caught.value)
    for part in ("'0'", "dilation", "'2'", "AvgPool2d", "'4'", "ReLU"):
        assert part in text


def test_limits_name_the_layer():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 20 * 20, 4))
    with pytest.raises(CompileError) as caught:
        compile(model, input_shape=(1, 60, 60))
    assert "'0'" in str(caught.value)
    assert "'3'" in str(caught.value)


def test_mapping_error_has_the_table_and_the_competing_layers():
    chip = synthetic_chip([(65536, 65536, 1024), (64, 64, 0), (64, 64, 0)])
    with pytest.raises(MappingError) as caught:
        compile(small_cnn(), chip, (2, 8, 8))
    text = str(caught.value)
    for part in ("compete for", "'0.0'", "'1.2'", "kernel", "> 64"):
        assert part in text


def test_pins():
    program = compile(small_cnn(), input_shape=(2, 8, 8), layer2core_map={"1.5": 8})
    assert program.placement["1.5"] == 8
    for wrong in ({"nowhere": 1}, {"1.5": 11}, {"1.5": 3, "1.2": 3}):
        with pytest.raises(MappingError, match="layer2core_map"):
            compile(small_cnn(), input_shape=(2, 8, 8), layer2core_map=wrong)


def test_the_configuration_carries_the_layers_names_and_where_it_came_from():
    program = compile(small_cnn(), input_shape=(2, 8, 8), quantization="sinabs")
    assert {name: core for core, name in program.config.layer_names.items()} == program.placement
    made = program.config.provenance
    assert made.tool == f"chipflow {version('chipflow')}"
    assert made.options == {
        "quantization": "sinabs",
        "time_step_us": 1000,
        "calibrated": False,
        "objective": "memory",
        "split": True,
    }
    assert made.seed is None


def test_the_model_hash_is_of_the_model_alone():
    def model_hash(model, **options):
        return compile(model, input_shape=(2, 8, 8), **options).config.provenance.model_hash

    model = small_cnn()
    first = model_hash(model)
    assert first == model_hash(model, chip="speck2e", layer2core_map={"1.5": 8})
    with torch.no_grad():
        model[0][0].weight[0, 0, 0, 0] += 1e-3
    assert model_hash(model) != first


def test_the_rules_know_the_programs_clock_and_entries():
    program = compile(small_cnn(bias=True), input_shape=(2, 8, 8))
    assert "slow-clock" in {violation.rule for violation in program.config.violations().violations}
    assert "slow-clock" not in {violation.rule for violation in program.violations().violations}


def test_a_program_of_the_first_schema_version_is_still_read():
    program = Program.load(Path(__file__).parent / "golden" / "program_v1.chipflow")
    assert program.placement == {"0": 8, "4": 7}
    assert program.config.layer_names == {8: "0", 7: "4"}
    assert program.config.provenance.options["quantization"] == "default"
    assert program.violations().ok


def test_parallel_cores_hold_input_layers_as_long_as_others_have_the_room():
    """The two rules about them warn of an input layer's lost first event, and of nothing else."""
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 4, 8, stride=8),
        nn.ReLU(),
    )
    program = compile(model, input_shape=(2, 64, 64))
    assert "parallel-core" not in {violation.rule for violation in program.violations().violations}
    assert program.placement["2"] == 2
