"""The networks of sinabs' own tests for its chip backend: read, lowered, compiled and run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chipflow import Program, compile
from chipflow.compiler import float_passes
from chipflow.errors import CompileError, MappingError, UnsupportedModelError
from chipflow.events import raster_to_events
from chipflow.frontends.load import load
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import interpret
from chipflow.ir.nodes import Iaf, Sensor
from chipflow.passes.sensor import with_sensor
from hwconfig import get_chip
from tests.compiler.sinabs_modules import branch, conv, deep_ann, dense, iaf, sinabs, sl
from tests.compiler.sinabs_networks import FILES, LEFT_OUT, NETWORKS, build, build_excitatory, raster

all_networks = pytest.mark.parametrize("name", NETWORKS)
RTOL = 1e-5


def answers(model: nn.Module, given: Any) -> list[Any]:
    """What the module of sinabs computes itself; its axis 0 is batch and time in one."""
    with torch.no_grad():
        out = model(torch.from_numpy(given).float())
    return [values.numpy() for values in (out if isinstance(out, tuple) else (out,))]


def assert_answers(graph: Graph, given: Any, expected: Sequence[Any]) -> None:
    values = interpret(graph, given)
    for name, wanted in zip(graph.outputs, expected, strict=True):
        np.testing.assert_allclose(values[name].reshape(wanted.shape), wanted, rtol=RTOL)


def compiled(name: str, model: nn.Module | None = None, **options: Any) -> Program:
    network = NETWORKS[name]
    return compile(build(name) if model is None else model, "speck2f", network.input_shape, sensor=network.sensor, **options)


@all_networks
def test_it_compiles_to_a_configuration_without_errors(name: str) -> None:
    program = compiled(name)
    assert program.violations().ok
    assert len(program.layers) == len([node for node in program.graph.nodes if isinstance(node, Iaf)])


@all_networks
def test_the_graph_computes_what_the_module_computes(name: str) -> None:
    model, given = build(name), raster(name)
    expected = answers(model, given)
    assert all(values.any() for values in expected)
    assert_answers(load(model, NETWORKS[name].input_shape), given, expected)


@all_networks
def test_every_pass_keeps_what_it_computes(name: str) -> None:
    model, given = build(name), raster(name)
    expected = answers(model, given)
    graph = load(model, NETWORKS[name].input_shape)
    if NETWORKS[name].sensor:
        graph = with_sensor(graph, Sensor(), graph.inputs[0].shape)
    for step in float_passes(get_chip("speck2f")):
        graph = step(graph)
        assert_answers(graph, given, expected)


@all_networks
def test_counts_and_end_states_of_the_run_are_those_of_the_quantised_graph(name: str) -> None:
    """Where weights lie between 0 and the threshold and nothing is clamped, no order of events changes them."""
    program = compiled(name, build_excitatory(name))
    given = raster(name, rate=0.2 if NETWORKS[name].input_shape[-1] > 64 else 0.4)
    result = program.run(raster_to_events(given), monitor=[layer.name for layer in program.layers])
    values = interpret(program.graph, given)
    for layer in program.layers:
        (neuron,) = (program.graph[target] for target in program.graph.targets(layer.name))
        assert isinstance(neuron, Iaf)
        spikes = values[neuron.name].sum(0)
        assert spikes.any(), layer.name
        np.testing.assert_array_equal(result.counts(layer.name), spikes)
        np.testing.assert_array_equal(result.states[layer.core], values[layer.name].sum(0) - spikes * neuron.threshold)


def test_every_test_file_of_sinabs_for_its_backend_is_accounted_for() -> None:
    sources = ", ".join(network.source.replace(":", ",") for network in NETWORKS.values()).split(", ")
    files = {f"{folder}/{file}" for folder, names in FILES.items() for file in names}
    assert files - set(sources) == set(LEFT_OUT)


def test_the_one_of_two_networks_that_uses_its_head_twice_is_refused_by_name() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other, self.head = branch(), branch(), dense(196, 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.one(x)), self.head(self.other(x))

    with pytest.raises(UnsupportedModelError, match=r"'head\.0' is used twice: .*\n.*'head\.1' is used twice"):
        compile(Shared(), "speck2f", (2, 34, 34))


@pytest.mark.parametrize("outputs", [1, 2, 12])
def test_the_readout_layer_is_extended(outputs: int) -> None:
    """As `extend_readout_layer` of sinabs in test_large_net.py: every fourth feature is a class."""
    program = compile(sinabs.from_model(deep_ann(outputs), batch_size=1), "speck2f", (2, 128, 128), readout=True)
    last = program.config.core(program.layers[-1].core)
    assert last.dimensions.output_shape == (4 * (outputs - 1) + 1, 1, 1)


def test_layers_can_be_monitored_by_name() -> None:
    """As test_monitoring.py: none, some, all."""
    model, names = build("deep_sensor"), [layer.name for layer in compiled("deep_sensor").layers]
    for chosen in ([], names[5:6], names):
        program = compiled("deep_sensor", model, monitor=chosen)
        assert [layer.name for layer in program.layers if program.config.core(layer.core).monitor_enable] == chosen


def test_only_layers_with_biases_leak() -> None:
    """As bias_nobias of test_individual_cases.py, and test_neuron_leak.py."""
    program = compiled("bias_and_none")
    assert [program.config.core(layer.core).leak_enable for layer in program.layers] == [True, False]
    assert [len(core.biases) for core in _cores(compiled("leaking"))] == [2, 8, 16]


def _cores(program: Program) -> list[Any]:
    return [program.config.core(layer.core) for layer in program.layers]


@pytest.mark.parametrize("chip", ["speck2e", "speck2f", "speck2b", "dynapcnn"])
def test_mnist_lands_on_chips_with_nine_cores(chip: str) -> None:
    """As test_auto_mapping.py and test_config_making.py."""
    assert compile(build("mnist"), chip, (1, 28, 28)).violations().ok


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith(("mirrored", "cropped", "pooled_behind"))])
def test_the_front_end_is_in_the_configuration(name: str) -> None:
    """As verify_dvs_config of test_dvs_input.py."""
    part, core = compiled(name).config.dvs_layer, compiled(name).layers[0].core
    assert [target.layer for target in part.enabled_destinations] == [core]
    cropped, merged = name.startswith("cropped"), name.endswith("merged")
    pooling = (1, 2) if cropped else (2, 4) if name.startswith("pooled") else (1, 1)
    assert (part.pooling, part.merge, part.pass_sensor_events) == (pooling, merged, merged)
    assert (part.origin, part.cut) == (
        ((20, 12), (61, 31)) if cropped else ((0, 0), (16 // pooling[0] - 1, 16 // pooling[1] - 1))
    )
    flags = f"{part.mirror[1]:d}{part.mirror[0]:d}{part.mirror_diagonal:d}"
    assert flags == (name[-3:] if name.startswith("mirrored") else "000")


# The networks that sinabs refuses, in test_failcases.py and test_individual_cases.py.

TOO_LARGE = nn.Sequential(conv(1, 3, 5, nn.AvgPool2d(2)), conv(3, 1, 5, nn.AvgPool2d(2)), nn.Flatten(), dense(16, 99999))
NO_SPIKES = [nn.Flatten(), nn.Linear(512, 10), nn.Linear(10, 2)]
REFUSED: dict[str, tuple[nn.Module, tuple[int, int, int], str]] = {
    "starts with neurons": (nn.Sequential(iaf(), sl.SumPool2d(2), nn.AvgPool2d(2)), (2, 28, 28), "layer '2"),
    "no neurons at the end": (nn.Sequential(conv(2, 8, 3), nn.Flatten(), nn.Linear(8 * 26 * 26, 5)), (2, 28, 28), "'2'"),
    "no neurons between": (nn.Sequential(*NO_SPIKES, iaf()), (2, 16, 16), "'1'"),
    "no neurons": (nn.Sequential(*NO_SPIKES), (2, 16, 16), "'1'"),
    "no layers": (nn.Sequential(), (2, 10, 10), "does not read its input"),
    "ReLU": (nn.Sequential(conv(1, 3, 5), nn.Conv2d(3, 3, 5), nn.ReLU()), (1, 28, 28), "'2'"),
    **{
        name: (nn.Sequential(nn.Conv2d(1, 3, 5, bias=False), layer), (1, 28, 28), f"'1'.*{name}.*{advice}")
        for name, layer, advice in [
            ("Sigmoid", nn.Sigmoid(), "ReLU"),
            ("Tanh", nn.Tanh(), "ReLU"),
            ("LIF", sl.LIF(tau_mem=5.0), "IAFSqueeze"),
            ("LIFSqueeze", sl.LIFSqueeze(batch_size=1, tau_mem=5.0), "IAFSqueeze"),
            ("NeuromorphicReLU", sl.NeuromorphicReLU(), "from_model"),
        ]
    },
    "crop inside": (nn.Sequential(nn.Conv2d(1, 2, 5), iaf(), sl.Cropping2dLayer(), conv(2, 2, 3)), (1, 28, 28), "'2'.*sensor"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_sinabs_refuses_is_refused_by_name(case: str) -> None:
    model, shape, message = REFUSED[case]
    with pytest.raises(UnsupportedModelError, match=message):
        compile(model, "speck2f", shape)


def test_too_many_features_are_refused_by_name() -> None:
    with pytest.raises((MappingError, CompileError), match=r"'3\.0'"):
        compile(TOO_LARGE, "speck2f", (1, 28, 28))


def test_pools_of_sizes_that_no_chip_has_are_refused_by_name() -> None:
    """Why model_dummy_1 of test_dynapcnnlayer is left out: it pools by 3."""
    model = nn.Sequential(conv(2, 10, 2, nn.AvgPool2d(3, 3)), conv(10, 10, 4))
    with pytest.raises(MappingError, match=r"'0\.0' is beyond what speck2f allows: pooling 3 towards layer '1\.0'"):
        compile(model, "speck2f", (2, 34, 34))
