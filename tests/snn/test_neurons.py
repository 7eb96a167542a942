"""What neurons do and refuse, against plain arithmetic; test_neurons_vs_sinabs.py compares them over a grid of settings."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from chipflow.errors import ChipflowError
from chipflow.snn import (
    ALIF,
    IAF,
    LIF,
    ExpLeak,
    Gaussian,
    Heaviside,
    IAFRecurrent,
    LIFRecurrent,
    SingleExponential,
    SumPool2d,
    time_loop,
)


def test_several_spikes_a_step_and_the_lower_bound():
    neuron = IAF(threshold=2.0, min_v_mem=-1.0)
    out = neuron(torch.tensor([[[5.0], [-9.0], [1.0], [2.0]]]))
    assert out.flatten().tolist() == [2.0, 0.0, 0.0, 1.0]
    assert neuron.v_mem.tolist() == [[0.0]]


def test_unbounded_and_reset_to_zero():
    assert IAF(min_v_mem=None)(torch.tensor([[[-5.0], [5.5]]])).flatten().tolist() == [0.0, 0.0]
    neuron = IAF(reset="zero")
    assert neuron(torch.tensor([[[1.75], [0.5]]])).flatten().tolist() == [1.0, 0.0]
    assert neuron.v_mem.item() == 0.5


def test_states_continue_until_reset_and_start_again_with_another_batch():
    whole, parts = IAF(), IAF()
    x = torch.rand(2, 10, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(whole(x), torch.cat([parts(x[:, :4]), parts(x[:, 4:])], 1))
    parts.reset_states()
    assert torch.equal(parts(x), IAF()(x))
    assert parts(x[:1]).shape == (1, 10, 3)
    assert torch.equal(parts.v_mem, state_after(x[:1]))


def state_after(x):
    neuron = IAF()
    neuron(x)
    return neuron.v_mem


def test_merged_axes_give_the_same_as_unfolded():
    x = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    merged = IAF(num_timesteps=5)(x.flatten(0, 1))
    assert torch.equal(merged.unflatten(0, (2, 5)), IAF()(x))
    with pytest.raises(ChipflowError, match="no multiple of num_timesteps = 4"):
        IAF(num_timesteps=4)(x.flatten(0, 1))


def test_copies_state_dict_and_repr():
    neuron = IAF(0.5, -0.25)
    x = torch.rand(1, 3, 2, requires_grad=True)
    neuron(x)
    copied = copy.deepcopy(neuron)
    assert torch.equal(copied.v_mem, neuron.v_mem)
    assert copied.v_mem is not neuron.v_mem
    assert sorted(neuron.state_dict()) == ["min_v_mem", "threshold"]
    assert repr(neuron) == "IAF(threshold=0.5, min_v_mem=-0.25, reset='subtract')"
    assert "min_v_mem=None" in repr(IAF(min_v_mem=None))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IAF(threshold=0.0), "threshold is 0"),
        (lambda: IAF(threshold=float("nan")), "threshold is nan"),
        (lambda: IAF(threshold=float("inf")), "threshold is inf"),
        (lambda: IAF(min_v_mem=0.5), "min_v_mem is 0.5"),
        (lambda: IAF(reset="never"), "reset is 'never'"),
        (lambda: IAF(reset=1.0), r"reset is 1.0.*below the threshold \(1.0\)"),
        (lambda: IAF(max_spikes=0), "max_spikes is 0"),
        (lambda: IAF(max_spikes=1.5), "max_spikes is 1.5"),
        (lambda: IAF(num_timesteps=0), "num_timesteps is 0"),
        (lambda: LIF(0.0), "tau_mem is 0"),
        (lambda: LIF(torch.tensor([3.0, -1.0])), "tau_mem is"),
        (lambda: LIF(3.0, tau_syn=-1.0), "tau_syn is -1"),
        (lambda: ALIF(3.0, 0.0), "tau_adapt is 0"),
        (lambda: ALIF(3.0, 3.0, adapt_scale=-1.0), "adapt_scale is -1"),
        (lambda: ExpLeak(-2.0), "tau_mem is -2"),
        (lambda: SingleExponential(0.0), "grad_width is 0"),
        (lambda: Gaussian(sigma=-1.0), "sigma is -1"),
        (lambda: Gaussian(grad_scale=float("nan")), "grad_scale is nan"),
        (lambda: SingleExponential("a"), "grad_width is 'a'"),
        (lambda: Heaviside(float("inf")), "window is inf"),
        (lambda: IAF(threshold="1"), "threshold is '1'"),
        (lambda: IAF(threshold=None), "threshold is None"),
        (lambda: IAF(threshold=True), "threshold is True"),
        (lambda: IAF(threshold=torch.tensor([1.0, 2.0])), r"threshold is tensor\(\[1., 2.\]\)"),
        (lambda: IAF(min_v_mem="-threshold"), "min_v_mem is '-threshold'"),
        (lambda: IAF(reset=-2.0), r"reset is -2.0.*not below min_v_mem \(-1.0\)"),
        (lambda: IAF(max_spikes=float("inf")), "max_spikes is inf"),
        (lambda: IAF(batch_size=2.5), "batch_size is 2.5"),
        (lambda: IAF(surrogate=Gaussian), "surrogate is <class"),
        (lambda: IAF(surrogate=None), "surrogate is None"),
        (lambda: LIF(None), "tau_mem is None"),
        (lambda: LIF("a"), "tau_mem is 'a'"),
        (lambda: LIF(float("inf")), "tau_mem is inf"),
        (lambda: LIF(torch.empty(0)), r"tau_mem is \[\]"),
        (lambda: IAFRecurrent(lambda spikes: spikes), "rec_connect is a function"),
    ],
)
def test_wrong_parameters_are_refused(make, message):
    with pytest.raises(ChipflowError, match=message):
        make()


@pytest.mark.parametrize(
    ("input", "message"),
    [
        (torch.zeros(3), r"IAF: the input has shape \[3\], expected \[batch, time, ...\]"),
        (torch.zeros(3, 4), r"shape \[3, 4\].*at least one axis for the neurons"),
        (torch.zeros(3, 0, 4), r"shape \[3, 0, 4\]: there is no"),
        (torch.zeros(1, 2, 3, dtype=torch.complex64), "complex64"),
        (torch.full((1, 2, 3), float("nan")), r"6 of 6 values of the input \(shape \[1, 2, 3\]\) are not finite"),
        (torch.tensor([[[0.0, float("inf")]]]), "1 of 2 values"),
        ([[[1.0]]], "type list"),
    ],
)
@pytest.mark.parametrize("way", ["auto", "loop"])
def test_wrong_input_is_refused_and_states_kept(input, message, way):
    neuron = IAF()
    with time_loop(way):
        neuron(torch.full((1, 3, 2), 0.3))
        before = neuron.v_mem
        with pytest.raises(ChipflowError, match=message):
            neuron(input)
    assert neuron.v_mem is before
    neuron.name = "features.2"
    with pytest.raises(ChipflowError, match=r"Layer 'features.2' \(IAF\)"):
        neuron(input)


@pytest.mark.parametrize(
    "make", [lambda: IAF(record_states=True), lambda: IAFRecurrent(torch.nn.Linear(2, 2)), lambda: IAF().half()]
)
def test_what_is_not_finite_is_refused_on_every_way(make):
    neuron = make()
    with pytest.raises(ChipflowError, match="2 of 6 values"):
        neuron(torch.tensor([[[0.5, float("nan")], [float("-inf"), 0.0], [1.0, 1.0]]]).to(neuron.threshold.dtype))
    assert neuron.states == {}


def test_numbers_of_torch_and_numpy_are_taken():
    neuron = IAF(torch.tensor(0.5), np.float32(-0.25), np.float64(0.125), max_spikes=np.int64(2))
    assert repr(neuron) == "IAF(threshold=0.5, min_v_mem=-0.25, reset=0.125, max_spikes=2)"


@pytest.mark.parametrize(
    ("layer", "name", "value", "message"),
    [
        (IAF(), "threshold", 0.0, "threshold has become 0.0"),
        (IAF(), "threshold", -1.0, "threshold has become -1.0"),
        (IAF(), "min_v_mem", 0.5, "min_v_mem has become 0.5"),
        (LIF(3.0), "tau_mem", -0.5, "tau_mem is -0.5"),
        (LIF(3.0, tau_syn=2.0, train_alphas=True), "alpha_syn", 1.5, "alpha_syn has become 1.5"),
    ],
)
def test_numbers_that_became_wrong_are_refused_when_the_layer_runs(layer, name, value, message):
    layer.load_state_dict(layer.state_dict() | {name: torch.tensor(value)})
    with pytest.raises(ChipflowError, match=message):
        layer(torch.ones(1, 2, 3))


def test_time_constants_of_another_shape_are_refused():
    with pytest.raises(ChipflowError, match=r"LIF: the input has shape \[1, 2, 4\], and tau_syn shape \[3\]"):
        LIF(3.0, tau_syn=torch.tensor([3.0, 4.0, 5.0]))(torch.ones(1, 2, 4))
    with pytest.raises(ChipflowError, match=r"tau_mem shape \[2, 4\]"):
        LIF(torch.full((2, 4), 3.0))(torch.ones(1, 2, 4))


def test_a_connection_that_cannot_run_is_named():
    with pytest.raises(ChipflowError, match=r"IAFRecurrent: rec_connect cannot run on spikes of shape \[1, 4\]"):
        IAFRecurrent(torch.nn.Linear(3, 4))(torch.ones(1, 3, 4))


def test_states_of_inference_mode_go_on_in_training():
    neuron = IAF()
    with torch.inference_mode():
        neuron(torch.full((1, 3, 2), 0.3))
    x = torch.full((1, 3, 2), 0.3, requires_grad=True)
    neuron(x).sum().backward()
    assert neuron.v_mem.flatten().tolist() == pytest.approx([0.8, 0.8])


def test_resets():
    input = torch.tensor([[[1.75], [0.5], [0.5]]])
    for reset, expected in (("subtract", [0.75, 0.25, 0.75]), ("zero", [0.0, 0.5, 0.0]), (-0.5, [-0.5, 0.0, 0.5])):
        neuron = IAF(reset=reset, record_states=True)
        neuron(input)
        assert neuron.recordings["v_mem"].flatten().tolist() == expected


def test_max_spikes():
    input = torch.tensor([[[7.5]]])
    for most, spikes, left in ((None, 7, 0.5), (1, 1, 6.5), (3, 3, 4.5)):
        neuron = IAF(max_spikes=most)
        assert neuron(input).item() == spikes
        assert neuron.v_mem.item() == left


def test_rate_of_iaf_is_relu():
    drive = torch.linspace(-2, 2, 41)
    rate = IAF(min_v_mem=None)(drive.expand(1, 400, 41)).mean(1)[0]
    assert (rate - torch.relu(drive)).abs().max() <= 1 / 400 + 1e-3


def test_constant_input_drives_a_normalised_lif_to_itself_and_leak_is_exponential():
    neuron = LIF(5.0, threshold=100.0, record_states=True)
    neuron(torch.full((1, 100, 1), 3.0))
    v = neuron.recordings["v_mem"][0, :, 0]
    steps = torch.arange(1, 101)
    torch.testing.assert_close(v, 3 * (1 - torch.exp(-steps / 5.0)))


def test_alif_fires_less_and_less():
    out = ALIF(1e6, 100.0, norm_input=False, adapt_scale=30.0)(torch.full((1, 300, 1), 0.5))[0, :, 0]
    gaps = torch.nonzero(out)[:, 0].diff()
    assert gaps[0] < gaps[-1]
    assert out.max() == 1


def test_exp_leak_is_a_sum_with_exponential_weights():
    x = torch.randn(1, 30, 2, generator=torch.Generator().manual_seed(0))
    lags = torch.arange(30)[:, None] - torch.arange(30)[None]
    kernel = torch.where(lags >= 0, torch.exp(-lags / 4.0), 0.0)
    torch.testing.assert_close(ExpLeak(4.0)(x)[0], kernel @ x[0])


def test_recurrent_neurons_read_their_own_last_spikes_across_calls_too():
    connect = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(connect.weight, 0.5)
    torch.nn.init.constant_(connect.bias, 0.25)
    x = torch.tensor([[[1.0], [0.0], [0.0], [0.0]]])
    neuron = IAFRecurrent(connect)
    assert neuron(x).flatten().tolist() == [1, 0, 1, 0]  # v: 1 -> 0, .75, 1 -> 0, .75
    halves = IAFRecurrent(connect)
    assert torch.equal(torch.cat([halves(x[:, :1]), halves(x[:, 1:])], 1), IAFRecurrent(connect)(x))
    with pytest.raises(ChipflowError, match=r"rec_connect gives shape \[1, 3\], expected \[1, 1\]"):
        LIFRecurrent(5.0, torch.nn.Linear(1, 3))(x)


def test_detach_ends_backpropagation_through_time():
    x = torch.full((1, 6, 1), 0.4, requires_grad=True)
    neuron = LIF(10.0)
    neuron(x[:, :3])
    neuron.detach()
    neuron(x[:, 3:]).sum().backward()
    assert x.grad[0, :3].abs().sum() == 0
    assert x.grad[0, 3:].abs().sum() > 0
    neuron.detach()
    neuron(x[:, 3:]).sum().backward()  # the graph of the call before is gone, and not asked for


def test_copies_do_not_hold_graphs_and_go_on_from_the_same_states():
    neuron = torch.nn.Sequential(torch.nn.Linear(2, 3), LIF(10.0, tau_syn=3.0))
    x = torch.rand(2, 5, 2)
    neuron(x)
    assert neuron[1].v_mem.grad_fn is not None
    for copied in (copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron))):
        assert copied[1].v_mem.grad_fn is None
        assert torch.equal(copied(x), copy.deepcopy(neuron)(x))


def test_recordings_equal_those_of_single_steps_and_hold_no_graph():
    x = torch.rand(2, 9, 3, requires_grad=True)
    neuron, single = LIF(4.0, tau_syn=3.0, record_states=True), LIF(4.0, tau_syn=3.0)
    neuron(x)
    for step in range(9):
        single(x[:, step : step + 1])
        for name, state in single.states.items():
            assert torch.equal(neuron.recordings[name][:, step], state)
    assert not copy.deepcopy(neuron).recordings["v_mem"].requires_grad
    neuron.detach()
    assert not neuron.recordings["v_mem"].requires_grad
    neuron.reset_states()
    assert neuron.recordings == {}


def test_state_dict_restores_thresholds_bounds_and_time_constants():
    trained, fresh = (LIF(tau, threshold, low) for tau, threshold, low in ((3.0, 0.5, -0.25), (9.0, 1.0, -1.0)))
    fresh.load_state_dict(trained.state_dict())
    x = torch.rand(1, 20, 4) * 3
    assert torch.equal(fresh(x), trained(x))
    assert sorted(trained.state_dict()) == ["min_v_mem", "tau_mem", "threshold"]


def test_state_dict_restores_the_value_of_a_reset(tmp_path):
    trained, fresh = torch.nn.Sequential(IAF(reset=-0.25)), torch.nn.Sequential(IAF(reset=0.5))
    torch.save(trained.state_dict(), tmp_path / "state.pt")
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert fresh[0].reset == -0.25
    with pytest.raises(RuntimeError, match="reset_value"):
        fresh.load_state_dict(torch.nn.Sequential(IAF()).state_dict())
    with pytest.raises(RuntimeError, match="reset_value"):
        torch.nn.Sequential(IAF()).load_state_dict(trained.state_dict())


def test_time_constants_of_single_neurons():
    taus = torch.tensor([2.0, 5.0, 20.0])
    x = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(0)) * 3
    together = LIF(taus)
    y = x.clone().requires_grad_()
    out = together(y)
    out.sum().backward()
    for n, tau in enumerate(taus):
        one = LIF(float(tau))
        z = x[..., n : n + 1].clone().requires_grad_()
        single = one(z)
        assert torch.equal(single, out[..., n : n + 1])
        single.sum().backward()
        torch.testing.assert_close(one.tau_mem.grad, together.tau_mem.grad[n])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.uint8])
def test_dtypes(dtype):
    x = torch.tensor([[[1], [2], [0]]], dtype=dtype)
    out = IAF(threshold=2.0)(x)
    assert out.flatten().tolist() == [0, 1, 0]
    assert out.dtype == (torch.float32 if dtype == torch.uint8 else dtype)


def test_a_surrogate_of_ones_own():
    x = torch.full((1, 3, 2), 0.6, requires_grad=True)
    IAF(surrogate=lambda v_mem, threshold: torch.ones_like(v_mem), reset="zero")(x).sum().backward()
    assert x.grad.tolist() == [[[2.0, 2.0], [1.0, 1.0], [1.0, 1.0]]]


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of torch itself
@pytest.mark.parametrize(
    "make",
    [lambda: IAF(), lambda: LIF(5.0, tau_syn=3.0), lambda: ALIF(5.0, 9.0), lambda: LIFRecurrent(5.0, torch.nn.Linear(4, 4))],
)
def test_compiled_layers_compute_the_same_and_are_compiled_once(make):
    counter = CompileCounter()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), make())
    plain = copy.deepcopy(model)
    compiled = torch.compile(model, backend=counter)
    for n in range(6):
        x = torch.rand(2, 7, 4, generator=torch.Generator().manual_seed(n)) * 3
        a, b = compiled(x), plain(x)
        torch.testing.assert_close(a, b)
        a.sum().backward()
        b.sum().backward()
        for layer in (model[1], plain[1]):
            layer.detach()
    torch.testing.assert_close(model[0].weight.grad, plain[0].weight.grad)
    assert counter.frame_count <= 3  # states appear, and then lose their gradients


def test_sum_pool():
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert torch.equal(SumPool2d(2)(x), torch.nn.AvgPool2d(2)(x) * 4)
    assert SumPool2d(2, 1)(x).shape == (1, 2, 3, 3)
    assert repr(SumPool2d(2)) == "SumPool2d(kernel_size=2, stride=2)"
