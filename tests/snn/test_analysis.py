"""Synaptic operations and firing rates: equal to counting one by one, to the emulator, and to sinabs where it is exact."""

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from chipflow import compile
from chipflow.errors import ChipflowError
from chipflow.events import make_events, raster_to_events
from chipflow.snn import IAF, LIF, ExpLeak, IAFRecurrent, SumPool2d, from_model
from chipflow.snn.analysis import Analysis
from tests.snn.counting import pooled_events, synops_of_conv


def spikes(*shape, rate=0.3, most=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < rate).float() * torch.randint(1, most + 1, shape, generator=generator)


def run(model, *rasters, **options):
    with Analysis(model, **options) as analysis, torch.no_grad():
        for raster in rasters:
            model(raster)
    return analysis


def seen_by(model, kinds):
    """Outputs of layers by name, as hooks of their own record them: a list of one for each call."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _m, _a, out, name=name: found.setdefault(name, []).append(out.detach().clone()))
    return found


def converted(**options):
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout(0.5), nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6 * 2 * 2, 10), nn.ReLU(), nn.Linear(10, 3),
    )  # fmt: skip
    with torch.no_grad():
        ann[0].weight.mul_(4)
        ann[4].weight.abs_().mul_(6)
        ann[8].weight.abs_().mul_(10)
    return from_model(ann, input_shape=(2, 18, 18), **options)


def expected_of_converted(network, raster):
    """By layer, from the spikes in front of it: [batch * time, ...] as recorded."""
    found = seen_by(network.spiking_model, IAF)
    with torch.no_grad():
        network(raster)
    first, second, third = (found[name][0].numpy() for name in ("1", "5", "9"))
    return {
        "0": synops_of_conv(raster.flatten(0, 1).numpy(), 4, (3, 3), (1, 1), (1, 1)),
        "4": synops_of_conv(pooled_events(first, 2), 6, (3, 3), (2, 2), (0, 0)),
        "8": pooled_events(second, 2).sum() * 10,
        "10": third.sum() * 3,
    }


# --- synaptic operations ---


def test_a_converted_network_as_counted_one_by_one():
    network, raster = converted(), spikes(2, 3, 2, 18, 18)
    expected = expected_of_converted(network, raster)
    assert all(count > 0 for count in expected.values())
    network.reset_states()
    analysis = run(network, raster)
    assert {name: layer.total for name, layer in analysis.layers.items()} == expected
    assert not analysis.total.analog
    assert (analysis.samples, analysis.steps) == (2, 6)
    assert analysis.synops == {name: count / 2 for name, count in expected.items()}
    assert analysis.total.per_step == sum(expected.values()) / 6
    assert analysis.total.per_second == analysis.total.per_step * 1000


@pytest.mark.parametrize("training", [False, True])
def test_dropout_and_views_between_pool_and_layer_are_looked_through(training):
    """In training, with gradients; what dropout takes away is still counted."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.neurons, self.pool, self.drop, self.linear = IAF(), nn.AvgPool2d(2), nn.Dropout(0.5), nn.Linear(32, 5)

        def forward(self, x):
            x = self.neurons(x)
            fired.append(x.detach().sum().item())
            return self.linear(self.drop(self.pool(x.flatten(0, 1))).flatten(1))

    fired = []
    network = Network().train(training)
    analysis = Analysis(network)
    with analysis:
        network(spikes(3, 4, 2, 8, 8).requires_grad_()).sum().backward()
    assert analysis.layers["linear"].total == fired[0] * 5 > 0
    assert not analysis.total.analog
    with torch.no_grad(), analysis:
        network.neurons.reset_states()
        network(spikes(3, 4, 2, 8, 8))
    with torch.inference_mode(), analysis:
        network(spikes(3, 4, 2, 8, 8))
    assert analysis.layers["linear"].total == sum(fired) * 5


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_convolution_behind_any_pools_as_counted_one_by_one(data):
    side = st.integers(1, 3)
    sizes = data.draw(st.lists(st.tuples(side, side), max_size=2))
    kernel, stride, padding, dilation = (
        data.draw(st.tuples(each, each)) for each in (side, side, st.integers(0, 2), st.integers(1, 2))
    )
    groups = data.draw(st.sampled_from([1, 2]))
    raster = spikes(3, 2, 9, 8, rate=0.2, seed=data.draw(st.integers(0, 99)))
    kinds = [data.draw(st.sampled_from([nn.AvgPool2d, SumPool2d])) for _ in sizes]
    expected = raster.numpy()
    pools = []
    for kind, (size, step) in zip(kinds, sizes, strict=True):
        if min(expected.shape[-2:]) < size:
            continue
        pools.append(kind(size, step))
        expected = pooled_events(expected, size, step)
    if any(
        edge + 2 * pad < d * (k - 1) + 1 for edge, pad, d, k in zip(expected.shape[-2:], padding, dilation, kernel, strict=True)
    ):
        return
    model = nn.Sequential(*pools, nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups), IAF(num_timesteps=3))
    counted = synops_of_conv(expected, 4, kernel, stride, padding, dilation, groups)
    layer = run(model, raster).layers[str(len(pools))]
    assert layer.total == pytest.approx(counted, rel=1e-6)
    assert not layer.analog or any(kind is nn.AvgPool2d for kind in kinds)


def test_adapting_and_padded_pools_in_a_row():
    """Windows of different sizes, which no single factor undoes: spikes are those of pools that sum."""
    raster = spikes(4, 3, 11, 7, most=3)
    model = nn.Sequential(
        IAF(num_timesteps=4), nn.AdaptiveAvgPool2d((6, 5)), nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        nn.Flatten(), nn.Linear(3 * 3 * 3, 7),
    )  # fmt: skip
    found = seen_by(model, IAF)
    analysis = run(model, raster)
    events = found["0"][0].numpy()
    adapted = np.zeros((4, 3, 6, 5))
    for y in range(6):
        for x in range(5):
            rows, columns = slice(y * 11 // 6, -(-(y + 1) * 11 // 6)), slice(x * 7 // 5, -(-(x + 1) * 7 // 5))
            adapted[:, :, y, x] = events[:, :, rows, columns].sum((-1, -2))
    padded = np.pad(adapted, ((0, 0), (0, 0), (1, 1), (1, 1)))
    assert analysis.layers["4"].total == pooled_events(padded, 3, 2).sum() * 7
    assert not analysis.total.analog


def test_one_dimension_and_unmerged_axes():
    conv = nn.Sequential(nn.Conv1d(2, 3, 3, stride=2, padding=1), IAF(num_timesteps=5), nn.AvgPool1d(2), nn.Conv1d(3, 2, 2))
    raster = spikes(10, 2, 8)
    found = seen_by(conv, IAF)
    analysis = run(conv, raster)
    assert analysis.layers["0"].total == synops_of_conv(raster[:, :, None].numpy(), 3, (1, 3), (1, 2), (0, 1))
    pooled = pooled_events(found["1"][0].numpy().repeat(2, 1).reshape(10, 3, 2, 4), 2)[:, :, 0] / 2
    assert analysis.layers["3"].total == 2 * pooled[..., 0].sum() + 2 * pooled[..., 1].sum()
    rows = nn.Sequential(nn.Linear(4, 6), LIF(tau_mem=5.0), nn.Linear(6, 2), IAF())
    found, raster = seen_by(rows, LIF), spikes(3, 7, 4, rate=0.8)
    with torch.no_grad():
        rows[0].weight.abs_().mul_(3)
    analysis = run(rows, raster)
    assert analysis.synops == {"0": raster.sum().item() * 6 / 3, "2": found["1"][0].sum().item() * 2 / 3}
    assert (analysis.samples, analysis.steps) == (3, 21)


def test_recurrent_connections_are_layers_like_others():
    model = nn.Sequential(nn.Linear(4, 5), IAFRecurrent(nn.Linear(5, 5)), nn.Linear(5, 2))
    with torch.no_grad():
        model[0].weight.abs_().mul_(2)
    found, raster = seen_by(model, IAFRecurrent), spikes(2, 6, 4, rate=0.7)
    analysis = run(model, raster)
    fired = found["1"][0]
    assert analysis.layers["2"].total == fired.sum() * 2 > 0
    assert analysis.layers["1.rec_connect"].total == fired[:, :-1].sum() * 5
    assert (analysis.samples, analysis.steps) == (2, 12)


def test_branches_read_the_same_spikes_and_sums_of_spikes_are_spikes():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.neurons, self.pool, self.one, self.two = IAF(), nn.AvgPool1d(2), nn.Linear(3, 4), nn.Linear(6, 2)
            self.join = nn.Linear(6, 5)

        def forward(self, x):
            x = self.neurons(x)
            fired.append(x.detach())
            return self.one(self.pool(x)).sum() + self.two(x).sum() + self.join(x + x).sum()

    fired = []
    analysis = run(Branches(), spikes(2, 3, 6, rate=0.6))
    count = fired[0].sum().item()
    assert {name: layer.total for name, layer in analysis.layers.items()} == {
        "one": 4 * count,
        "two": 2 * count,
        "join": 10 * count,
    }
    assert not analysis.total.analog


def test_values_that_are_no_spikes_count_by_their_size_and_are_marked():
    """A constant current, values below zero, and a pool that hooks do not see; a tensor written into after its pool."""

    class Hidden(nn.Module):
        def __init__(self, change):
            super().__init__()
            self.neurons, self.pool, self.linear, self.change = IAF(), nn.AvgPool1d(2), nn.Linear(3, 4), change

        def forward(self, x):
            values.append(self.change(self, self.neurons(x)).detach().clone())
            self.neurons.reset_states()
            return self.linear(self.change(self, self.neurons(x)))

    raster = torch.full((2, 3, 6), 0.3)
    raster[0, 0, 0] = -0.3
    analysis = run(nn.Sequential(nn.Linear(6, 4), IAF()), raster)
    assert analysis.layers["0"].total == pytest.approx(2 * 3 * 6 * 0.3 * 4)
    assert analysis.layers["0"].analog
    assert "*" in analysis.summary()
    for change in (lambda _, x: F.avg_pool1d(x, 2), lambda self, x: self.pool(x).mul_(0.5)):
        values = []
        analysis = run(Hidden(change), spikes(2, 3, 6, rate=0.7))
        assert analysis.layers["linear"].total == pytest.approx(values[0].sum().item() * 4)
        assert analysis.layers["linear"].analog
    halves = run(nn.Sequential(nn.AvgPool1d(2), nn.Linear(3, 4), IAF()), torch.full((2, 4, 6), 0.5))
    assert halves.layers["1"].analog  # although they add up to whole numbers
    potentials = run(nn.Sequential(nn.Linear(6, 4), ExpLeak(tau_mem=4.0), nn.Linear(4, 2)), spikes(2, 3, 6))
    assert (potentials.layers["0"].analog, potentials.layers["2"].analog) == (False, True)
    assert potentials.neurons == {}


def test_half_precision_and_autocast_count_exactly():
    raster = spikes(2, 3000, 3, rate=0.9)
    model = nn.Sequential(IAF(), nn.Linear(3, 2)).half()
    assert run(model, raster.half()).layers["1"].total == raster.sum().item() * 2
    with torch.autocast("cpu", torch.bfloat16):
        assert run(nn.Sequential(nn.Linear(3, 2), IAF()), raster).layers["0"].total == raster.sum().item() * 2


def test_sinabs_counts_the_same_where_it_is_exact():
    """A chain whose pools do not overlap; it has means over batch and time."""
    hooks = pytest.importorskip("sinabs.hooks")
    network, raster = converted(), spikes(2, 3, 2, 18, 18)
    analysis = run(network, raster)
    network.reset_states()
    hooks.register_synops_hooks(network.spiking_model, dt=1e-3)
    with torch.no_grad():
        network(raster)
    theirs = network.spiking_model.hook_data
    for index, count in theirs["synops_per_timestep"].items():
        assert analysis.layers[str(index)].per_step == pytest.approx(count.item(), rel=1e-5)
        assert analysis.layers[str(index)].per_second == pytest.approx(theirs["synops_per_second"][index].item(), rel=1e-5)
    assert len(theirs["synops_per_timestep"]) == len(analysis.layers)


# --- the emulator ---


def whole_weights(layer, seed, low=0, factor=1):
    """Whole numbers up to the chip's largest weight, so that the compiler's scale is 1; some of them 0."""
    numbers = torch.randint(low, 12, layer.weight.shape, generator=torch.Generator().manual_seed(seed)).float()
    numbers.view(-1)[0] = 127
    layer.weight.data = numbers * factor
    layer.bias = None
    return layer


CHAINS = {
    "borders, strides, pools": lambda: nn.Sequential(
        whole_weights(nn.Conv2d(2, 6, 3, stride=2, padding=1), 0), IAF(200, None), nn.AvgPool2d(2),
        whole_weights(nn.Conv2d(6, 8, 3, padding=1), 1, factor=4), IAF(300, None), SumPool2d(2),
        whole_weights(nn.Conv2d(8, 4, 2), 2), IAF(250, None), nn.Dropout(), nn.Flatten(),
        whole_weights(nn.Linear(4 * 1 * 1, 5), 3), IAF(130, None),
    ),
    "a pool in front, a remainder at a border": lambda: nn.Sequential(
        nn.AvgPool2d(2), whole_weights(nn.Conv2d(2, 5, 3), 0, factor=4), IAF(150, None), nn.AvgPool2d(4),
        nn.Flatten(), whole_weights(nn.Linear(5, 7), 1, factor=16), IAF(140, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("chain", CHAINS)
def test_counts_are_those_of_the_emulator(chain):
    """Weights from 0 to below the threshold, no lower bound: no order of events changes how many spikes there are."""
    model = CHAINS[chain]().eval()
    raster = spikes(12, 2, 16, 16, rate=0.25, most=2)
    program = compile(model, "speck2f", input_shape=(2, 16, 16))
    result = program.run(raster_to_events(raster.numpy()), monitor=[layer.name for layer in program.layers])
    for module in model.modules():
        if isinstance(module, IAF):
            module.num_timesteps = 12
    analysis = run(model, raster)
    assert len(program.placement) == len(analysis.layers)
    for name, core in program.placement.items():
        assert result.counters[core].synops == analysis.layers[name].total > 0
        assert not analysis.layers[name].analog
    fired = {name: round(rates.rate * rates.neurons * 12) for name, rates in analysis.neurons.items()}
    assert list(fired.values()) == [int(result.counts(name).sum()) for name in program.placement]


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_emulator_with_one_event_a_step(seed):
    """Weights of both signs and lower bounds: the spikes of the first layer are the chip's, and so is what both layers do."""
    rng = np.random.default_rng(seed)
    kernel, stride, padding = (int(rng.integers(*bounds)) for bounds in ((1, 5), (1, 3), (0, 3)))
    model = nn.Sequential(
        whole_weights(nn.Conv2d(2, 6, kernel, stride, padding), seed, low=-8), IAF(128, -100, num_timesteps=400), nn.AvgPool2d(2),
        whole_weights(nn.Conv2d(6, 4, 2, padding=1), seed + 1, low=-8, factor=4), IAF(128, -64, num_timesteps=400),
    )  # fmt: skip
    raster = np.zeros((400, 2, 11, 10))
    for step in range(400):
        raster[step, rng.integers(2), rng.integers(2, 7), rng.integers(2, 7)] = 1
    program = compile(model, "speck2f", input_shape=(2, 11, 10))
    events = raster_to_events(raster)
    result = program.run(make_events(events["x"], events["y"], events["t"], events["p"]))
    analysis = run(model, torch.from_numpy(raster).float())
    for name, core in program.placement.items():
        assert result.counters[core].synops == analysis.layers[name].total > 0


# --- firing ---


def test_firing_rates_dead_and_saturated_neurons():
    raster = torch.zeros(2, 10, 5)
    raster[:, :, 1] = 1  # once in every step
    raster[:, :9, 2] = 1  # in nine of ten
    raster[:, ::2, 3] = 3  # three in every other step
    raster[0, 0, 4] = 1  # once in one sample
    model = nn.Sequential(nn.Identity(), IAF())
    analysis = run(model, raster, raster[:1], dt_us=500, saturated_at=0.9)
    rates = analysis.neurons["1"]
    assert rates.rates.tolist() == pytest.approx([0, 1, 0.9, 1.5, 1 / 15])
    assert rates.active.tolist() == pytest.approx([0, 1, 0.9, 0.5, 1 / 15])
    assert rates.several.tolist() == pytest.approx([0, 0, 0, 0.5, 0])
    assert rates.dead.tolist() == [True, False, False, False, False]
    assert rates.saturated.tolist() == [False, True, True, False, False]
    assert rates.rate == pytest.approx((1 + 0.9 + 1.5 + 1 / 15) / 5)
    assert rates.rate_hz == pytest.approx(rates.rate * 2000)
    assert run(model, raster, saturated_at=1.0).neurons["1"].saturated.sum() == 1


def test_rates_keep_the_shape_of_the_map_merged_or_not():
    raster = spikes(6, 3, 4, 5, most=3)
    merged = run(nn.Sequential(nn.Identity(), IAF(batch_size=2)), raster)
    unmerged = run(nn.Sequential(nn.Identity(), IAF()), raster.unflatten(0, (2, 3)))
    assert merged.neurons["1"].rates.shape == (3, 4, 5)
    assert torch.equal(merged.neurons["1"].rates, unmerged.neurons["1"].rates)
    assert torch.equal(merged.neurons["1"].rates, raster.double().mean(0))
    assert (merged.samples, merged.steps) == (unmerged.samples, unmerged.steps) == (2, 6)


# --- hooks and memory ---


def hooks_of(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_hooks_are_gone_afterwards_also_after_an_error():
    network = converted()
    before = hooks_of(network)
    analysis = Analysis(network)

    def stopped():
        with analysis:
            network(spikes(1, 2, 2, 18, 18))
            assert hooks_of(network) > before
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stopped()
    assert hooks_of(network) == before
    synops = analysis.synops
    network(spikes(1, 2, 2, 18, 18))
    assert analysis.synops == synops


def test_a_call_that_fails_is_not_counted():
    network, raster = converted(), spikes(2, 3, 2, 18, 18)
    expected = run(network, raster)
    network.reset_states()
    last = network.spiking_model[10]
    with Analysis(network) as analysis, torch.no_grad():
        last.register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            network(raster)
        last._forward_pre_hooks.popitem()
        network.reset_states()
        network(raster)
    assert analysis.synops == expected.synops
    assert torch.equal(analysis.neurons["1"].rates, expected.neurons["1"].rates)


def test_start_stop_and_reset():
    network, raster = converted(), spikes(1, 3, 2, 18, 18)
    analysis = Analysis(network)
    analysis.start().start()
    network(raster)
    analysis.stop()
    network.reset_states()
    network(raster)
    once = analysis.synops
    assert analysis.samples == 1
    analysis.reset()
    with analysis:
        network.reset_states()
        network(raster)
    assert analysis.synops == once


def test_nothing_of_a_call_is_kept():
    model = nn.Sequential(nn.Linear(4, 6), IAF(), nn.AvgPool1d(2), nn.Linear(3, 2), IAF())
    kept = []
    with Analysis(model) as analysis:
        for _ in range(2):
            raster = spikes(2, 5, 4).requires_grad_()
            handle = model[1].register_forward_hook(lambda _m, _a, out: kept.append(weakref.ref(out)))
            model(raster).sum().backward()
            kept.append(weakref.ref(raster))
            handle.remove()
            for layer in (model[1], model[4]):
                layer.detach()
    del raster
    gc.collect()
    assert all(reference() is None for reference in kept)
    assert not any(value.requires_grad for value in analysis._totals.values())


def test_errors_say_what_to_do():
    with pytest.raises(ChipflowError, match="spiking_model"):
        Analysis(nn.Linear(2, 2)).start()
    with pytest.raises(ChipflowError, match="dt_us is 0"):
        Analysis(IAF(), dt_us=0)
    with pytest.raises(ChipflowError, match=r"saturated_at is 1\.5"):
        Analysis(IAF(), saturated_at=1.5)
    network = converted()
    with Analysis(network) as analysis:
        network.spiking_model[0](torch.zeros(1, 2, 18, 18))
    with pytest.raises(ChipflowError, match="calls of its parts are not counted"):
        analysis.summary()
    small = nn.Sequential(nn.Conv2d(1, 2, 3), IAF(num_timesteps=2))
    with pytest.raises(ChipflowError, match=r"Layer '1' has neurons of shape \[2, 4, 4\] now and had \[2, 3, 3\]"):
        run(small, torch.zeros(2, 1, 5, 5), torch.zeros(2, 1, 6, 6))


def test_an_error_about_maps_of_different_sizes_changes_no_result():
    small = nn.Sequential(nn.Conv2d(1, 2, 3), IAF(num_timesteps=2))
    with Analysis(small) as analysis, torch.no_grad():
        small(torch.ones(2, 1, 5, 5))
        before = analysis.samples, analysis.steps, analysis.synops, analysis.neurons["1"].rate
        with pytest.raises(ChipflowError, match="has neurons of shape"):
            small(torch.ones(2, 1, 6, 6))
        assert (analysis.samples, analysis.steps, analysis.synops, analysis.neurons["1"].rate) == before
        small[1].reset_states()
        small(torch.ones(2, 1, 5, 5))
    assert analysis.samples == 2
    assert analysis.synops == before[2]


def test_transformed_tensors_have_no_memory_to_be_found_by():
    model = nn.Sequential(nn.Linear(4, 3), IAF(), nn.Identity(), nn.Linear(3, 2))
    raster, parameters = spikes(2, 5, 4, rate=0.8), dict(model.named_parameters())

    def loss(parameters):
        model[1].reset_states()
        return torch.func.functional_call(model, parameters, (raster,)).sum()

    with Analysis(model) as analysis:
        torch.func.grad(loss)(parameters)
        model[1].reset_states()
        once = analysis.synops
        model(raster)
    assert analysis.synops == once


def test_the_summary_reads_well():
    network = converted(add_spiking_output=True)
    network.spiking_model.extra = nn.ConvTranspose2d(1, 1, 2)
    with Analysis(network) as analysis, torch.no_grad():
        network.spiking_model.forward = lambda x: nn.Sequential(*list(network.spiking_model)[:-1])(x)
        network(spikes(2, 50, 2, 18, 18))
    text = analysis.summary()
    assert "2 samples of 50 time steps of 1,000 us" in text
    assert "one spike that arrives at one synapse" in text
    assert "Not counted, although they have weights: extra" in text
    assert all(f"\n  {name} " in text for name in ("0", "1", "total", "spike_output"))
    assert max(map(len, text.splitlines())) <= 140
    assert repr(analysis) == "Analysis of Sequential: 2 samples, 100 time steps"
