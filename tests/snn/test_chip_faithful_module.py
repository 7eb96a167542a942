"""The chip-faithful mode as a torch module: what it shares, keeps and refuses."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from chipflow import from_model
from chipflow.errors import ChipflowError, EventError, QuantizationError, UnsupportedModelError
from chipflow.events import make_events
from chipflow.snn import IAF, LIF, Analysis, IAFRecurrent, SumPool2d, SynopsCounter, SynopsLoss, synops_loss
from chipflow.snn.chip import ChipFaithful
from tests.snn.chip_networks import random_raster

SHAPE = (1, 6, 6)


def small_model(bias=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=bias), IAF(0.5), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 4, bias=bias), IAF(0.5)
    )


def test_parameters_are_the_models_own():
    model = small_model()
    faithful = ChipFaithful(model)
    assert [id(one) for one in faithful.parameters()] == [id(one) for one in model.parameters()]
    assert set(faithful.state_dict()) == {f"model.{name}" for name in model.state_dict()}
    before = faithful(random_raster(SHAPE, 2, 10, 0))
    with torch.no_grad():
        model[0].weight.mul_(0.1)
    faithful.reset_states()
    assert not torch.equal(faithful(random_raster(SHAPE, 2, 10, 0)), before)


def test_states_go_on_until_they_are_reset():
    faithful, raster = ChipFaithful(small_model()), random_raster(SHAPE, 2, 12, 0)
    assert faithful.states == faithful.integer_states() == {}
    whole = faithful(raster)
    states = faithful.integer_states()
    assert {name: state.shape for name, state in faithful.states.items()} == {"0": (2, 3, 4, 4), "4": (2, 4)}
    assert {name: state.shape for name, state in states.items()} == {"0": (2, 3, 4, 4), "4": (2, 4, 1, 1)}
    faithful.reset_states()
    assert faithful.states == {}
    assert torch.equal(torch.cat([faithful(raster[:, :5]), faithful(raster[:, 5:])], 1), whole)
    assert all((faithful.integer_states()[name] == states[name]).all() for name in states)
    assert torch.equal(faithful(raster[:1]), whole[:1])  # another batch starts from zero


def test_a_state_is_at_the_nearest_integer_when_training_has_changed_the_scale():
    faithful = ChipFaithful(small_model(bias=False))
    faithful(random_raster(SHAPE, 2, 5, 0))
    v_mem = faithful.states["0"].detach().clone()
    with torch.no_grad():
        faithful.model[0].weight.mul_(0.7)
    scale = faithful.quantised()["0"].record.scale
    assert (faithful.integer_states()["0"] == (v_mem.double() * scale).round().numpy()).all()
    faithful(torch.zeros(2, 1, *SHAPE))
    assert torch.allclose(faithful.states["0"], v_mem, atol=0.5 / scale)


def test_copies_and_pickles_have_states_of_their_own():
    faithful, raster = ChipFaithful(small_model()), random_raster(SHAPE, 2, 6, 0)
    faithful(raster)
    for other in (copy.deepcopy(faithful), pickle.loads(pickle.dumps(faithful))):
        assert other.cores[0].part.synapses is other.model[0]
        assert torch.equal(other(raster), copy.deepcopy(faithful)(raster))
        other.reset_states()
        assert set(faithful.states) == {"0", "4"}


def test_names_of_layers_and_the_cores_when_printed():
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(nn.Conv2d(1, 2, 3), IAF(), SumPool2d(2)))
    model.add_module("head", nn.Sequential(nn.Flatten(), nn.Linear(8, 2), IAF()))
    faithful = ChipFaithful(model, (1, 6, 6))
    assert list(faithful.quantised()) == ["features.0", "head.1"]
    assert "'head.1' (pool (2, 2), Linear, neurons 'head.2')" in repr(faithful)


def test_a_converted_network_and_a_forward_that_flattens():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu, self.pool, self.drop = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout()
            self.linear = nn.Linear(12, 4)

        def forward(self, x):
            x = self.pool(self.relu(self.conv(x)))
            return self.linear(self.drop(torch.flatten(x, start_dim=1)))

    torch.manual_seed(0)
    network = from_model(Net(), SHAPE, add_spiking_output=True)
    faithful = ChipFaithful(network)
    assert faithful.input_shape == SHAPE
    assert faithful.model is network.spiking_model
    assert faithful(random_raster(SHAPE, 2, 8, 0)).shape == (2, 8, 4)


class Flattening(nn.Module):
    """A network whose forward flattens in its own way; the size of the batch may come from before."""

    def __init__(self, flatten):
        super().__init__()
        self.conv, self.one, self.linear, self.two, self.flatten = (
            nn.Conv2d(1, 3, 3),
            IAF(0.5),
            nn.Linear(48, 4),
            IAF(0.5),
            flatten,
        )

    def forward(self, x):
        batch = x.shape[0]
        return self.two(self.linear(self.flatten(self.one(self.conv(x)), batch)))


@pytest.mark.parametrize(
    "flatten",
    [
        lambda x, batch: x.view(x.size(0), -1),
        lambda x, batch: x.view(x.size(dim=0), 48),
        lambda x, batch: x.reshape(x.shape[0], -1),
        lambda x, batch: x.reshape((batch, -1)),
        lambda x, batch: torch.reshape(x, (x.size()[0], -1)),
        lambda x, batch: torch.reshape(x, shape=[batch, -1]),
        lambda x, batch: x.view(-1, 48),
        lambda x, batch: x.flatten(1),
        lambda x, batch: torch.flatten(x, start_dim=1, end_dim=-1),
    ],
)
def test_flattening_by_functions(flatten):
    torch.manual_seed(0)
    model = Flattening(flatten)
    as_modules = nn.Sequential(model.conv, model.one, nn.Flatten(), model.linear, model.two)
    raster = random_raster(SHAPE, 2, 8, 0)
    assert torch.equal(ChipFaithful(model)(raster), ChipFaithful(as_modules)(raster))


@pytest.mark.parametrize(
    ("flatten", "words"),
    [
        (
            lambda x, batch: x.view(batch, x.size(1), -1),
            r"The call of size in <lambda> \(test_chip_.*, line \d+: .*torch.flatten\(x, 1\)",
        ),
        (lambda x, batch: x.view(batch, 3, 16), r"The call of view in .* is nothing that a core does\. Of functions only"),
        (lambda x, batch: x.view(-1), "The call of view in"),
        (lambda x, batch: x.flatten(2), r"The call of flatten in .* flattens axes 2 to -1: use torch.flatten\(x, 1\)"),
        (lambda x, batch: torch.sigmoid(x), "The call of sigmoid in"),
        (lambda x, batch: x.reshape(batch * 1, -1), "The call of mul in"),
    ],
)
def test_other_functions_are_refused_with_their_line(flatten, words):
    with pytest.raises(UnsupportedModelError, match=words):
        ChipFaithful(Flattening(flatten))


def test_flattening_between_weights_and_neurons_is_refused():
    class Between(Flattening):
        def forward(self, x):
            return self.one(self.conv(x).flatten(1))

    with pytest.raises(UnsupportedModelError, match=r"The call of flatten in .* stands between 'conv' and its neurons"):
        ChipFaithful(Between(None))


def chain(*layers):
    return nn.Sequential(*layers)


CONV = nn.Conv2d(1, 1, 3)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.neurons = nn.Conv2d(1, 1, 1), IAF()

    def forward(self, x):
        return self.neurons(self.conv(x)) + x


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(1, 1, 1), IAF(), IAF()

    def forward(self, x):
        return self.two(self.conv(self.one(self.conv(x))))


class Conditional(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (chain(CONV, nn.BatchNorm2d(1), IAF()), "Layer '1': BatchNorm2d stands between '0' and its neurons: .*fuse_conv_bn_eval"),
        (chain(CONV, nn.AvgPool2d(2), IAF()), "Layer '1': AvgPool2d stands between .*put IAF directly behind the weights"),
        (chain(CONV, nn.ReLU()), "Layer '1': ReLU .*from_model"),
        (chain(CONV, LIF(20.0)), "Layer '1': LIF .*use IAF"),
        (chain(CONV, IAFRecurrent(nn.Identity())), "Layer '1': IAFRecurrent .*use IAF"),
        (chain(nn.MaxPool2d(2), CONV, IAF()), "Layer '0': MaxPool2d is nothing that a core does: .*AvgPool2d or SumPool2d"),
        (chain(nn.Sigmoid(), CONV, IAF()), "Layer '0': Sigmoid .*Known are Conv2d"),
        (chain(CONV, IAF(reset=-0.5)), "Layer '1': reset is -0.5"),
        (chain(CONV, IAF(max_spikes=1)), "Layer '1': max_spikes is 1, .*max_spikes=None"),
        (chain(CONV, IAF(tau_syn=5.0)), "Layer '1': tau_syn is given"),
        (chain(CONV, IAF(), IAF()), "Layer '2': the neurons do not stand directly behind"),
        (chain(CONV, IAF(), nn.Conv2d(1, 1, 1)), "Layer '2': no neurons behind it: add IAF"),
        (chain(CONV, IAF(), nn.AvgPool2d(2)), "Layer '2': no layer reads this pool"),
        (chain(nn.AvgPool2d(2, 1), CONV, IAF()), r"Layer '0': kernel \(2, 2\) and stride \(1, 1\) differ"),
        (chain(nn.AvgPool2d(2, padding=1), CONV, IAF()), "Layer '0': padding and ceil_mode do not exist"),
        (chain(nn.AvgPool2d(2, divisor_override=1), CONV, IAF()), "Layer '0': divisor_override is 1"),
        (chain(nn.Conv2d(2, 2, 3, groups=2), IAF()), "Layer '0': groups is 2"),
        (chain(nn.Conv2d(1, 1, 3, dilation=2), IAF()), "Layer '0': dilation is"),
        (chain(nn.Conv2d(1, 1, 2, padding="same"), IAF()), "Layer '0': padding is 'same'"),
        (chain(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), IAF()), "Layer '0': padding_mode is 'circular'"),
        (chain(nn.Flatten(), CONV, IAF()), "Layer '1': reads what is flattened"),
        (chain(nn.Flatten(2), CONV, IAF()), "Layer '0': flattens axes 2 to -1"),
        (chain(nn.Flatten()), "no Conv2d or Linear layer with IAF neurons"),
        (
            Skip(),
            r"The call of add in forward \(test_chip_.*, line \d+: return self.neurons.* does not read just the output of the layer before",
        ),
        (Twice(), "Layer 'conv': runs twice"),
        (Conditional(), "cannot trace Conditional"),
    ],
)
def test_what_no_core_does_is_refused_with_layer_reason_and_way_out(model, words):
    with pytest.raises(UnsupportedModelError, match=words):
        ChipFaithful(model)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 6, 6), r"Layer '0': got a map \(channels, y, x\) of \(2, 6, 6\), the layer reads maps of 1 channels"),
        ((1, 7, 9), r"Layer '4': got a map .* of \(3, 5, 7\), the layer has 12 inputs"),
        ((1, 2, 6), r"Layer '0': got a map .*leave nothing of it"),
        ((36,), "Layer '0': got 36 values, the layer reads maps of 1 channels"),
    ],
)
def test_shapes_that_do_not_fit_name_the_layer(shape, words):
    with pytest.raises(UnsupportedModelError, match=words):
        ChipFaithful(small_model(), shape)
    with pytest.raises(UnsupportedModelError, match=words):
        ChipFaithful(small_model())(torch.zeros(1, 2, *shape))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float64])
def test_rasters_of_any_dtype(dtype):
    raster = random_raster(SHAPE, 2, 6, 0).clamp(max=1)
    assert torch.equal(ChipFaithful(small_model())(raster.to(dtype)), ChipFaithful(small_model())(raster))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int64, np.float16, ">f4", np.float64])
def test_rasters_of_numpy(dtype):
    raster = random_raster(SHAPE, 2, 6, 0).clamp(max=1)
    array = raster.numpy().astype(dtype)
    array.flags.writeable = False
    expected = ChipFaithful(small_model())(raster)
    assert torch.equal(ChipFaithful(small_model())(array), expected)
    assert torch.equal(ChipFaithful(small_model())(array[::-1]), expected.flip(0))
    with pytest.raises(ChipflowError, match="1 values that are no spike counts"):
        ChipFaithful(small_model())(np.where(np.arange(36).reshape(1, 1, 1, 6, 6) == 3, 0.5, 0.0))


def test_a_list_of_rasters_is_told_to_be_stacked():
    raster = random_raster(SHAPE, 2, 6, 0)
    for rasters in (list(raster), list(raster.numpy())):
        with pytest.raises(ChipflowError, match=r"list of rasters, .*torch\.stack"):
            ChipFaithful(small_model(), SHAPE)(rasters)


def test_firing_rates_of_a_run():
    faithful, raster = ChipFaithful(small_model()), random_raster(SHAPE, 2, 12, 0)
    run = faithful.run(raster)
    rates = run.firing_rates(500, saturated_at=0.1)
    assert list(rates) == ["0", "4"]
    counts = run.counts["0"].detach().double().flatten(0, 1)
    assert torch.equal(rates["0"].rates, counts.mean(0))
    assert torch.equal(rates["0"].dead, counts.sum(0) == 0)
    assert torch.equal(rates["0"].saturated, (counts > 0).double().mean(0) >= 0.1)
    assert 0 < rates["0"].saturated.sum() < rates["0"].neurons
    assert rates["0"].rate_hz == pytest.approx(float(counts.mean()) * 2000)
    with pytest.raises(ChipflowError, match="firing_rates: dt_us is 0"):
        run.firing_rates(0)


def test_hooks_that_count_operations_refuse_it():
    faithful = ChipFaithful(small_model())
    for hooks in (Analysis(faithful), Analysis(nn.Sequential(faithful)), SynopsLoss(faithful, target=5)):
        with pytest.raises(ChipflowError, match=r"a chip-faithful network counts by itself: .*run.*synops_loss"):
            hooks.start()
    with pytest.raises(ChipflowError, match="counts by itself"):
        SynopsCounter.attach(faithful)
    run = faithful.run(random_raster(SHAPE, 2, 12, 0))
    synops_loss(torch.stack(list(run.synops.values())).sum(0), target=100).backward()
    assert faithful.model[0].weight.grad.abs().sum() > 0


def test_a_map_needs_flattening_before_a_linear_layer():
    with pytest.raises(UnsupportedModelError, match=r"Layer '0': got a map .*a Flatten in front"):
        ChipFaithful(nn.Sequential(nn.Linear(4, 2), IAF()), (1, 2, 2))


def test_rasters_that_hold_no_spike_counts_are_refused_and_change_nothing():
    faithful = ChipFaithful(small_model())
    faithful(random_raster(SHAPE, 1, 3, 0))
    states = faithful.integer_states()
    for value in (0.5, -1.0, float("nan"), float("inf")):
        raster = torch.zeros(1, 2, *SHAPE)
        raster[0, 1, 0, 2, 2] = value
        with pytest.raises(ChipflowError, match=r"shape \[1, 2, 1, 6, 6\]\) holds 1 values that are no spike counts"):
            faithful(raster)
    for most in (1e5, 1e30):
        with pytest.raises(ChipflowError, match=r"holds a value of 1(00000|e\+30): .*at most 50,000 are taken"):
            faithful(torch.full((1, 2, *SHAPE), most))
    for shape in [(2, 3, 6, 6), (0, 3, 1, 6, 6), (1, 0, 1, 6, 6)]:
        with pytest.raises(ChipflowError, match=r"expected \[batch, time, channels, y, x\]"):
            faithful(torch.zeros(shape))
    with pytest.raises(ChipflowError, match="dt_us, num_steps and time_step_us are for recordings"):
        faithful(torch.zeros(1, 2, *SHAPE), dt_us=10)
    with torch.no_grad():
        faithful.model[4].weight.fill_(-1.0)
        faithful.model[4].bias.fill_(-1.0)
    with pytest.raises(QuantizationError, match="Layer '4' cannot fire"):
        faithful(torch.ones(1, 2, *SHAPE))
    with torch.no_grad():
        faithful.model[4].weight.fill_(1.0)
    assert (faithful.integer_states()["0"] == states["0"]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Recordings need dt_us="),
        ({"dt_us": 0}, "dt_us is 0"),
        *(({"dt_us": value}, f"dt_us is {value!r}, it must be a whole number") for value in (float("nan"), "10", True, 2.5)),
        ({"dt_us": 10, "num_steps": 0}, "num_steps is 0"),
        ({"dt_us": 10, "num_steps": 1.5}, "num_steps is 1.5"),
        ({"dt_us": 10, "time_step_us": "5"}, "time_step_us is '5'"),
        ({"dt_us": 10, "time_step_us": 3}, "must be a multiple of time_step_us = 3"),
        (
            {"dt_us": 10, "num_steps": 3},
            r"Recording 1: 1 of 2 events lie outside of 3 steps of 10 us .*event 1 \(x=2, y=3, p=0, t=31 us\)",
        ),
    ],
)
def test_recordings_that_do_not_fit_are_refused(options, words):
    faithful = ChipFaithful(small_model(), SHAPE)
    recordings = [make_events(1, 1, [5], 0), make_events(2, [1, 3], [5, 31], 0)]
    with pytest.raises(ChipflowError, match=words):
        faithful(recordings, **options)
    assert faithful.states == {}


def test_other_input_that_is_refused():
    faithful, event = ChipFaithful(small_model(), SHAPE), make_events(1, 1, [5], 0)
    with pytest.raises(EventError, match="Recording 0: 1 of 1 events lie outside"):
        faithful([make_events(1, 6, [5], 0)], dt_us=10)
    with pytest.raises(EventError, match=r"Recording 0: .*field layer"):
        faithful([make_events(1, 1, [5], 0, layer=2)], dt_us=10)
    descending = event.repeat(2)
    descending["t"] = [5, 3]
    with pytest.raises(EventError, match="Recording 1: event 1: t = 3 us comes after 5 us"):
        faithful([event, descending], dt_us=10)
    with pytest.raises(ChipflowError, match=r"The input is an array of shape \(1,\), expected a raster"):
        faithful(event, dt_us=10)
    with pytest.raises(ChipflowError, match="no event in any of the recordings: give num_steps"):
        faithful([event[:0]], dt_us=10)
    with pytest.raises(ChipflowError, match="give ChipFaithful"):
        ChipFaithful(small_model())([event], dt_us=10)
    with pytest.raises(ChipflowError, match="quantization is 'search'"):
        ChipFaithful(small_model(), quantization="search")
    assert faithful([event[:0]], dt_us=10, num_steps=3).shape == (1, 3, 4)
