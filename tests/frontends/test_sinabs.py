"""Modules of sinabs as a graph: they compute the same, or are refused by layer and field."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chipflow import compile
from chipflow.errors import UnsupportedModelError
from chipflow.frontends.load import load
from chipflow.ir.interpret import interpret
from chipflow.ir.nodes import Iaf, Sensor
from tests.standins import chip_backend_of_sinabs

sinabs = pytest.importorskip("sinabs", reason="sinabs is an extra: pip install -e '.[sinabs]'")
sl, activation = sinabs.layers, sinabs.activation
backend = chip_backend_of_sinabs()
DVSLayer = backend.DVSLayer
Crop2d, FlipDims = backend.dvs_layer.Crop2d, backend.dvs_layer.FlipDims

Shape = tuple[int, ...]


def iaf(**options: Any) -> nn.Module:
    return sl.IAFSqueeze(batch_size=1, **options)


def assert_same(model: nn.Module, shape: Shape, steps: int = 6, rate: float = 0.7, seed: int = 0) -> None:
    """The graph of the module computes what the module computes on a raster, exactly: all numbers are multiples of 1/64."""
    model.eval()
    sinabs.reset_states(model)
    with torch.no_grad():
        for layer in (layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)):
            for parameter in layer.parameters():
                parameter.copy_((parameter * 64 + 4).round() / 64)
    given = np.random.default_rng(seed).poisson(rate, (steps, *shape))
    with torch.no_grad():
        expected = model(torch.from_numpy(given).float()).numpy()
    graph = load(model, shape)
    found = interpret(graph, given)[graph.outputs[0]]
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


def refused(model: nn.Module, shape: Shape = (2, 8, 8)) -> str:
    with pytest.raises(UnsupportedModelError) as caught:
        load(model, shape)
    return str(caught.value)


# Neurons.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spike_threshold": 0.75},
        {"spike_threshold": torch.tensor([0.75])},
        {"spike_threshold": torch.full((3, 6, 6), 0.5)},
        {"min_v_mem": -0.5},
        {"min_v_mem": 0.0},
        {"min_v_mem": torch.tensor(-1.5)},
        {"reset_fn": activation.MembraneReset()},
        {"reset_fn": activation.MembraneReset(), "min_v_mem": -0.25, "spike_threshold": 0.5},
        {"reset_fn": activation.MembraneSubtract(subtract_value=1.0)},
        {"spike_fn": activation.MaxSpike()},
        {"record_states": True},
    ],
)
def test_neurons_are_the_same(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    assert_same(nn.Sequential(nn.Conv2d(2, 3, 3), iaf(**options)), (2, 8, 8))


def test_a_models_time_and_batch_axes_and_states_do_not_matter() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3), sl.UnflattenTime(1), sl.IAF(min_v_mem=-1.0), sl.FlattenTime(), sl.SumPool2d(2)]
    model = nn.Sequential(*layers)
    assert_same(model, (2, 8, 8))
    assert layers[2].v_mem.any()
    five_axes = nn.Sequential(sl.Repeat(layers[0]), layers[2], sl.Repeat(layers[4]))
    given = np.random.default_rng(0).poisson(0.7, (6, 2, 8, 8))
    sinabs.reset_states(five_axes)
    with torch.no_grad():
        expected = five_axes(torch.from_numpy(given)[None].float())[0].numpy()
    graph = load(five_axes, (2, 8, 8))
    np.testing.assert_array_equal(interpret(graph, given)[graph.outputs[0]], expected)


@pytest.mark.parametrize(
    ("neuron", "field"),
    [
        (lambda: iaf(spike_threshold=torch.tensor([1.0, 2.0, 1.0])[:, None, None]), "spike_threshold has values from 1.0 to 2.0"),
        (lambda: iaf(min_v_mem=torch.tensor([-1.0, -2.0, 0.0])[:, None, None]), "min_v_mem has values from -2.0 to 0.0"),
        (lambda: iaf(spike_threshold=-1.0), "spike_threshold is -1.0"),
        (lambda: iaf(min_v_mem=0.5), "min_v_mem is 0.5"),
        (lambda: iaf(spike_fn=activation.SingleSpike), "spike_fn is SingleSpike.*MultiSpike"),
        (lambda: iaf(spike_fn=activation.MaxSpike(3)), "spike_fn is MaxSpike, at most 3 spikes.*MultiSpike"),
        (lambda: iaf(spike_fn=None), "spike_fn is None.*MultiSpike"),
        (lambda: iaf(spike_fn=_Custom), "spike_fn is _Custom.*MultiSpike"),
        (lambda: iaf(reset_fn=activation.MembraneSubtract(subtract_value=0.5)), "reset_fn subtracts 0.5.*subtract_value=None"),
        (lambda: iaf(reset_fn=activation.MembraneReset(reset_value=-0.5)), "reset_fn resets to -0.5.*reset_value=0"),
        (lambda: iaf(reset_fn=_Custom()), "reset_fn is _Custom.*MembraneSubtract"),
        (lambda: iaf(tau_syn=20.0), "tau_syn is 20.*tau_syn=None"),
        (lambda: _with(iaf(), norm_input=True), "norm_input is True"),
        (lambda: sl.IAFRecurrent(rec_connect=nn.Linear(3, 3)), r"rec_connect \(Linear\).*IAFSqueeze"),
        (lambda: sl.LIFRecurrent(rec_connect=nn.Linear(3, 3), tau_mem=2.0), r"LIFRecurrent has rec_connect"),
        (lambda: sl.LIF(tau_mem=5.0), "LIF has tau_mem=5.*IAFSqueeze"),
        (lambda: sl.LIF(tau_mem=5.0, train_alphas=True), "LIF has tau_mem=5.*IAFSqueeze"),
        (lambda: sl.LIFSqueeze(batch_size=1, tau_mem=torch.tensor([5.0])), "LIFSqueeze has tau_mem=5.*IAFSqueeze"),
        (lambda: sl.ALIF(tau_mem=5.0, tau_adapt=5.0), "ALIF .*adapt_scale.*IAFSqueeze"),
        (lambda: sl.ExpLeak(tau_mem=5.0), "ExpLeak has tau_mem and no spikes"),
        (lambda: sl.ExpLeakSqueeze(batch_size=1, tau_mem=5.0), "ExpLeakSqueeze"),
        (lambda: sl.NeuromorphicReLU(), "NeuromorphicReLU.*nn.ReLU.*spiking_model"),
        (lambda: sl.QuantizeLayer(), "QuantizeLayer rounds values"),
        (lambda: sl.SpikingMaxPooling2dLayer((2, 2)), "SpikingMaxPooling2dLayer.*SumPool2d"),
        (lambda: sl.Img2SpikeLayer((2, 6, 6)), "Img2SpikeLayer.*events"),
        (lambda: sl.Sig2SpikeLayer(2), "Sig2SpikeLayer.*events"),
        (lambda: _of_sinabs("Unheard")(), "Unheard of sinabs is not supported.*IAFSqueeze"),
        (lambda: sl.Repeat(nn.Sigmoid()), "Sigmoid is not supported, use ReLU"),
        (lambda: sl.Repeat(nn.Sequential(nn.ReLU())), "Sequential is not supported"),
    ],
)
def test_what_no_core_does_is_refused_by_layer_and_field(neuron: Callable[[], nn.Module], field: str) -> None:
    text = refused(nn.Sequential(nn.Conv2d(2, 3, 3), neuron()))
    assert text.startswith("layer '1': ")
    assert len(text.splitlines()) == 1
    with pytest.raises(AssertionError, match=field):
        raise AssertionError(text)


class _Custom:
    required_states = ("v_mem",)


def _with(module: nn.Module, **fields: Any) -> nn.Module:
    for name, value in fields.items():
        setattr(module, name, value)
    return module


def _of_sinabs(name: str) -> type[nn.Module]:
    return type(name, (nn.Module,), {"__module__": "sinabs.layers.later", "forward": lambda self, x: x})


def test_all_problems_of_a_neuron_are_said_at_once() -> None:
    text = refused(nn.Sequential(nn.Conv2d(2, 3, 3), iaf(spike_fn=activation.SingleSpike, tau_syn=3.0, min_v_mem=1.0)))
    assert all(field in text for field in ("spike_fn", "tau_syn", "min_v_mem"))


def test_users_own_subclasses_are_read_as_what_they_are() -> None:
    class Mine(sl.IAFSqueeze):
        pass

    class Louder(sl.SumPool2d):
        def forward(self, x: Any) -> Any:
            return torch.relu(super().forward(x))

    torch.manual_seed(0)
    assert_same(nn.Sequential(nn.Conv2d(2, 3, 3), Mine(batch_size=1)), (2, 8, 8))
    with pytest.raises(UnsupportedModelError, match="lp_pool2d"):
        load(nn.Sequential(nn.Conv2d(2, 3, 3), iaf(), Louder(2)), (2, 8, 8))


# What lies between layers.


class Two(nn.Module):
    """A layer of two inputs, from two convolutions and what follows on these."""

    def __init__(self, one: nn.Module, other: nn.Module, join: nn.Module) -> None:
        super().__init__()
        self.one, self.other, self.join = one, other, join

    def forward(self, x: Any) -> Any:
        return self.join(self.one(x), self.other(x))


def spikes(features: int, kernel: int = 3, *behind: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, features, kernel), iaf(), *behind)


@pytest.mark.parametrize(("one", "other"), [(3, 3), (3, 5), (5, 3), (1, 4)])
def test_merge_adds_and_fills_up_features(one: int, other: int) -> None:
    torch.manual_seed(0)
    assert_same(Two(spikes(one), spikes(other), sl.Merge()), (2, 8, 8))
    flat = Two(spikes(one, 3, nn.Flatten()), spikes(other, 3, nn.Flatten()), sl.Merge())
    assert_same(flat, (2, 8, 8))
    model = nn.Sequential(flat, nn.Linear(36 * max(one, other), 4), iaf())
    assert_same(model, (2, 8, 8))
    assert compile(model, "speck2f", (2, 8, 8)).violations().ok


def test_merge_of_different_maps_is_refused() -> None:
    text = refused(Two(spikes(3, 3), spikes(3, 5), sl.Merge()))
    assert text == "layer 'join': adds inputs of shapes (3, 6, 6) and (3, 4, 4), which must be equal"
    flat = Two(spikes(3, 3, nn.Flatten()), spikes(3, 5, nn.Flatten()), sl.Merge())
    with pytest.raises(UnsupportedModelError, match=r"layer '0\.join': adds flattened maps"):
        compile(nn.Sequential(flat, nn.Linear(108, 4), iaf()), "speck2f", (2, 8, 8))


def test_torch_would_broadcast_where_merge_fills_up() -> None:
    class Plus(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a + b

    assert "(1, 6, 6) and (3, 6, 6)" in refused(Two(spikes(1), spikes(3), Plus()))


@pytest.mark.parametrize("shift", [0, 1, 7])
def test_channel_shift_is_the_same(shift: int) -> None:
    torch.manual_seed(0)
    assert_same(spikes(3, 3, sl.ChannelShift(shift)), (2, 8, 8))
    shifted = Two(spikes(3, 3, sl.ChannelShift(shift)), spikes(2), sl.Merge())
    assert_same(nn.Sequential(shifted, nn.Conv2d(3 + shift, 2, 3), iaf()), (2, 8, 8))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (sl.ChannelShift(1, channel_axis=-2), "'2': channel_axis is -2.*channel_axis=-3"),
        (sl.ChannelShift(-1), "'2': 3 features shifted by -1"),
        (sl.SumPool2d(2, stride=1), "'2'.*do not overlap"),
        (sl.SumPool2d(2, ceil_mode=True), "'2'.*ceil_mode=False"),
        (nn.LPPool2d(2, 2), "'2': LPPool2d is not supported"),
    ],
)
def test_shifts_and_pools_that_cannot_be_are_refused(layer: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        load(spikes(3, 3, layer), (2, 8, 8))


@pytest.mark.parametrize("size", [2, 3, (1, 2), (2, 3)])
def test_sum_pools_are_the_same(size: Any) -> None:
    torch.manual_seed(0)
    assert_same(spikes(3, 3, sl.SumPool2d(size)), (2, 9, 9))
    assert_same(spikes(3, 3, sl.SumPool2d(size, size)), (2, 9, 9))


# What sinabs makes of a network.


def ann() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, 4))


def test_a_network_of_sinabs_is_its_spiking_model() -> None:
    network = sinabs.from_model(ann(), input_shape=(2, 8, 8), add_spiking_output=True, batch_size=1)
    graph = load(network)
    assert graph == load(network.spiking_model, (2, 8, 8)) == load(network, (2, 8, 8))
    assert graph.names == ("input", "0", "1", "2", "3", "4", "spike_output")
    inside = load(nn.Sequential(network), (2, 8, 8))
    assert inside.names[-1] == "0.spiking_model.spike_output"
    with pytest.raises(UnsupportedModelError, match="input_shape is not known"):
        load(sinabs.from_model(ann(), batch_size=1))


def test_networks_of_its_backend_are_refused() -> None:
    network = sinabs.from_model(ann(), add_spiking_output=True, batch_size=1)
    made = backend.DynapcnnNetwork(network, input_shape=(2, 8, 8))
    assert "DynapcnnNetwork is quantised for the backend of sinabs: compile the model that it was made from" in refused(made)
    assert "DynapcnnLayer is quantised" in refused(nn.Sequential(next(iter(made.dynapcnn_layers.values()))))


# The sensor's front end.

FLAGS = list(itertools.product((False, True), repeat=3))


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("crop", [None, ((1, 3), (0, 4)), ((0, -1), (1, -1)), ((2, 3), (3, 4))])
@pytest.mark.parametrize("pool", [(1, 1), (2, 1), (1, 2), (4, 2)])
@pytest.mark.parametrize(("merge", "channels"), [(False, 2), (True, 2), (True, 1), (False, 1)])
def test_the_front_end_is_the_same(flags: tuple[bool, bool, bool], crop: Any, pool: Any, merge: bool, channels: int) -> None:
    flip_x, flip_y, swap_xy = flags
    layer = DVSLayer((13, 16), pool, crop, merge, flip_x, flip_y, swap_xy)
    assert_same(layer, (channels, 13, 16), steps=2)


@pytest.mark.parametrize("disabled", [False, True])
def test_pixels_are_let_in_unless_disabled(disabled: bool) -> None:
    graph = load(DVSLayer((8, 8), disable_pixel_array=disabled), (2, 8, 8))
    (node,) = (node for node in graph.nodes if isinstance(node, Sensor))
    assert node.pixels is not disabled


def test_the_front_end_knows_the_shape_of_its_input() -> None:
    model = nn.Sequential(DVSLayer((8, 10), merge_polarities=True), nn.Conv2d(1, 2, 3), iaf())
    assert load(model).inputs[0].shape == (2, 8, 10)
    assert load(model, (1, 8, 10)).inputs[0].shape == (1, 8, 10)


def parts_of(seed: int) -> tuple[list[nn.Module], Shape]:
    """A few parts of a front end in any order, and the shape that they read."""
    rng = np.random.default_rng(seed)
    shape = (2, int(rng.integers(20, 25)), int(rng.integers(20, 25)))
    pool = [sl.SumPool2d(tuple(int(side) for side in rng.integers(1, 3, 2)))] if rng.random() < 0.5 else []
    return [*pool, *(part(rng) for _ in range(rng.integers(1, 4)))], shape


def part(rng: np.random.Generator) -> nn.Module:
    top, left, down, right = (int(number) for number in rng.integers(0, 2, 4))
    slices = ((top, -1 - down), (left, -1 - right))
    flags = [bool(flag) for flag in rng.integers(0, 2, 4)]
    kind = rng.integers(0, 4)
    if kind == 0:
        return Crop2d(slices)
    if kind == 1:
        return sl.Cropping2dLayer(((top, down), (left, right)))
    return FlipDims(*flags[:3]) if kind == 2 else DVSLayer((100, 100), (1, 1), slices, *flags)


@pytest.mark.parametrize("seed", range(60))
def test_parts_of_a_front_end_in_a_row_are_one(seed: int) -> None:
    parts, shape = parts_of(seed)
    model = nn.Sequential(*parts)
    assert_same(model, shape, steps=2)
    graph = load(model, shape)
    assert [type(node) for node in graph.nodes[1:]] == [Sensor]


def test_a_pool_in_front_belongs_to_the_front_end_and_one_behind_is_absorbed_later() -> None:
    torch.manual_seed(0)
    before = nn.Sequential(sl.SumPool2d(2), DVSLayer((8, 8), (1, 2)), nn.Conv2d(2, 2, 3), iaf())
    assert_same(before, (2, 16, 16))
    assert compile(before, "speck2f", (2, 16, 16)).config.dvs_layer.pooling == (2, 4)
    behind = nn.Sequential(Crop2d(((2, 14), (4, 16))), sl.SumPool2d(2), nn.Conv2d(2, 2, 3), iaf())
    assert_same(behind, (2, 16, 16))
    part = compile(behind, "speck2f", (2, 16, 16)).config.dvs_layer
    assert (part.pooling, part.origin, part.cut) == ((2, 2), (1, 2), (6, 7))


class Branching(nn.Module):
    """Two layers that read different ends of a front end."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.a, self.b = first, second, spikes(2), spikes(2)

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        return self.a(x), self.b(self.second(x))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (spikes(2, 3, Crop2d(((1, 3), (1, 3)))), "'2': it crops or mirrors behind layer '1'.*start of the network"),
        (spikes(4, 3, FlipDims(True)), r"'2': it reads \(4, 6, 6\)"),
        (nn.Sequential(nn.AvgPool2d(2), Crop2d(((0, 3), (0, 3))), spikes(2)), "'1': it crops or mirrors behind layer '0'"),
        (nn.Sequential(FlipDims(True), DVSLayer((8, 8), (2, 2)), spikes(2)), "'1': it pools behind a crop or mirror"),
        (
            nn.Sequential(DVSLayer((8, 8), crop=((0, 9), (0, 8))), spikes(2)),
            r"'0': .*\(9, 8\).*outside the pooled map of \(8, 8\)",
        ),
        (nn.Sequential(sl.Cropping2dLayer(((4, 4), (0, 0))), spikes(2)), "'0': .*outside the pooled map"),
        (nn.Sequential(nn.Flatten(), FlipDims(), nn.Linear(128, 2), iaf()), r"'1': it reads \(128,\)"),
        (Branching(DVSLayer((8, 8)), FlipDims(True)), "'first': layers read it and others read more"),
        (Two(FlipDims(True), FlipDims(False, True), sl.Merge()), "'other': the chip has one front end.*'one' is another"),
    ],
)
def test_what_no_front_end_does_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        load(model, (2, 8, 8))


# Without sinabs.


def test_sinabs_is_not_imported() -> None:
    code = (
        "import sys, torch; from torch import nn; from chipflow.frontends.load import load; load(nn.Conv2d(1, 1, 3), (1, 8, 8))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code + "; print(sorted({'sinabs', 'samna'} & set(sys.modules)))"], capture_output=True
    )
    assert run.stdout.split() == [b"[]"], run.stderr


def test_neurons_are_known_by_module_path_and_fields() -> None:
    """As EXODUS has them: of the same names, in a package below sinabs."""
    fields = {"spike_threshold": torch.tensor(2.0), "min_v_mem": None, "tau_syn": None, "norm_input": False}
    kind = type("IAFSqueeze", (nn.Module,), {"__module__": "sinabs.exodus.layers.iaf", "forward": lambda self, x: x})
    neuron = _with(kind(), spike_fn=activation.MultiSpike, reset_fn=activation.MembraneReset(), **fields)
    assert load(nn.Sequential(neuron), (2, 8, 8))["0"] == Iaf("0", 2.0, None, return_to_zero=True)
