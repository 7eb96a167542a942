"""Gradients of the chip-faithful mode: those of time-stepped neurons around the chip's own spikes and states."""

import copy

import pytest
import torch
from torch import nn

from chipflow.snn import IAF, Gaussian, Heaviside, MultiGaussian, PeriodicExponential, SingleExponential
from chipflow.snn.chip import ChipFaithful
from tests.snn.chip_networks import random_events, random_raster

SURROGATES = [SingleExponential(), PeriodicExponential(0.3), Gaussian(), MultiGaussian(), Heaviside(0.5)]


def one_event_rasters(shape, batch, steps, seed):
    """At most one event in a step of a sample, so that a core and a time step add the same before they compare."""
    generator = torch.Generator().manual_seed(seed)
    raster = torch.zeros(batch, steps, *shape).flatten(2)
    places = torch.randint(0, int(1.2 * raster.shape[2]), (batch, steps, 1), generator=generator)
    padded = torch.cat([raster, torch.zeros(batch, steps, raster.shape[2])], 2).scatter(2, places, 1.0)
    return padded[..., : raster.shape[2]].unflatten(2, shape)


def integer_layer(layer, multiple=1, seed=0):
    """Whole weights up to 127, so that the compiler's scale is 1, times `multiple`."""
    torch.manual_seed(seed)
    with torch.no_grad():
        layer.weight.copy_(torch.randint(-90, 128, layer.weight.shape) * multiple)
        layer.weight.flatten()[0] = 127 * multiple
    return layer


def gradients(model, output, raster):
    """Of all parameters and the input, for a loss that weighs spikes and their sums differently."""
    weight = torch.randn(output.shape, generator=torch.Generator().manual_seed(9))
    loss = (output * weight).sum() + (output.sum(1) ** 2).sum()
    return torch.autograd.grad(loss, [*model.parameters(), raster])


def run_in_steps(model, raster):
    """The model with time steps: torch layers on merged axes."""
    for module in model.modules():
        if isinstance(module, IAF):
            module.num_timesteps = raster.shape[1]
            module.reset_states()
    return model(raster.flatten(0, 1)).unflatten(0, raster.shape[:2])


@pytest.mark.parametrize("surrogate", SURROGATES, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("low", [-60.0, None])
def test_with_one_event_a_step_gradients_are_those_of_the_time_stepped_network(surrogate, reset, low):
    def neurons():
        return IAF(200.0, low, reset, surrogate=scaled(surrogate))

    first = integer_layer(nn.Conv2d(1, 1, 2, stride=2, bias=False))  # an event touches one neuron: one spike at most
    with torch.no_grad():
        first.weight.abs_()
    second = integer_layer(nn.Conv2d(1, 3, 2, bias=False), 4, seed=1)
    model = nn.Sequential(first, neurons(), nn.AvgPool2d(2), second, neurons())
    raster = one_event_rasters((1, 8, 8), 4, 60, 0).requires_grad_()
    wanted = run_in_steps(model, raster)
    found = ChipFaithful(model)(raster)
    assert torch.equal(found, wanted)
    assert 0 < found.sum() < found.numel() / 2
    for mine, theirs in zip(gradients(model, found, raster), gradients(model, wanted, raster), strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def scaled(surrogate):
    """For a threshold of 200, where numbers are in units of the potential."""
    if isinstance(surrogate, PeriodicExponential):
        return PeriodicExponential(200.0 * surrogate.grad_width, surrogate.grad_scale / 200.0)
    wide = {Gaussian: "sigma", MultiGaussian: "sigma", Heaviside: "window"}.get(type(surrogate))
    return surrogate if wide is None else type(surrogate)(**{wide: 200.0 * getattr(surrogate, wide)})


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("low", [-0.5, -0.1])
def test_gradients_are_those_of_autograd_through_a_plain_loop(reset, low):
    """Many events a step, biases, states at the bound: the equations of `gradient.py` written down once more, around the chip's values."""
    torch.manual_seed(2)
    surrogate = PeriodicExponential()
    conv = nn.Conv2d(2, 4, 3, padding=1)
    model = nn.Sequential(nn.AvgPool2d(2), conv, IAF(0.6, low, reset, surrogate=surrogate))
    faithful = ChipFaithful(model)
    raster = random_raster((2, 6, 6), 3, 12, 0).requires_grad_()
    output = faithful(raster)
    mine = gradients(model, output, raster)

    numbers = faithful.quantised()["1"]
    scale, theta = numbers.record.scale, torch.tensor(numbers.threshold / numbers.record.scale)
    weight, bias = (torch.from_numpy(one / scale).float().requires_grad_() for one in (numbers.weights, numbers.biases))
    pooled = nn.functional.avg_pool2d(raster.flatten(0, 1), 2, divisor_override=1)
    current = nn.functional.conv2d(pooled, weight, bias, padding=1).unflatten(0, raster.shape[:2])
    faithful.reset_states()
    v, counts, held = torch.zeros(3, 4, 3, 3), [], 0
    for t in range(raster.shape[1]):
        faithful(raster[:, t : t + 1].detach())
        integers = torch.from_numpy(faithful.integer_states()["1"])
        free = integers > numbers.lower_bound
        u = v + current[:, t]
        smooth = u * surrogate(u, theta).detach()
        s = output[:, t].detach() + smooth - smooth.detach()
        w = (u - s * theta if reset == "subtract" else torch.where(output[:, t] == 0, u, 0.0)) * free
        v = (integers / scale).float() + w - w.detach()
        counts.append(s)
        held += int((~free).sum())
    again = torch.stack(counts, 1)
    torch.testing.assert_close(again, output)
    assert held > 0
    random = torch.randn(output.shape, generator=torch.Generator().manual_seed(9))
    loss = (again * random).sum() + (again.sum(1) ** 2).sum()
    theirs = torch.autograd.grad(loss, [weight, bias, raster])
    torch.testing.assert_close(mine[0], theirs[0] / 4, rtol=1e-4, atol=1e-5)  # the average pool's factor is in the chip's weights
    torch.testing.assert_close(mine[1:], theirs[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ticks", [1, 3])
def test_gradients_of_recordings_with_several_clock_ticks_a_step(ticks):
    """As above; a bias counts as often as the clock ticks in a step."""
    torch.manual_seed(4)
    surrogate, dt_us = PeriodicExponential(), 10 * ticks
    model = nn.Sequential(nn.Conv2d(2, 3, 3), IAF(0.6, -0.5, surrogate=surrogate))
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([0.05, -0.02, 0.01]))
    recordings = [random_events((2, 5, 5), count, 8 * dt_us, count) for count in (150, 70)]
    faithful = ChipFaithful(model, (2, 5, 5))
    run = faithful.run(recordings, dt_us=dt_us, num_steps=8, time_step_us=10)
    random = torch.randn(run.output.shape, generator=torch.Generator().manual_seed(9))
    mine = torch.autograd.grad((run.output * random).sum(), [model[0].weight, model[0].bias])

    numbers = faithful.quantised()["0"]
    scale, theta = numbers.record.scale, torch.tensor(numbers.threshold / numbers.record.scale)
    weight, bias = (torch.from_numpy(one / scale).float().requires_grad_() for one in (numbers.weights, numbers.biases))
    faithful.reset_states()
    v, loss = torch.zeros(2, 3, 3, 3), torch.zeros(())
    for t in range(8):
        step = [cut(events, t * dt_us, (t + 1) * dt_us) for events in recordings]
        faithful(step, dt_us=dt_us, num_steps=1, time_step_us=10)
        integers = torch.from_numpy(faithful.integer_states()["0"])
        u = v + nn.functional.conv2d(run.arrived["0"][:, t], weight) + ticks * bias[:, None, None]
        s = u * surrogate(u, theta).detach()
        w = (u - s * theta) * (integers > numbers.lower_bound)
        v = (integers / scale).float() + w - w.detach()
        loss = loss + (s * random[:, t]).sum()
    theirs = torch.autograd.grad(loss, [weight, bias])
    assert run.output.sum() > 20
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def cut(events, start, end):
    """The events of a step, its beginning at 0."""
    found = events[(events["t"] >= start) & (events["t"] < end)].copy()
    found["t"] -= start
    return found


def test_rounding_is_passed_straight_through():
    """Weights that round to the same integers give the same spikes and the same gradients."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), IAF(), nn.Flatten(), nn.Linear(64, 5), IAF())
    rounded = copy.deepcopy(model)
    for name, numbers in ChipFaithful(model).quantised().items():
        layer = rounded.get_submodule(name)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(numbers.weights / numbers.record.scale))
            layer.bias.copy_(torch.from_numpy(numbers.biases / numbers.record.scale))
    raster = random_raster((2, 6, 6), 2, 10, 0).requires_grad_()
    found = [(one, ChipFaithful(one)(raster)) for one in (model, rounded)]
    assert not torch.equal(model[0].weight, rounded[0].weight)
    assert torch.equal(found[0][1], found[1][1])
    for one, other in zip(*(gradients(*pair, raster) for pair in found), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_gradients_go_on_from_call_to_call_until_they_are_cut():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), IAF(surrogate=PeriodicExponential()), nn.Flatten(), nn.Linear(48, 4), IAF())
    raster = random_raster((1, 6, 6), 2, 12, 0).requires_grad_()

    def in_two_calls(detach):
        faithful = ChipFaithful(model)
        first = faithful(raster[:, :5])
        if detach:
            faithful.detach()
        return torch.cat([first, faithful(raster[:, 5:])], 1)

    whole = gradients(model, ChipFaithful(model)(raster), raster)
    for one, other in zip(whole, gradients(model, in_two_calls(False), raster), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    last = in_two_calls(True)[:, 5:].sum()
    (of_input,) = torch.autograd.grad(last, [raster])
    assert not of_input[:, :5].any()
    assert of_input[:, 5:].any()


def test_in_coarse_steps_a_periodic_surrogate_still_passes_gradient():
    """What `gradient.py` advises: potentials many thresholds high are beyond a single exponential."""
    torch.manual_seed(0)
    raster = torch.full((1, 2, 4, 1, 1), 15.0)
    sizes = []
    for surrogate in (SingleExponential(), PeriodicExponential()):
        model = nn.Sequential(nn.Conv2d(4, 8, 1, bias=False), IAF(surrogate=surrogate))
        with torch.no_grad():
            model[0].weight.copy_(torch.linspace(0.2, 0.6, 32).reshape(8, 4, 1, 1))
        ChipFaithful(model)(raster).sum().backward()
        sizes.append(model[0].weight.grad.norm().item())
    assert sizes[0] < 1e-6
    assert sizes[1] > 1


def test_synaptic_operations_have_a_gradient():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), IAF(), nn.Flatten(), nn.Linear(48, 4, bias=False), IAF())
    run = ChipFaithful(model).run(random_raster((1, 6, 6), 2, 10, 0))
    assert run.synops["3"].tolist() == (4.0 * run.counts["0"].sum((1, 2, 3, 4))).tolist()
    run.synops["3"].sum().backward()
    assert model[0].weight.grad.abs().sum() > 0
    assert model[3].weight.grad is None


def test_without_gradients_nothing_is_kept_for_them():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), IAF())
    with torch.no_grad():
        run = ChipFaithful(model).run(random_raster((1, 6, 6), 2, 10, 0))
    assert run.output.grad_fn is None
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    faithful = ChipFaithful(model)
    assert faithful(random_raster((1, 6, 6), 2, 10, 0)).grad_fn is None
    assert faithful.states["0"].grad_fn is None


def test_float64_and_half_precision_weights():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), IAF())
    raster = random_raster((1, 6, 6), 2, 10, 0)
    wanted = ChipFaithful(model)(raster)
    double = copy.deepcopy(model).double()
    found = ChipFaithful(double)(raster)
    found.sum().backward()
    assert found.dtype == double[0].weight.grad.dtype == torch.float64
    assert torch.equal(found.float(), wanted)
    half = copy.deepcopy(model).to(torch.bfloat16)
    found = ChipFaithful(half)(raster)
    found.sum().backward()
    assert found.dtype == torch.float32
    assert half[0].weight.grad.dtype == torch.bfloat16
