"""Calibration: rates converge to activations / lambda, and both ways give the same spikes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from chipflow.errors import ChipflowError, UnsupportedModelError
from chipflow.snn import IAF, SumPool2d, bernoulli, from_model


def network(seed=0):
    """Batch normalisation, biases, pooling, and two affine layers in a row; double precision."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), nn.BatchNorm2d(6, affine=False),
        nn.Conv2d(6, 8, 3), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(),
        nn.Linear(32, 20), nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 5),
    ).double()  # fmt: skip
    for _ in range(3):
        model(torch.rand(50, 1, 10, 10, dtype=torch.float64) * 2)
    with torch.no_grad():
        model[1].weight.uniform_(0.5, 3.0)
        model[1].bias.uniform_(-0.5, 0.5)
        model[-1].bias += 0.3
    return model


def images(n=40):
    return torch.rand(n, 1, 10, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def activations(model, x):
    """ReLU outputs and the rectified output of the analog model."""
    seen = []
    handles = [m.register_forward_hook(lambda _m, _a, out: seen.append(out.clone())) for m in model if isinstance(m, nn.ReLU)]
    with torch.no_grad():
        seen.append(model.eval()(x).relu())
    for handle in handles:
        handle.remove()
    return seen


def run(snn, x, steps):
    """Spike rasters of every neuron layer for constant input x."""
    seen = []
    layers = [m for m in snn.spiking_model.modules() if isinstance(m, IAF)]
    handles = [m.register_forward_hook(lambda m, _a, out: seen.append(out.unflatten(0, (-1, m.num_timesteps)))) for m in layers]
    with torch.no_grad():
        snn(x[:, None].expand(-1, steps, *x.shape[1:]))
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("threshold", [1.0, 1.5])
@pytest.mark.parametrize("balance", ["weights", "thresholds"])
def test_rates_converge_to_activations(balance, threshold):
    model, x = network(), images()
    snn = from_model(model, calibration=x, add_spiking_output=True, balance=balance, percentile=100.0, threshold=threshold,
                     min_v_mem=None)  # fmt: skip
    rates = [raster.mean(1) for raster in run(snn, x[:8], 3000)]
    lambdas = [a.max().item() for a in activations(model, x)]
    assert list(snn.scales) == ["2", "6", "11", "spike_output"]
    for scale, expected in zip(snn.scales.values(), lambdas, strict=True):
        assert scale == pytest.approx(threshold * expected)
    for rate, scale, activation in zip(rates, snn.scales.values(), activations(model, x[:8]), strict=True):
        torch.testing.assert_close(rate, activation / scale, atol=0.01, rtol=0)


@pytest.mark.parametrize(("threshold", "low"), [(1.0, "-threshold"), (1.5, -0.5), (1.0, None)])
def test_both_ways_give_identical_spikes(threshold, low):
    x = images()
    options = {"calibration": x, "add_spiking_output": True, "threshold": threshold, "min_v_mem": low}
    ours = run(from_model(network(), balance="weights", **options), x[:4], 150)
    theirs = run(from_model(network(), balance="thresholds", **options), x[:4], 150)
    assert all(raster.sum() > 0 for raster in ours)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_without_spiking_output_the_analog_output_is_kept():
    model, x = network(), images()
    snn = from_model(model, calibration=x, percentile=100.0, min_v_mem=None)
    with torch.no_grad():
        out = snn(x[:4, None].expand(-1, 3000, -1, -1, -1)).mean(1)
        torch.testing.assert_close(out, model.eval()(x[:4]), atol=0.02, rtol=0)


def test_unchanged_model_shape_found_and_recordings():
    model, x = network(), images()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    by_images = from_model(model, calibration=x)
    assert by_images.input_shape == (1, 10, 10)
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    by_recordings = from_model(model, calibration=torch.stack([x * 0.5, x * 1.5], 1).numpy())
    assert by_recordings.scales == pytest.approx(by_images.scales)
    raster = bernoulli(x, 20)
    assert set(from_model(model, (1, 10, 10), calibration=raster).scales) == set(by_images.scales)


def test_percentile_is_of_the_positive_values():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU())
    nn.init.ones_(model[0].weight)
    data = torch.arange(-100.0, 101.0)[:, None]
    assert from_model(model, calibration=data, percentile=50.0).scales["1"] == pytest.approx(50.5)
    assert from_model(model, calibration=data, percentile=100.0).scales["1"] == 100.0


def test_wrapped_custom_module_and_neurons_without_weights_between():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu, self.pool, self.again, self.out = (
                nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(2), nn.ReLU(), nn.Linear(32, 3),
            )  # fmt: skip

        def forward(self, x):
            return self.out(self.again(self.pool(self.relu(self.conv(x)))).flatten(1))

    torch.manual_seed(0)
    model, x = Named().double(), images()
    for balance in ("weights", "thresholds"):
        snn = from_model(model, calibration=x, add_spiking_output=True, balance=balance, percentile=100.0, min_v_mem=None)
        assert list(snn.scales) == ["model.relu", "model.again", "spike_output"]
        with torch.no_grad():
            rates = snn(x[:4, None].expand(-1, 3000, -1, -1, -1)).mean(1)
            torch.testing.assert_close(rates, model(x[:4]).relu() / snn.scales["spike_output"], atol=0.01, rtol=0)


THRESHOLDS = {"2": 0.5, "6": 2.0, "spike_output": 1.5}


@pytest.mark.parametrize("balance", ["weights", "thresholds"])
def test_thresholds_by_layer_halve_rates_and_nothing_else(balance):
    """A threshold of 2 halves a layer's rates; the next layer makes up for it."""
    model, x = network(), images()
    options = {"calibration": x, "add_spiking_output": True, "percentile": 100.0, "min_v_mem": None, "balance": balance}
    plain, snn = from_model(model, **options), from_model(model, threshold=THRESHOLDS, **options)
    assert snn.scales == pytest.approx({name: THRESHOLDS.get(name, 1.0) * scale for name, scale in plain.scales.items()})
    rates = [raster.mean(1) for raster in run(snn, x[:8], 3000)]
    for rate, scale, activation in zip(rates, snn.scales.values(), activations(model, x[:8]), strict=True):
        torch.testing.assert_close(rate, activation / scale, atol=0.02, rtol=0)
    if balance == "weights":
        found = {name: layer.threshold.item() for name, layer in snn.spiking_model.named_modules() if isinstance(layer, IAF)}
        assert found == pytest.approx({"2": 0.5, "6": 2.0, "11": 1.0, "spike_output": 1.5})


@pytest.mark.parametrize("reset", ["subtract", "zero", -0.25])
def test_both_ways_give_identical_spikes_with_thresholds_by_layer(reset):
    x = images()
    options = {"calibration": x, "add_spiking_output": True, "threshold": {"2": 0.5, "6": 2.0}, "reset": reset, "max_spikes": 2}
    ours = run(from_model(network(), balance="weights", **options), x[:4], 100)
    theirs = run(from_model(network(), balance="thresholds", **options), x[:4], 100)
    assert all(raster.sum() > 0 for raster in ours)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("balance", [None, "weights", "thresholds"])
def test_input_spread_over_time_steps(balance):
    """bias_rescaling=k: steps of x / k give the activations on x, batch normalisations and biases included."""
    model, x, k = network(), images(), 8.0
    options = {} if balance is None else {"calibration": x / k, "balance": balance, "percentile": 100.0}
    snn = from_model(model, (1, 10, 10), add_spiking_output=True, bias_rescaling=k, min_v_mem=None, **options)
    rates = [raster.mean(1) for raster in run(snn, x[:4] / k, 4000)]
    for name, rate, activation in zip(("2", "6", "11", "spike_output"), rates, activations(model, x[:4]), strict=True):
        torch.testing.assert_close(rate * snn.scale_of(name), activation, atol=0.02 * float(activation.max()) + 0.005, rtol=0)
    if balance is not None:
        whole = from_model(model, add_spiking_output=True, min_v_mem=None, **options | {"calibration": x})
        assert snn.scales == pytest.approx(whole.scales)


def test_bias_rescaling_of_what_has_no_rule_is_refused():
    bare = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4, track_running_stats=False), nn.LayerNorm(4), nn.ReLU())
    with pytest.raises(UnsupportedModelError, match=r"no rule for '2' \(LayerNorm\), '1' \(no statistics of training\)"):
        from_model(bare, bias_rescaling=2.0)


class Between(nn.Module):
    """A linear layer, a function, a ReLU; more functions in front and behind."""

    def __init__(self, front=lambda x: x, between=lambda x: x, behind=lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.front, self.between, self.behind = nn.Linear(4, 4), front, between, behind

    def forward(self, x):
        return self.behind(F.relu(self.between(self.fc(self.front(x)))))


@pytest.mark.parametrize("k", [1.5, 100.0])
@pytest.mark.parametrize(
    ("model", "where"),
    [
        (lambda: Between(between=lambda x: x + 1.0), "layer 'relu'"),
        (lambda: Between(front=lambda x: x - 0.5), "layer 'fc'"),
        (lambda: Between(behind=lambda x: x + 1.0), "the model's output"),
        (lambda: Between(between=torch.tanh), "layer 'relu'"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.ReLU()), "layer '1'"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU6(), nn.Linear(4, 4), nn.ReLU()), "layer '1'"),
    ],
)
def test_bias_rescaling_refuses_what_is_no_multiple_of_its_input(model, where, k):
    with pytest.raises(UnsupportedModelError, match=rf"bias_rescaling={k:g}: .*{where} is not what it was, divided by {k:g}"):
        from_model(model(), (4,), bias_rescaling=k)


def test_bias_rescaling_takes_functions_that_are_multiples():
    model = Between(front=lambda x: x * 2, between=lambda x: x - x.mean(1, keepdim=True), behind=lambda x: x.flatten(1))
    snn = from_model(model, (4,), bias_rescaling=10.0)
    assert torch.equal(snn.spiking_model.fc.bias, model.fc.bias / 10)


def test_bias_rescaling_without_a_shape_takes_chains_of_known_layers_only():
    def chain(*layers):
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()), *layers, nn.ReLU())

    assert from_model(chain(nn.MaxPool2d(2), nn.Conv2d(2, 2, 1)), bias_rescaling=3.0).input_shape is None
    with pytest.raises(UnsupportedModelError, match=r"try out '2' \(Sigmoid\), '3' \(Scaled\).*Give input_shape"):
        from_model(chain(nn.Sigmoid(), Scaled(2, 2, 1)), bias_rescaling=3.0)
    with pytest.raises(UnsupportedModelError, match=r"try out Reordered: .*Give input_shape"):
        from_model(Reordered(nn.Conv2d(1, 2, 3), nn.ReLU()), bias_rescaling=3.0)


class Scaled(nn.Conv2d):
    """Computes with other weights than it has."""

    def forward(self, x):
        return self._conv_forward(x, self.weight / self.weight.norm(), self.bias)


class Reordered(nn.Sequential):
    def forward(self, x):
        return self[1](self[0](x) + 1)


def normalised(kind, tensor="weight"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 8), nn.ReLU())
    if kind == "weight_norm":
        with pytest.warns(FutureWarning):
            nn.utils.weight_norm(model[0])
    elif kind == "spectral_norm":
        nn.utils.spectral_norm(model[0])
    elif kind == "pruned":
        prune.l1_unstructured(model[0], tensor, 0.5)
    else:
        parametrizations.weight_norm(model[0])
    with torch.no_grad():
        model(torch.rand(2, 4))  # so that what is computed has no graph, and can be copied
    return model


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "pruned", "parametrised"])
def test_weights_that_are_computed_anew_are_not_scaled(kind):
    model, data = normalised(kind), torch.rand(9, 4)
    with pytest.raises(
        UnsupportedModelError, match=r"calibration.*'0' \(weight\).*remove_parametrizations.*remove_weight_norm.*prune.remove"
    ):
        from_model(model, calibration=data)
    assert torch.equal(from_model(model, (4,), bias_rescaling=2.0).spiking_model[0].bias, model[0].bias / 2)
    if kind == "pruned":
        prune.remove(model[0], "weight")
        assert from_model(model, calibration=data).scales


def test_biases_that_are_computed_anew_are_not_divided():
    with pytest.raises(UnsupportedModelError, match=r"bias_rescaling.*'0' \(bias\).*prune.remove"):
        from_model(normalised("pruned", "bias"), bias_rescaling=2.0)


def test_layers_with_a_forward_of_their_own_are_unknown():
    model = nn.Sequential(Scaled(1, 2, 3), nn.ReLU())
    with pytest.raises(UnsupportedModelError, match=r"without a known rule: '0' \(Scaled\)"):
        from_model(model, calibration=torch.rand(3, 1, 8, 8))


def test_a_shared_bias_is_divided_once():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU())
    model[2].bias = model[0].bias
    snn = from_model(model, bias_rescaling=4.0).spiking_model
    assert snn[0].bias is snn[2].bias
    assert torch.equal(snn[0].bias, model[0].bias / 4)
    with pytest.raises(UnsupportedModelError, match="layers that share weights: '0', '2'"):
        from_model(model, calibration=torch.rand(5, 4))


@st.composite
def chains(draw):
    """Networks of one to three blocks of convolution or linear layer, perhaps batch normalisation, ReLU, perhaps pooling."""
    seed, maps = draw(st.integers(0, 999)), draw(st.integers(1, 2))
    torch.manual_seed(seed)
    layers, features, side = [], 1, 8
    for _ in range(maps):
        layers.append(nn.Conv2d(features, 4, 3, padding=1, bias=draw(st.booleans())))
        features = 4
        layers += [nn.BatchNorm2d(4)] * draw(st.booleans()) + [nn.ReLU()]
        if draw(st.booleans()):
            layers.append(draw(st.sampled_from([nn.AvgPool2d(2), SumPool2d(2)])))
            side //= 2
    layers += [nn.Flatten(), nn.Linear(features * side * side, 5, bias=draw(st.booleans())), nn.ReLU()]
    model = nn.Sequential(*layers).double()
    model(torch.rand(30, 1, 8, 8, dtype=torch.float64))
    with torch.no_grad():
        for bias in (p for name, p in model.named_parameters() if name.endswith("bias")):
            bias.uniform_(-0.2, 0.4)
    return model.eval()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(chains(), st.sampled_from(["weights", "thresholds"]), st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([1.0, 5.0]))
def test_rates_approach_activations_by_scale(model, balance, threshold, k):
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    try:
        snn = from_model(
            model, calibration=x / k, balance=balance, percentile=100.0, threshold=threshold, bias_rescaling=k, min_v_mem=None
        )
    except UnsupportedModelError as error:
        assert "Never active" in str(error)
        return
    errors = []
    for steps in (100, 1600):
        comparison = snn.compare_activations((x / k)[:, None].expand(-1, steps, -1, -1, -1))
        errors.append(max(layer.rms_error / layer.scale for layer in comparison.layers.values()))
    assert errors[1] < 0.01
    assert errors[1] < max(errors[0] / 4, 1e-3)


def test_dead_layers_are_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU())
    nn.init.constant_(model[2].weight, -1.0)
    nn.init.constant_(model[2].bias, -1.0)
    with pytest.raises(UnsupportedModelError, match=r"Never active.*'3'"):
        from_model(model, calibration=torch.rand(4, 2))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.relu, self.b = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)

    def forward(self, x):
        return self.b(self.relu(self.a(x)) + x)


def test_what_is_no_chain_is_refused():
    with pytest.raises(UnsupportedModelError, match="'b' does not take the output"):
        from_model(Residual(), calibration=torch.rand(4, 4))
    with pytest.raises(UnsupportedModelError, match=r"'1' \(Sigmoid\)"):
        from_model(nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.ReLU()), calibration=torch.rand(4, 2))
    shared = nn.Linear(2, 2)
    with pytest.raises(UnsupportedModelError, match="more than once"):
        from_model(nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU()), calibration=torch.rand(4, 2))


def test_functions_between_the_layers_are_refused_also_in_place():
    class Functions(nn.Module):
        def __init__(self, between, behind):
            super().__init__()
            self.a, self.b, self.between, self.behind = nn.Linear(4, 4), nn.Linear(4, 2), between, behind

        def forward(self, x):
            return self.behind(self.b(self.between(self.a(x).relu())))

    def same(x):
        return x

    def shifted(x):
        x += 1
        return x

    torch.manual_seed(0)
    for between in (shifted, lambda x: x * 2):
        with pytest.raises(UnsupportedModelError, match="'b' does not take the output"):
            from_model(Functions(between, same), calibration=torch.rand(4, 4))
    for behind in (shifted, lambda x: x * 2):
        with pytest.raises(UnsupportedModelError, match="a function behind the last layer"):
            from_model(Functions(same, behind), calibration=torch.rand(4, 4), add_spiking_output=True)
    plain = from_model(Functions(same, lambda x: x.flatten(1) + 1), calibration=torch.rand(4, 4), add_spiking_output=False)
    assert list(plain.scales) == ["relu"]


@pytest.mark.parametrize("front", [lambda x: x + 1.0, lambda x: x / 2, torch.tanh, lambda x: x.sub_(0.5)])
def test_functions_before_the_first_layer_are_refused(front):
    with pytest.raises(UnsupportedModelError, match="'fc' does not take the model's input as it is"):
        from_model(Between(front=front), (4,), calibration=torch.rand(9, 4) - 0.5)


def test_reshaping_the_input_is_no_function_before_the_first_layer():
    model = Between(front=lambda x: x.unsqueeze(1).flatten(1))
    assert list(from_model(model, (4,), calibration=torch.rand(9, 4)).scales) == ["relu"]


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(3)])
def test_maxima_of_spikes_are_no_maxima_of_rates(pool):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), pool, nn.Conv2d(2, 2, 3), nn.ReLU())
    with pytest.raises(
        UnsupportedModelError, match=rf"'2' \({type(pool).__name__}: the maximum of spikes.*use AvgPool2d or SumPool2d"
    ):
        from_model(model, calibration=torch.rand(3, 1, 8, 8))
    assert from_model(model, (1, 8, 8)).scales == {}


def test_the_maximum_by_name():
    model, x = network(), images()
    assert from_model(model, calibration=x, percentile="max").scales == from_model(model, calibration=x, percentile=100).scales


def test_wrong_calibration_data():
    with pytest.raises(ChipflowError, match=r"calibration is a list, .*torch.stack"):
        from_model(network(), calibration=[images()[0], images()[1]])
    with pytest.raises(ChipflowError, match=r"calibration has shape \[4, 3\]"):
        from_model(network(), (1, 10, 10), calibration=torch.rand(4, 3))
    with pytest.raises(ChipflowError, match="not finite"):
        from_model(network(), calibration=images() * float("nan"))
    with pytest.raises(ChipflowError, match="input_shape"):
        from_model(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU()), calibration=torch.rand(3, 1, 2, 2))
