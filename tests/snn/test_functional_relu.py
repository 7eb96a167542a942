"""from_model for modules that call relu functions, or one ReLU in several places: each place has neurons of its own."""

import copy
import itertools
import pickle
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from chipflow import compile
from chipflow.errors import ChipflowError, UnsupportedModelError
from chipflow.snn import IAF, SumPool2d, from_model
from chipflow.snn.stateful import stateful_layers

SIZES = (6, 9, 8, 7, 5)


def spikes(*shape, rate=0.4):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(3)) < rate).float()


def neurons(network):
    return [name for name, _ in stateful_layers(network.spiking_model)]


def in_place(function):
    """As a statement, whose result nobody takes."""

    def call(x):
        function(x)
        return x

    return call


CALLS = {
    "F.relu": F.relu,
    "F.relu, in place": in_place(lambda x: F.relu(x, inplace=True)),
    "F.relu, in place by position": lambda x: F.relu(x, True),
    "F.relu_": in_place(F.relu_),
    "torch.relu": torch.relu,
    "torch.relu, by keyword": lambda x: torch.relu(input=x),
    "torch.relu_": in_place(torch.relu_),
    "method": lambda x: x.relu(),
    "method in place": in_place(lambda x: x.relu_()),
}


class Calls(nn.Module):
    """A chain of linear layers, and between them what `calls` says: a function, or 'act', the one nn.ReLU."""

    def __init__(self, calls):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(SIZES[: len(calls) + 1]))
        self.act = nn.ReLU()
        self.calls = calls

    def forward(self, x):
        for layer, call in zip(self.layers, self.calls, strict=True):
            x = layer(x)
            x = self.act(x) if call == "act" else CALLS[call](x)
        return x


def with_modules(model):
    """The same chain with an nn.ReLU module in every place."""
    return nn.Sequential(*itertools.chain.from_iterable((layer, nn.ReLU()) for layer in model.layers))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([*CALLS, "act"]), min_size=1, max_size=4))
def test_every_way_to_call_a_relu_equals_modules(calls):
    torch.manual_seed(0)
    model = Calls(calls)
    with torch.no_grad():
        for layer in model.layers:
            layer.weight.mul_(3)
    x = spikes(2, 12, SIZES[0])
    ours, expected = from_model(model, (SIZES[0],)), from_model(with_modules(model))
    with torch.no_grad():
        assert torch.equal(ours(x), expected(x))
    wanted = [name for call in calls for name in (["act"] if call == "act" else ["relu"])]
    numbered = [f"{kind}_{wanted[:i].count(kind)}" if kind in wanted[:i] else kind for i, kind in enumerate(wanted)]
    assert [name for name in neurons(ours) if name != "act" or "act" in wanted] == numbered
    assert set(ours.spiking_model.state_dict()) >= set(model.state_dict())
    for name, value in model.named_parameters():
        assert torch.equal(ours.spiking_model.get_parameter(name), value)


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.one, self.norm, self.two = nn.Conv2d(n, n, 3, padding=1), nn.BatchNorm2d(n), nn.Conv2d(n, n, 3, padding=1)

    def forward(self, x):
        y = F.relu(self.norm(self.one(x)))
        y = self.two(y)
        y += x
        return y.relu_()


class Residual(nn.Module):
    """Names that are taken, a buffer outside of the state dict, a layer that is not used, a block that runs twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.relu = nn.BatchNorm2d(4)
        self.blocks = nn.ModuleList([Block(4), Block(4)])
        self.out = nn.Linear(4 * 36, 5)
        self.unused = nn.Linear(2, 2)
        self.note = "mine"
        self.register_buffer("gain", torch.tensor(2.0), persistent=False)

    def forward(self, x):
        x = torch.relu(self.relu(self.stem(x)))
        for block in (*self.blocks, self.blocks[0]):
            x = block(x)
        x = F.dropout(x * self.gain, 0.5, self.training)
        return self.out(torch.flatten(x, 1))


@pytest.fixture
def residual():
    torch.manual_seed(0)
    return Residual().eval()


def test_modules_keep_class_names_parameters_and_attributes(residual):
    before = copy.deepcopy(residual.state_dict())
    network = from_model(residual, (1, 8, 8))
    spiking = network.spiking_model
    assert network.analog_model is residual
    assert all(torch.equal(before[name], value) for name, value in residual.state_dict().items())
    assert not any(isinstance(module, IAF) for module in residual.modules())
    blocks = [f"{block}.{relu}" for block in ("blocks.0", "blocks.1", "blocks_2") for relu in ("relu", "relu_1")]
    assert neurons(network) == ["relu_1", *blocks]
    assert isinstance(spiking, Residual)
    assert isinstance(spiking.relu, nn.BatchNorm2d)
    assert isinstance(spiking.blocks[1], Block)
    assert spiking.note == "mine"
    again = {name for name in spiking.state_dict() if name.startswith("blocks_2")}
    states = {f"{name}.{buffer}" for name in neurons(network) for buffer in ("threshold", "min_v_mem")}
    assert set(spiking.state_dict()) - again - states == set(before)
    assert spiking.blocks_2.one.weight is spiking.blocks[0].one.weight


def test_what_runs_is_what_the_class_says_written_with_neurons(residual):
    """The rewritten network beside the same sums of convolutions and neurons, written out."""
    network = from_model(residual, (1, 8, 8)).double()
    residual.double()
    x = spikes(2, 30, 1, 8, 8).double()
    steps = iter([IAF() for _ in range(7)])

    def fire(y):
        return next(steps)(y.unflatten(0, (2, 30))).flatten(0, 1)

    with torch.no_grad():
        y = fire(residual.relu(residual.stem(x.flatten(0, 1))))
        for block in (*residual.blocks, residual.blocks[0]):
            y = fire(block.two(fire(block.norm(block.one(y)))) + y)
        expected = residual.out((y * residual.gain).flatten(1)).unflatten(0, (2, 30))
        torch.testing.assert_close(network(x), expected)


def test_copies_and_pickles(residual):
    network = from_model(residual, (1, 8, 8))
    x = spikes(1, 10, 1, 8, 8)
    with torch.no_grad():
        expected = network(x)
        network.reset_states()
        for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            assert isinstance(other.spiking_model, Residual)
            assert other.spiking_model.blocks_2.one.weight is other.spiking_model.blocks[0].one.weight
            assert torch.equal(other(x), expected)
            assert torch.equal(copy.deepcopy(other)(x), other(x))  # going on from the states
        assert network.states == {}


def test_training_mode_reaches_functions(residual):
    spiking = from_model(residual, (1, 8, 8)).spiking_model
    x = spikes(1, 20, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(spiking)(x), copy.deepcopy(spiking)(x))
        spiking.train()
        assert not torch.equal(copy.deepcopy(spiking)(x), copy.deepcopy(spiking)(x))


def test_spiking_output_and_prints(residual):
    network = from_model(residual, (1, 8, 8), add_spiking_output=True)
    assert neurons(network)[-2:] == ["model.blocks_2.relu_1", "spike_output"]
    printed = repr(network.spiking_model)
    assert printed.index("stem") < printed.index("relu_1") < printed.index("blocks")
    ends = from_model(Calls(["act", "F.relu"]), add_spiking_output=True)
    assert neurons(ends) == ["act", "relu"]


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.pool = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 6, 3), SumPool2d(2)
        self.three = nn.Linear(6, 4)

    def forward(self, x):
        x = self.pool(F.relu(self.one(x)))
        return F.relu(self.three(torch.relu(self.two(x)).flatten(1)))


def cnn_with_modules(model):
    relus = {name: nn.ReLU() for name in ("relu", "relu_1", "relu_2")}
    layers = [("one", model.one), ("relu", relus["relu"]), ("pool", model.pool), ("two", model.two), ("relu_1", relus["relu_1"]),
              ("flatten", nn.Flatten()), ("three", model.three), ("relu_2", relus["relu_2"])]  # fmt: skip
    return nn.Sequential(OrderedDict(layers))


def test_the_compiler_takes_the_converted_network():
    torch.manual_seed(0)
    model = Cnn()
    program = compile(from_model(model, (2, 8, 8)), chip="speck2f")
    assert set(program.placement) == {"one", "two", "three"}
    assert program.config == compile(from_model(cnn_with_modules(model), (2, 8, 8)), chip="speck2f").config
    balanced = compile(model, chip="speck2f", input_shape=(2, 8, 8), calibration=torch.rand(10, 2, 8, 8))
    assert set(balanced.placement) == {"one", "two", "three"}


def test_calibration_measures_functions_too():
    torch.manual_seed(0)
    model, data = Cnn(), torch.rand(10, 2, 8, 8)
    scales = from_model(model, calibration=data).scales
    assert list(scales) == ["relu", "relu_1", "relu_2"]
    assert scales == from_model(cnn_with_modules(model), calibration=data).scales


class Conditional(nn.Module):
    """A condition that depends on data, which torch.fx cannot trace."""

    def __init__(self, activation):
        super().__init__()
        self.a, self.b, self.act, self.activation = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(), activation

    def forward(self, x):
        if x.shape[0] > 10**6:
            raise ValueError
        return self.activation(self, self.b(self.act(self.a(x))))


def test_what_torch_fx_cannot_trace_is_run_and_refused_by_its_line():
    fine = from_model(Conditional(lambda self, x: x), (4,))
    assert neurons(fine) == ["act"]
    for function in (lambda _, x: F.relu(x), lambda _, x: x.relu_()):
        nested = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Conditional(function))
        with pytest.raises(
            UnsupportedModelError, match=r"test_functional_relu.py:\d+: layer '2' \(Conditional\) calls a relu function.*trace"
        ):
            from_model(nested, (4,))
        with pytest.raises(UnsupportedModelError, match=r"layer 'model' \(Conditional\) calls a relu function"):
            from_model(Conditional(function), (4,), add_spiking_output=True)
    with pytest.raises(UnsupportedModelError, match=r"cannot trace layer '1' \(Conditional\).*give input_shape"):
        from_model(nn.Sequential(nn.Flatten(), Conditional(lambda self, x: x)))
    with pytest.raises(UnsupportedModelError, match=r"ReLU modules that run more than once.*'act'.*every place its own"):
        from_model(Conditional(lambda self, x: self.act(x)), (4,))


def test_a_layer_outside_of_the_module_tree_is_refused():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
            self.plain = list(self.body)

        def forward(self, x):
            for layer in self.plain:
                x = layer(x)
            return x

    with pytest.raises(UnsupportedModelError, match=r"an nn.ReLU runs that the model does not list.*nn.ModuleList"):
        from_model(Listed(), (4,))


class ReadLater(nn.Module):
    """What a relu in place has written over is read again: by the name it had, or through a view."""

    def __init__(self, view):
        super().__init__()
        self.a, self.b, self.act, self.view = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(inplace=True), view

    def forward(self, x):
        x = self.a(x)
        seen = x.view(-1, 2, 2) if self.view else x
        self.act(x)
        return self.b(seen.flatten(1)) + x


def test_in_place_means_the_same_or_is_refused():
    torch.manual_seed(1)
    model = ReadLater(view=False)
    network = from_model(model, (4,))
    x, neuron = spikes(3, 20, 4), IAF()
    with torch.no_grad():
        fired = neuron(model.a(x))
        assert fired.sum() > 0
        assert torch.equal(network(x), model.b(fired) + fired)
    with pytest.raises(UnsupportedModelError, match=r"ReadLater gives another output.*in place"):
        from_model(ReadLater(view=True), (4,))


def test_whatever_a_model_raises_is_said_with_the_shape():
    class Raises(nn.Module):
        def __init__(self, batch, error):
            super().__init__()
            self.a, self.act, self.batch, self.error = nn.Linear(4, 4), nn.ReLU(), batch, error

        def forward(self, x):
            if x.shape[0] == self.batch:
                raise self.error
            return self.act(self.a(x))

    with pytest.raises(UnsupportedModelError, match=r"cannot run on samples of shape \[4\]: 'key'"):
        from_model(Raises(1, KeyError("key")), (4,))
    with pytest.raises(UnsupportedModelError, match=r"cannot run on a batch of shape \[2, 4\]: no pairs"):
        from_model(Raises(2, ValueError("no pairs")), (4,))
    with pytest.raises(ChipflowError, match=r"^mine$"):
        from_model(Raises(1, ChipflowError("mine")), (4,))
    with pytest.raises(UnsupportedModelError, match=r"shape \[4, 1, 1\] in or after layer '1': expected 4D input"):
        from_model(nn.Sequential(nn.Flatten(), nn.BatchNorm2d(4), nn.ReLU()), (4, 1, 1))


def test_a_spiking_model_that_cannot_run_is_refused():
    class ReadsItsRelu(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.act = nn.Linear(4, 4), nn.ReLU()

        def forward(self, x):
            return self.act(self.a(x)) * (2 if self.act.inplace else 1)

    with pytest.raises(UnsupportedModelError, match=r"spiking model cannot run on input of shape \[1, 1, 4\]: 'IAF' .*'inplace'"):
        from_model(ReadsItsRelu(), (4,))


def test_a_model_without_relu_of_any_kind_is_refused():
    class Nothing(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x):
            return self.a(x).clamp(max=1)

    with pytest.raises(UnsupportedModelError, match="no ReLU"):
        from_model(Nothing(), (4,))
    assert neurons(from_model(Nothing(), (4,), add_spiking_output=True)) == ["spike_output"]


def test_a_block_under_two_names_shares_weights_and_not_neurons():
    block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model = nn.Sequential(block, block)
    network = from_model(model)
    assert neurons(network) == ["0.1", "1.1"]
    assert network.spiking_model[0][0].weight is network.spiking_model[1][0].weight
    assert set(model.state_dict()) < set(network.spiking_model.state_dict())
    x, first, second = spikes(2, 9, 4), IAF(), IAF()
    with torch.no_grad():
        assert torch.equal(network(x), second(block[0](first(block[0](x)))))
    with pytest.raises(ChipflowError, match=r"share weights: '0\.0', '1\.0'"):
        from_model(model, calibration=torch.rand(5, 4))
