"""The frontend for torch: modules and networks as a graph that computes the same, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chipflow import compile, snn
from chipflow.errors import UnsupportedModelError
from chipflow.frontends.load import load
from chipflow.ir.nodes import Flatten, Iaf, Relu
from tests.frontends.torch_networks import SHAPE, Calls, assert_same, conv, refused

# Modules.


@pytest.mark.parametrize(
    "layers",
    [
        [conv(padding="valid")],
        [conv(padding="same")],
        [conv(2, 3, 4, stride=(2, 1), padding=(1, 0), bias=False)],
        [nn.Conv2d(2, 3, (1, 3), padding=(0, 1))],
        [conv(), nn.BatchNorm2d(3), nn.ReLU()],
        [conv(), nn.BatchNorm2d(3, affine=False), nn.ReLU()],
        [nn.Flatten(), nn.Linear(128, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2, bias=False)],
        [nn.AvgPool2d(2), nn.AvgPool2d((1, 2)), nn.AdaptiveAvgPool2d((2, 1)), nn.AdaptiveAvgPool2d((None, 1))],
        [snn.SumPool2d(2), nn.Dropout(), nn.Dropout2d(), nn.Identity(), nn.Flatten()],
    ],
)
def test_modules_compute_the_same(layers: Sequence[nn.Module]) -> None:
    assert_same(nn.Sequential(*layers))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.MaxPool2d(2), "MaxPool2d is not supported, use AvgPool2d"),
        (nn.AdaptiveMaxPool2d(1), "use AdaptiveAvgPool2d"),
        (nn.AvgPool2d(3, 2), r"kernel \(3, 3\) and stride \(2, 2\) differ"),
        (nn.AvgPool2d(2, padding=1), "padding and ceil_mode"),
        (nn.AvgPool2d(2, divisor_override=3), "divisor_override is 3"),
        (nn.AdaptiveAvgPool2d(4), r"\(6, 6\) does not divide into \(4, 4\)"),
        (nn.Flatten(0), "flattens axes 0 to -1: use start_dim=1"),
        (conv(4, 4, groups=2), "groups is 2.*groups=1"),
        (conv(3, 3, dilation=2), "dilation is .*dilation=1"),
        (conv(3, 3, padding_mode="reflect", padding=1), "padding_mode is 'reflect'"),
        (nn.Conv2d(3, 3, 2, padding="same"), "padding is 'same'.*in numbers"),
        (conv(2, 3), "'1': a convolution of 2 channels got an input of shape"),
        (conv(3, 3, 9), "larger than the padded input"),
        (nn.Linear(6, 3), "flatten first"),
        (nn.BatchNorm2d(3, track_running_stats=False), "track_running_stats=True"),
        (nn.BatchNorm2d(4), "a batch normalisation of 4 features"),
        (nn.Sigmoid(), "Sigmoid is not supported, use ReLU"),
        (nn.LeakyReLU(), "LeakyReLU is not supported, use ReLU"),
        (nn.Softmax(1), "leave it out, and compare spike counts"),
        (nn.GroupNorm(1, 3), "use BatchNorm2d"),
        (nn.Conv1d(3, 3, 1), "use Conv2d on a map of height 1"),
        (nn.ConvTranspose2d(3, 3, 2), "no transposed convolution"),
        (nn.Upsample(scale_factor=2), "cannot enlarge maps"),
        (nn.PixelShuffle(1), "PixelShuffle is not supported, use layers that are known"),
        (nn.LSTM(3, 3), "LSTM is not supported, no layer reads its own output"),
        (nn.MultiheadAttention(3, 1), "MultiheadAttention is not supported, use layers that are known"),
    ],
)
def test_modules_are_refused_by_name_and_with_what_to_use(layer: nn.Module, message: str) -> None:
    text = refused(nn.Sequential(conv(), layer))
    assert text.startswith("layer '1': ")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(text)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_neurons_compute_the_same(reset: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(conv(), snn.IAF(0.75, -0.5, reset, num_timesteps=5), nn.Flatten(), nn.Linear(108, 4))
    assert_same(nn.Sequential(model, snn.IAF(1.5, None, num_timesteps=5)))


def test_all_refusals_come_at_once() -> None:
    text = refused(nn.Sequential(conv(), nn.Sigmoid(), nn.MaxPool2d(2), conv(3, 3), nn.Flatten(0), nn.LSTM(3, 3)))
    assert [line.split(":")[0] for line in text.splitlines()] == ["layer '1'", "layer '2'", "layer '4'", "layer '5'"]


# Networks.


class Residual(nn.Module):
    """A block of a ResNet, with or without a convolution on the way around."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.around = None
        if stride > 1 or inputs != outputs:
            self.around = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.around is not None:
            identity = self.around(x)
        out += identity
        return self.relu(out)


class Inception(nn.Module):
    """Ways of different kernels beside each other."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.ways = nn.ModuleList(nn.Conv2d(inputs, 2, size, padding=size // 2) for size in (1, 3, 5))
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(torch.cat([F.relu(way(x)) for way in self.ways], dim=1))


class Dense(nn.Module):
    """Each layer reads all before it."""

    def __init__(self, inputs: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(inputs + i * growth, growth, 3, padding=1) for i in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, torch.relu(layer(x))], 1)
        return x


class UShaped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up, self.last = conv(2, 3, stride=2, padding=1), nn.Upsample(scale_factor=2), conv(5, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([self.up(self.down(x)), x], 1))


def head(features: int, *sides: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(features * int(np.prod(sides)), 4))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(conv(2, 4, padding=1), nn.ReLU(inplace=True), Residual(4, 4), Residual(4, 6, stride=2), head(6, 4, 4)),
        nn.Sequential(Inception(2), Inception(6), head(6, 2, 2)),
        nn.Sequential(Dense(2, 3, 3), nn.AvgPool2d(2), head(11, 4, 4)),
        nn.Sequential(nn.Sequential(nn.Sequential(conv())), nn.ReLU(), nn.Sequential(nn.Identity(), head(3, 6, 6))),
    ],
)
def test_networks_compute_the_same(model: nn.Module) -> None:
    graph = assert_same(model)
    assert set(graph.names) >= {name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}


@pytest.mark.parametrize("name", ["residual", "inception", "dense"])
def test_networks_compile(name: str) -> None:
    blocks = {
        "residual": [conv(2, 4, padding=1), nn.ReLU(), Residual(4, 4)],
        "inception": [Inception(2)],
        "dense": [Dense(2, 3, 2)],
    }
    features = {"residual": 4 * 64, "inception": 6 * 16, "dense": 8 * 64}[name]
    model = nn.Sequential(*blocks[name], nn.Flatten(), nn.Linear(features, 4)).eval()
    assert compile(model, "speck2f", SHAPE).violations().ok


def test_a_u_shaped_network_is_refused() -> None:
    assert refused(UShaped()) == (
        "layer 'up': Upsample is not supported, the chip cannot enlarge maps: let earlier layers have smaller strides and pools "
        "(known are Conv2d, Linear, BatchNorm, ReLU/IAF, AvgPool2d, SumPool2d, Flatten, sums, concatenations, Dropout and Identity)"
    )


# Outputs and inputs.


def test_several_outputs_in_the_users_order() -> None:
    def as_tuple(net: Any, x: Tensor) -> Any:
        y = net.conv(x)
        return net.other(x), y, F.relu(y)

    def as_dict(net: Any, x: Tensor) -> Any:
        return {"b": net.other(x), "a": net.conv(x)}

    layers = {"conv": conv(), "other": conv()}
    assert assert_same(Calls(as_tuple, **layers)).outputs == ("other", "conv", "relu")
    assert assert_same(Calls(as_dict, **layers)).outputs == ("other", "conv")
    assert load(Calls(lambda net, x: [net.conv(x), (net.other(x),)], **layers), SHAPE).outputs == ("conv", "other")


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(2, 3), conv(1, 3, 5)

    def forward(self, left: Tensor, right: Tensor, unused: Any = None) -> Tensor:
        return torch.relu(self.a(left) + self.b(right))


def test_several_inputs_by_name() -> None:
    shapes = {"left": (2, 8, 8), "right": (1, 10, 10)}
    graph = assert_same(TwoInputs(), shapes)
    assert {node.name: node.shape for node in graph.inputs} == shapes
    assert graph.names[:2] == ("left", "right")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ((2, 8, 8), "reads a second input 'right': give input_shape as a mapping"),
        ({"left": (2, 8, 8)}, "input_shape names inputs left, and not 'right'"),
        ({"left": (2, 8, 8), "right": (1, 10, 10), "third": (1, 1, 1)}, "input_shape names 'third'"),
        ({"left": (2, 8), "right": (1, 10, 10)}, r"input_shape of 'left' is \(2, 8\)"),
        ({"left": (2, 8, 8), "right": (1, 9, 9)}, r"\(3, 6, 6\) and \(3, 5, 5\)"),
        (None, "input_shape is not known"),
    ],
)
def test_input_shapes_that_do_not_fit(shapes: Any, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        load(TwoInputs(), shapes)


def test_a_network_of_vectors() -> None:
    assert_same(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), (6,))


# Names and uses.


def test_a_layer_is_named_as_in_the_model() -> None:
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(conv(), nn.ReLU()))
    model.add_module("head", head(3, 6, 6))
    assert load(model, SHAPE).names == ("input", "features.0", "features.1", "head.0", "head.1")
    assert load(conv(), SHAPE).names == ("input", "0")


@pytest.mark.parametrize(
    ("layer", "kind"), [(conv(2, 2, padding=1), "conv"), (snn.IAF(), "neurons"), (nn.Linear(8, 8), "linear")]
)
def test_a_layer_with_weights_or_states_is_used_once(layer: nn.Module, kind: str) -> None:
    text = refused(Calls(lambda net, x: net.layer(F.relu(net.layer(x))), layer=layer), SHAPE if kind != "linear" else (8,))
    assert text == "layer 'layer' is used twice: a core holds one use, give each its own module"
    shared = nn.Sequential(layer, nn.ReLU(), layer)
    assert "layer '0' is used twice" in refused(shared, SHAPE if kind != "linear" else (8,))


def test_other_layers_may_be_used_again() -> None:
    def wiring(net: Any, x: Tensor) -> Tensor:
        x = net.drop(net.pool(net.relu(net.first(x))))
        x = net.drop(net.pool(net.relu(net.second(x))))
        return net.flat(net.flat(x))

    layers = {"relu": nn.ReLU(), "pool": nn.AvgPool2d(2), "drop": nn.Dropout(), "flat": nn.Flatten()}
    graph = assert_same(Calls(wiring, first=conv(2, 3, padding=1), second=conv(3, 4, padding=1), **layers))
    assert [type(node) for node in graph.nodes].count(Relu) == 2


def test_names_of_functions_give_way_to_those_of_layers() -> None:
    def wiring(net: Any, x: Tensor) -> Tensor:
        x = torch.relu(net.input(x))
        x = torch.relu(net.relu_1(x))
        return net.add(x) + net.flatten(x)

    model = Calls(wiring, input=conv(), relu_1=conv(3, 3), add=conv(3, 3), flatten=conv(3, 3))
    graph = assert_same(model)
    assert set(graph.names) == {"input_", "input", "relu", "relu_1", "relu_2", "add", "flatten", "add_1"}


def test_users_layers_are_looked_into_and_users_kinds_of_layers_are_known() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv(2, 2, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.conv(x))

    class MyConv(nn.Conv2d):
        pass

    class MyReLU(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 2

    class MyStack(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            for layer in self:
                x = F.avg_pool2d(layer(x), 2)
            return x

    graph = assert_same(nn.Sequential(Block(), Block(), MyStack(MyConv(2, 3, 3, padding=1), MyReLU())))
    assert graph.names[:4] == ("input", "0.conv", "relu", "1.conv")


def test_a_kind_of_layer_that_computes_otherwise_is_not_taken_for_its_parent() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight - self.weight.mean((1, 2, 3), keepdim=True), self.bias)

    text = refused(nn.Sequential(Standardised(2, 3, 3)))
    assert "the parameter '0.weight' is used outside of a module; use a layer for it" in text
    patched = conv()
    patched.forward = lambda x: F.relu(x)
    assert load(nn.Sequential(patched), SHAPE).names == ("input", "relu")


def test_parametrised_weights_are_read_as_they_are() -> None:
    assert_same(nn.Sequential(nn.utils.parametrizations.weight_norm(conv())))


def test_constants_are_refused() -> None:
    def wiring(net: Any, x: Tensor) -> Tensor:
        return net.conv(x) * net.factor

    model = Calls(wiring, conv=conv())
    model.register_buffer("factor", torch.tensor(2.0))
    assert "layer 'factor': the parameter 'factor' is used outside of a module; use a layer for it" in refused(model)


def test_dead_code_does_not_matter() -> None:
    def wiring(net: Any, x: Tensor) -> Tensor:
        y = net.conv(x)
        torch.sigmoid(net.other(y))
        return F.relu(y)

    graph = assert_same(Calls(wiring, conv=conv(), other=conv(3, 3)))
    assert graph.names == ("input", "conv", "relu")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda net, x: net.conv(x) if x.sum() > 0 else x, "control flow"),
        (lambda net, x: [net.conv(x) for _ in range(int(x.size(0)))], "torch.fx cannot trace Calls"),
        (lambda net, x: torch.cat([net.conv(y) for y in x]), "Proxy object cannot be iterated"),
    ],
)
def test_conditions_on_data_are_refused_with_the_reason(function: Callable[..., Any], reason: str) -> None:
    text = refused(Calls(function, conv=conv()))
    assert reason in text
    assert "torch.fx cannot trace Calls" in text
    assert "without conditions that depend on data" in text


@pytest.mark.parametrize("model", [nn.Sequential(), Calls(lambda net, x: net.conv(x), conv=nn.Identity())])
def test_a_network_that_does_nothing_is_refused(model: nn.Module) -> None:
    assert refused(model) == "the network does not read its input 'input'"


def test_a_network_without_input_or_output_is_refused() -> None:
    class NoInput(nn.Module):
        def forward(self) -> Tensor:
            return torch.zeros(1)

    with pytest.raises(UnsupportedModelError):
        load(NoInput(), SHAPE)
    assert "answer is no layer's output" in refused(Calls(lambda net, x: net.conv(x).shape, conv=conv()))


def test_a_network_of_chipflow_and_a_graph_are_taken() -> None:
    network = snn.from_model(nn.Sequential(conv(), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4)), SHAPE, add_spiking_output=True)
    graph = load(network)
    assert [node.name for node in graph.nodes if isinstance(node, Iaf)] == ["1", "spike_output"]
    assert any(isinstance(node, Flatten) for node in graph.nodes)
    assert load(graph) is graph
