"""from_model: structure, shapes, refusals."""

import copy
import itertools

import pytest
import torch
from torch import nn

from chipflow.errors import ChipflowError, UnsupportedModelError
from chipflow.snn import ALIF, IAF, LIF, ExpLeak, Network, PeriodicExponential, from_model
from chipflow.snn.stateful import stateful_layers


def tutorial_cnn():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, 1, bias=False), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Conv2d(20, 32, 5, 1, bias=False), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Conv2d(32, 128, 3, 1, bias=False), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Flatten(), nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False),
    )  # fmt: skip


def tutorial_rows():
    torch.manual_seed(0)
    sizes = [28, 128, 128, 256, 256, 10]
    return nn.Sequential(*(m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())))


def spikes(*shape, rate=0.3):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(3)) < rate).float()


def test_tutorial_network():
    ann = tutorial_cnn()
    before = copy.deepcopy(ann.state_dict())
    snn = from_model(ann, input_shape=(1, 28, 28), add_spiking_output=True)
    assert isinstance(snn, Network)
    assert isinstance(snn.spiking_model, nn.Sequential)
    assert snn.analog_model is ann
    assert isinstance(ann[1], nn.ReLU)
    assert ann.training
    assert [name for name, m in snn.spiking_model.named_modules() if isinstance(m, IAF)] == ["1", "4", "7", "11", "spike_output"]
    assert all(torch.equal(before[k], v) for k, v in ann.state_dict().items())


@pytest.mark.parametrize("given", [{"batch_size": 2}, {"num_timesteps": 6}, {"batch_size": 99, "num_timesteps": 6}])
def test_merged_axes(given):
    x = spikes(2, 6, 1, 28, 28)
    snn = from_model(tutorial_cnn(), (1, 28, 28), add_spiking_output=True, **given)
    with torch.no_grad():
        expected = snn(x)
        snn.reset_states()
        merged = snn(x.flatten(0, 1))
    assert merged.shape == (12, 10)
    assert torch.equal(merged, expected.flatten(0, 1))


def test_wrong_shapes_are_refused_with_both_shapes():
    snn = from_model(tutorial_cnn(), (1, 28, 28))
    with pytest.raises(
        ChipflowError, match=r"network's input has shape \[1, 5, 1, 27, 28\], expected \[batch, time, 1, 28, 28\]"
    ):
        snn(torch.zeros(1, 5, 1, 27, 28))
    with pytest.raises(ChipflowError, match=r"shape \[5, 1, 28, 28\].*time axis is missing.*batch_size or num_timesteps"):
        snn(torch.zeros(5, 1, 28, 28))
    with pytest.raises(ChipflowError, match=r"shape \[28, 28\]"):
        snn(torch.zeros(28, 28))
    with pytest.raises(ChipflowError, match="no multiple of batch_size = 4"):
        from_model(tutorial_rows(), batch_size=4)(torch.zeros(6, 28))
    with pytest.raises(ChipflowError, match="no time step"):
        snn(torch.zeros(1, 0, 1, 28, 28))
    with pytest.raises(ChipflowError, match="one tensor"):
        snn([1.0])
    with pytest.raises(UnsupportedModelError, match=r"cannot run on samples of shape \[3, 28, 28\] in or after layer '0'"):
        from_model(tutorial_cnn(), (3, 28, 28))


def test_the_first_layer_knows_the_features_of_a_sample():
    snn = from_model(tutorial_rows())
    assert snn.input_shape == (28,)
    with pytest.raises(ChipflowError, match=r"shape \[64, 28, 27\], expected \[batch, time, 28\]"):
        snn(torch.zeros(64, 28, 27))
    images = from_model(tutorial_cnn(), num_timesteps=5)
    assert images.input_shape is None
    with pytest.raises(
        ChipflowError, match=r"shape \[10, 3, 28, 28\], expected \[batch, time, 1, y, x\] or \[batch \* time, 1, y, x\]"
    ):
        images(torch.zeros(10, 3, 28, 28))
    with pytest.raises(ChipflowError, match=r"calibration has shape \[4, 27\], expected \[N, 28\]"):
        from_model(tutorial_rows(), calibration=torch.rand(4, 27))


def test_input_that_is_not_finite_leaves_states_alone():
    snn = from_model(tutorial_rows())
    x = spikes(2, 5, 28)
    snn(x)
    before = {name: value.clone() for name, value in snn.states.items()}
    wrong = x.clone()
    wrong[1, 2, 3] = float("nan")
    with pytest.raises(ChipflowError, match=r"network's input: 1 of 280 values \(shape \[2, 5, 28\]\) are not finite"):
        snn(wrong)
    assert all(torch.equal(before[name], value) for name, value in snn.states.items())
    large = from_model(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    assert large(torch.full((1, 1, 2), 3e38)).shape == (1, 1, 2)  # the sum alone is infinite


def test_counts_may_be_integers():
    snn = from_model(tutorial_rows())
    x = spikes(2, 5, 28)
    with torch.no_grad():
        expected = snn(x)
        for dtype in (torch.bool, torch.uint8, torch.int64):
            snn.reset_states()
            assert torch.equal(snn(x.to(dtype)), expected)


def test_models_with_several_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.relu = nn.Linear(4, 3), nn.ReLU()

        def forward(self, x):
            x = self.relu(self.a(x))
            return x, {"sum": x.sum(1)}

    first, second = from_model(Two(), (4,))(spikes(2, 5, 4))
    assert first.shape == (2, 5, 3)
    assert second["sum"].shape == (2, 5)


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        self.classify = nn.Linear(72, 3)

    def forward(self, x):
        return self.classify(torch.flatten(self.features(x), 1))


def test_custom_modules_are_wrapped_and_names_kept():
    model = Custom()
    plain = from_model(model, (1, 8, 8))
    assert isinstance(plain.spiking_model, Custom)
    assert isinstance(plain.spiking_model.features[2], IAF)
    assert not plain.spiking_model.features[1].training
    assert model.training
    wrapped = from_model(model, (1, 8, 8), add_spiking_output=True).spiking_model
    assert list(dict(wrapped.named_children())) == ["model", "spike_output"]
    assert wrapped(spikes(2, 4, 1, 8, 8)).shape == (2, 4, 3)


class WithForward(nn.Sequential):
    def forward(self, x):
        return self[1](self[0](x)) - 0.1


class Shortened(nn.Sequential):
    """Runs two layers, however many there are."""

    def __iter__(self):
        return iter(list(self._modules.values())[:2])


@pytest.mark.parametrize("shape", [None, (4,)])
def test_an_output_is_put_behind_a_sequential_with_a_forward_of_its_own(shape):
    model, x = WithForward(nn.Linear(4, 4), nn.ReLU()), spikes(2, 9, 4)
    with torch.no_grad():
        model[0].weight.mul_(4)
    network = from_model(model, shape, add_spiking_output=True)
    assert list(dict(network.spiking_model.named_children())) == ["model", "spike_output"]
    with torch.no_grad():
        expected = IAF()(IAF()(model[0](x)) - 0.1)
        assert expected.sum() > 0
        assert torch.equal(network(x), expected)
    assert list(network.compare_activations(x).layers) == ["model.1", "spike_output"]


def test_an_output_that_would_never_run_is_refused():
    model = Shortened(nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU())
    with pytest.raises(UnsupportedModelError, match="Shortened does not run the layer 'spike_output'"):
        from_model(model, (4,), add_spiking_output=True)


def test_a_spiking_output_takes_one_tensor():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.relu = nn.Linear(4, 4), nn.ReLU()

        def forward(self, x):
            return self.relu(self.a(x)), x

    with pytest.raises(UnsupportedModelError, match="add_spiking_output=True: the model returns a tuple"):
        from_model(Pair(), (4,), add_spiking_output=True)


def test_nothing_is_added_after_a_relu_and_one_relu_in_two_places_becomes_two():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(4, 4), relu, nn.Sequential(nn.Linear(4, 4), relu))
    spiking = from_model(model, add_spiking_output=True).spiking_model
    assert len(spiking) == 3
    assert spiking[1] is not spiking[2][1]
    assert isinstance(spiking[2][1], IAF)


class Ends(nn.Module):
    def __init__(self, end):
        super().__init__()
        self.a, self.relu, self.end = nn.Linear(4, 4), nn.ReLU(), end

    def forward(self, x):
        return self.end(self.relu(self.a(x)))


@pytest.mark.parametrize("shape", [None, (4,)])
def test_what_follows_the_last_relu_decides_about_a_spiking_output(shape):
    for end, added in ((lambda x: x, False), (lambda x: x.flatten(1), False), (lambda x: x - 0.1, True)):
        network = from_model(Ends(end), shape, add_spiking_output=True)
        assert hasattr(network.spiking_model, "spike_output") is added


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()

    def forward(self, x):
        return self.relu(self.b(self.relu(self.a(x))))


def test_a_relu_that_runs_twice_becomes_two_layers():
    torch.manual_seed(0)
    model, x = Reused(), spikes(2, 9, 4)
    same = nn.Sequential(model.a, nn.ReLU(), model.b, nn.ReLU())
    for shape in ((4,), None):
        network = from_model(model, shape)
        assert [name for name, m in network.spiking_model.named_modules() if isinstance(m, IAF)] == ["relu", "relu_1"]
        assert torch.equal(network(x), from_model(same)(x))


def test_neurons_that_run_twice_are_refused_by_name():
    """A network that somebody else has written, whose layer runs twice."""
    model = Reused()
    model.relu = IAF()
    with pytest.raises(ChipflowError, match=r"Layer 'model.relu' \(IAF\): it runs more than once a pass"):
        from_model(model, add_spiking_output=True)(torch.zeros(1, 2, 4))


def test_models_without_relu_are_refused():
    with pytest.raises(UnsupportedModelError, match="ReLU"):
        from_model(nn.Sequential(nn.Linear(2, 2)))
    assert from_model(nn.Sequential(nn.Linear(2, 2)), add_spiking_output=True)(torch.ones(1, 3, 2)).shape == (1, 3, 2)
    taken = nn.Sequential()
    taken.add_module("spike_output", nn.Linear(2, 2))
    with pytest.raises(UnsupportedModelError, match="spike_output"):
        from_model(taken, add_spiking_output=True)


def test_a_relu_of_the_name_of_the_output():
    model = nn.Sequential()
    model.add_module("a", nn.Linear(2, 2))
    model.add_module("spike_output", nn.ReLU())
    network = from_model(model, add_spiking_output=True)
    assert isinstance(network.spiking_model.spike_output, IAF)
    assert list(network.compare_activations(torch.ones(1, 5, 2)).layers) == ["spike_output"]


def test_flatten_first_needs_a_shape_only_for_merged_axes():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU())
    assert from_model(model)(torch.ones(3, 5, 1, 2, 2)).shape == (3, 5, 2)
    with pytest.raises(ChipflowError, match="input_shape"):
        from_model(model, batch_size=3)
    assert from_model(model, (1, 2, 2), batch_size=3)(torch.ones(15, 1, 2, 2)).shape == (15, 2)


def test_threshold_bound_and_copies():
    snn = from_model(tutorial_rows(), threshold=2.0)
    assert snn.spiking_model[1].min_v_mem.item() == -2.0
    assert from_model(tutorial_rows(), min_v_mem=None).spiking_model[1].min_v_mem is None
    x = spikes(2, 5, 28)
    out = snn(x)
    copied = copy.deepcopy(snn)
    copied.reset_states()
    assert torch.equal(copied(x), out)
    assert set(copied.states) == set(snn.states)


def rows(**options):
    return from_model(tutorial_rows(), **options).spiking_model


def test_thresholds_and_bounds_by_layer():
    layers = rows(threshold={"1": 2.0, "5": 0.5}, min_v_mem={"3": None, "5": -3.0})
    assert [layers[i].threshold.item() for i in (1, 3, 5, 7, 9)] == [2.0, 1.0, 0.5, 1.0, 1.0]
    assert [layers[i].min_v_mem and layers[i].min_v_mem.item() for i in (1, 3, 5, 7, 9)] == [-2.0, None, -3.0, -1.0, -1.0]
    wrapped = from_model(Custom(), (1, 8, 8), add_spiking_output=True, threshold={"features.2": 3.0, "spike_output": 4.0})
    assert wrapped.spiking_model.model.features[2].threshold.item() == 3.0
    assert wrapped.spiking_model.spike_output.threshold.item() == 4.0
    for option in ("threshold", "min_v_mem"):
        with pytest.raises(ChipflowError, match=rf"{option} names '2', 'out', which.*its neurons are '1', '3', '5', '7', '9'"):
            rows(**{option: {"2": -1.0, "1": -1.0, "out": -1.0}})
    with pytest.raises(ChipflowError, match=r"Layer '3': IAF: threshold is 0.0"):
        rows(threshold={"3": 0.0})


def test_what_the_neurons_are_told():
    surrogate = PeriodicExponential(0.25)
    for layer in rows(reset=-0.5, max_spikes=2, surrogate=surrogate)[1::2]:
        assert (layer.reset, layer.max_spikes, layer.surrogate) == (-0.5, 2, surrogate)
    with pytest.raises(ChipflowError, match="max_spikes is 0"):
        rows(max_spikes=0)


def test_layers_know_their_names():
    network = from_model(Custom(), (1, 8, 8), add_spiking_output=True)
    assert [layer.name for _, layer in stateful_layers(network.spiking_model)] == ["model.features.2", "spike_output"]
    copied = copy.deepcopy(network)
    with torch.no_grad():
        copied.spiking_model.model.classify.weight.fill_(float("inf"))
    with pytest.raises(ChipflowError, match=r"Layer 'spike_output' \(IAF\):.*not finite"):
        copied(spikes(2, 4, 1, 8, 8))


def test_a_template_is_copied_into_every_place():
    template = LIF(tau_mem=20.0, threshold=0.5)
    template(torch.ones(1, 3, 2))
    layers = rows(neuron=template, threshold={"1": 2.0})
    assert all(isinstance(layer, LIF) and layer is not template and not layer.states for layer in layers[1::2])
    assert [layer.threshold.item() for layer in layers[1::2]] == [2.0, 0.5, 0.5, 0.5, 0.5]
    assert layers[1].tau_mem is not layers[3].tau_mem
    assert len(list(layers.parameters())) == 10 + 5
    assert layers(spikes(2, 5, 28)).shape == (2, 5, 10)
    assert template.states["v_mem"].shape == (1, 2)
    adapting = rows(neuron=ALIF(tau_mem=20.0, tau_adapt=10.0), num_timesteps=5)
    assert adapting(spikes(10, 28)).shape == (10, 10)
    double = from_model(tutorial_rows().double(), neuron=LIF(tau_mem=20.0))
    assert double(spikes(2, 5, 28).double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neuron": ExpLeak(tau_mem=5.0)}, "must be a layer of neurons that spike"),
        ({"neuron": nn.ReLU()}, r"neuron is ReLU\(\), it must be"),
        ({"neuron": LIF(5.0), "reset": "zero", "min_v_mem": None}, r"reset, min_v_mem and neuron are given.*neuron=LIF"),
        ({"neuron": LIF(5.0, reset=0.5), "threshold": 0.25}, r"threshold is 0.25.*template's reset \(0.5\)"),
        ({"neuron": LIF(5.0), "calibration": torch.rand(3, 28)}, "calibration with neuron=LIF.*leak"),
        ({"neuron": IAF(tau_syn=5.0), "calibration": torch.rand(3, 28)}, "calibration with neuron=IAF.*without tau_syn"),
        ({"bias_rescaling": 0.0}, "bias_rescaling is 0.0"),
        ({"bias_rescaling": float("inf")}, "bias_rescaling is inf"),
    ],
)
def test_templates_and_options_that_are_refused(options, message):
    with pytest.raises(ChipflowError, match=message):
        rows(**options)


def test_an_iaf_template_can_be_calibrated():
    data = torch.rand(20, 28)
    ours, expected = (
        rows(neuron=IAF(1.5, -0.5, max_spikes=1), calibration=data),
        rows(threshold=1.5, min_v_mem=-0.5, calibration=data),
    )
    assert torch.equal(ours[0].weight, expected[0].weight)
    assert ours[1].max_spikes == 1


@pytest.mark.parametrize("wrong", [{"balance": "both"}, {"percentile": 0.0}, {"batch_size": 0}, {"threshold": -1.0}])
def test_wrong_options(wrong):
    with pytest.raises(ChipflowError, match=next(iter(wrong))):
        from_model(tutorial_rows(), **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input_shape": 28}, r"input_shape is 28, .*such as \(1, 28, 28\)"),
        ({"input_shape": "28"}, "input_shape is '28'"),
        ({"input_shape": (28.5,)}, r"input_shape is \(28.5,\)"),
        ({"input_shape": (0,)}, r"input_shape is \(0,\)"),
        ({"input_shape": ()}, r"input_shape is \(\)"),
        ({"threshold": {"3": "2"}}, "Layer '3': threshold is '2', it must be a finite number above 0"),
        ({"threshold": [1.0, 2.0]}, r"threshold is \[1.0, 2.0\], .*by layer name"),
        ({"threshold": "2", "neuron": IAF()}, "threshold is '2'"),
        ({"min_v_mem": "threshold"}, "min_v_mem is 'threshold', it must be '-threshold'"),
        ({"min_v_mem": {"3": "low"}}, "Layer '3': min_v_mem is 'low'"),
        ({"percentile": None}, "percentile is None, .*or 'max'"),
        ({"percentile": "mean"}, "percentile is 'mean'"),
        ({"bias_rescaling": None}, "bias_rescaling is None"),
        ({"bias_rescaling": "100"}, "bias_rescaling is '100'"),
        ({"batch_size": "4"}, "batch_size is '4', it must be a whole number"),
        ({"num_timesteps": 2.5}, "num_timesteps is 2.5"),
        ({"calibration": "images"}, "calibration is a str, it must be one tensor"),
        ({"calibration": [torch.rand(2, 28), torch.rand(3, 28)]}, "calibration is a list.*torch.cat"),
    ],
)
def test_arguments_of_another_kind(wrong, message):
    with pytest.raises(ChipflowError, match=message):
        from_model(tutorial_rows(), **wrong)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_is_no_model():
    with pytest.raises(UnsupportedModelError, match=r"model is the class Custom, .*give Custom\(\.\.\.\)"):
        from_model(Custom)
    with pytest.raises(UnsupportedModelError, match="model is a str, it must be a torch module"):
        from_model("model.pt")
    scripted = torch.jit.trace(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), torch.rand(1, 4))
    with pytest.raises(UnsupportedModelError, match="model is a TopLevelTracedModule, and it is scripted"):
        from_model(scripted)
    with pytest.raises(UnsupportedModelError, match="its layer '0' is scripted"):
        from_model(nn.Sequential(scripted, nn.ReLU()))


def test_a_model_that_cannot_be_copied():
    pruned = tutorial_rows()
    nn.utils.prune.l1_unstructured(pruned[0], "weight", 0.5)  # leaves a weight with a graph
    with pytest.raises(
        UnsupportedModelError, match=r"Sequential cannot be copied.*Only Tensors created explicitly.*prune\.remove"
    ):
        from_model(pruned)
    nn.utils.prune.remove(pruned[0], "weight")
    assert from_model(pruned).input_shape == (28,)


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.LeakyReLU(), nn.Sigmoid(), nn.Tanh(), nn.GELU(), nn.Softmax(-1)])
@pytest.mark.parametrize("shape", [None, (1, 8, 8)])
def test_activations_that_stay_are_warned_of(activation, shape):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), activation, nn.Conv2d(2, 2, 3), nn.ReLU())
    with pytest.warns(UserWarning, match=rf"do not become neurons.*'1' \({type(activation).__name__}\)") as caught:
        from_model(model, shape)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_softmax_at_the_end_is_nothing_to_warn_of():
    for end in (nn.Softmax(-1), nn.LogSoftmax(-1)):
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), end)
        from_model(model)  # warnings are errors here
        with pytest.warns(UserWarning, match="'2'"):  # it drives the added neurons
            from_model(model, add_spiking_output=True)
