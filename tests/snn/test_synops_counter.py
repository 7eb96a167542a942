"""The counter that is always on: what it counts, and that it disturbs nothing: copies, compiled models, training."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from chipflow.errors import ChipflowError
from chipflow.snn import IAF, Network, from_model
from chipflow.snn.analysis import Analysis
from chipflow.snn.synops_counter import SynopsCounter, uncounted


def network(counted=True):
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(24, 5), nn.ReLU(),
    )  # fmt: skip
    with torch.no_grad():
        for layer in ann:
            if hasattr(layer, "weight"):
                layer.weight.abs_().mul_(3)
    found = from_model(ann, input_shape=(1, 12, 12))
    if counted and SynopsCounter.of(found.spiking_model) is None:
        SynopsCounter.attach(found.spiking_model)
    return found


def raster(batch=2, steps=4, seed=0):
    return (torch.rand(batch, steps, 1, 12, 12, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def counter_of(found: Network) -> SynopsCounter:
    counter = SynopsCounter.of(found.spiking_model)
    assert counter is not None
    return counter


def test_it_counts_what_an_analysis_counts_over_batches_of_any_size():
    found = network()
    with Analysis(found) as analysis, torch.no_grad():
        for batch, steps in ((2, 4), (1, 7), (5, 2)):
            found.reset_states()
            found(raster(batch, steps, seed=batch))
    synops = counter_of(found).get_synops()
    assert synops == analysis.synops
    assert list(synops) == ["0", "3", "8"]
    assert all(count > 0 for count in synops.values())


def test_it_starts_again_after_reset_and_says_when_nothing_was_seen():
    found, counter = network(), None
    counter = counter_of(found)
    with pytest.raises(ChipflowError, match="no call of the model was counted yet"):
        counter.get_synops()
    found(raster())
    first = counter.get_synops()
    counter.reset_synops()
    with pytest.raises(ChipflowError, match="no call"):
        counter.get_synops()
    found.reset_states()
    found(raster())
    assert counter.get_synops() == first


def test_it_keeps_no_graph_and_no_tensor_of_a_call():
    found, kept = network(), []
    found.spiking_model[1].register_forward_hook(lambda _m, _a, out: kept.append(weakref.ref(out)))
    for _ in range(2):
        found.train()(raster()).sum().backward()
        found.reset_states()
    gc.collect()
    assert len(kept) == 2
    assert all(reference() is None for reference in kept)
    counter = counter_of(found)
    assert not any(value.requires_grad for value in counter._totals.values())
    assert all(found.analog_model[i].weight.grad is None for i in (0, 3))
    assert all(found.spiking_model[i].weight.grad.abs().sum() > 0 for i in (0, 3, 8))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_no_layers_output_is_kept_alive_until_the_call_ends(mode):
    found, outputs, alive = network(), [], []
    layers = found.spiking_model
    for layer in (layers[1], layers[2], layers[6]):
        layer.register_forward_hook(lambda _m, _a, out: outputs.append((weakref.ref(out), weakref.ref(out.untyped_storage()))))
    layers[8].register_forward_pre_hook(lambda *_: alive.extend(each() is not None for pair in outputs[:2] for each in pair))
    with mode():
        found(raster())
    assert alive == [False] * 4
    assert counter_of(found).get_synops()["8"] > 0


def test_a_call_that_uses_parameters_in_its_own_way_is_no_call():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.neurons = nn.Linear(3, 2), IAF()

        def forward(self, x):
            return self.neurons(nn.functional.linear(x, self.linear.weight))

    model = Own()
    counter = SynopsCounter.attach(model)
    model(torch.ones(2, 4, 3))
    with pytest.raises(ChipflowError, match=r"no call of the model .*does not call its layers"):
        counter.get_synops()


def test_layers_that_are_not_counted_are_told_once():
    model = nn.Sequential(nn.ConvTranspose2d(1, 2, 2), nn.Conv2d(2, 1, 2), IAF(num_timesteps=2))
    nn.utils.parametrizations.weight_norm(model[1])
    counter = SynopsCounter.attach(model)
    model(torch.zeros(2, 1, 3, 3))
    with pytest.warns(UserWarning, match="Synaptic operations of '0' are not counted, although"):
        assert list(counter.get_synops()) == ["1"]
    counter.get_synops()  # no second warning, which would be an error here


def test_paused_counters_stand_still():
    found = network()
    found(raster())
    before = counter_of(found).get_synops()
    with uncounted(found):
        with uncounted(found):
            found(raster(5, 7))
        found(raster(5, 7))
    assert counter_of(found).get_synops() == before
    found.reset_states()
    found(torch.zeros(2, 4, 1, 12, 12))
    assert counter_of(found).get_synops()["0"] == before["0"] / 2


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_counts_for_itself(copied):
    found = network()
    found(raster())
    before = counter_of(found).get_synops()
    other = copied(found)
    assert counter_of(other).get_synops() == before
    other.reset_states()
    other(torch.zeros(2, 4, 1, 12, 12))
    assert counter_of(other).get_synops()["0"] == before["0"] / 2
    assert counter_of(found).get_synops() == before


def test_a_copy_of_one_layer_takes_no_other_along():
    found = network()
    layer = copy.deepcopy(found.spiking_model[3])
    assert len(pickle.dumps(layer)) < 10_000
    layer(torch.ones(1, 4, 6, 6))


def test_inference_mode_and_training_take_turns():
    found = network()
    expected = None
    for mode in (torch.inference_mode, torch.enable_grad, torch.no_grad, torch.inference_mode):
        found.reset_states()
        with mode():
            found(raster())
        expected = expected or counter_of(found).get_synops()
    assert counter_of(found).get_synops() == expected


def test_compiled_models_are_counted_and_not_compiled_again():
    from torch._dynamo.testing import CompileCounter

    compiled = {}
    for counted in (False, True):
        torch._dynamo.reset()
        found, compiler = network(counted), CompileCounter()
        if not counted:
            remove_counter(found.spiking_model)
        model = torch.compile(found.spiking_model, backend=compiler)
        seen = []
        for _ in range(4):
            found.reset_states()
            with torch.no_grad():
                model(raster())
            seen.append(compiler.frame_count)
        assert seen == seen[:1] * 4
        compiled[counted] = found
    eager = network()
    eager(raster())
    assert counter_of(compiled[True]).get_synops() == counter_of(eager).get_synops()


@pytest.mark.slow
def test_a_compiled_model_with_views_and_branches_counts_what_it_counts_otherwise():
    """Batches of several sizes, and pools in front of functions that only change the shape."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.neurons, self.pool = nn.Conv2d(1, 3, 3), IAF(num_timesteps=4), nn.AvgPool2d(2)
            self.one, self.two, self.last = nn.Linear(75, 4), nn.Conv2d(3, 2, 3, padding="same"), IAF(num_timesteps=4)

        def forward(self, x):
            x = self.pool(self.neurons(self.conv(x)))
            return self.last(self.one(torch.flatten(x, 1)) + self.two(x).view(x.shape[0], -1)[:, :4] + x.reshape(-1, 75)[:, :4])

    torch._dynamo.reset()
    torch.manual_seed(0)
    eager = Branches()
    SynopsCounter.attach(eager)
    other = copy.deepcopy(eager)
    compiled = torch.compile(other, backend="eager", fullgraph=True)
    for batch in (2, 3, 5):
        for model in (eager, compiled):
            for layer in (eager.neurons, eager.last, other.neurons, other.last):
                layer.reset_states()
            with torch.no_grad():
                model(raster(batch, 4, seed=batch).flatten(0, 1) * 3)
    one, two = SynopsCounter.of(eager), SynopsCounter.of(other)
    assert one is not None
    assert two is not None
    assert two.get_synops() == one.get_synops()
    assert one.get_synops()["one"] > 0


def remove_counter(model):
    """A network without one, should `from_model` attach it."""
    for module in model.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if "Synops" in repr(hook)]:
                del hooks[key]


def test_values_that_are_no_spikes_are_told_once():
    found = network()
    found(torch.full((1, 3, 1, 12, 12), 0.37))
    counter = counter_of(found)
    with pytest.warns(UserWarning, match="Synaptic operations of '0': the input was no whole number of spikes"):
        synops = counter.get_synops()
    assert counter.get_synops() == synops  # no second warning, which would be an error here


def test_a_model_on_the_meta_device_is_left_alone():
    model = nn.Sequential(nn.Linear(3, 4), nn.Identity(), IAF())
    counter = SynopsCounter.attach(model)
    linear = copy.deepcopy(model).to("meta")
    linear[2] = nn.Identity()
    linear(torch.zeros(1, 2, 3, device="meta"))
    with pytest.raises(ChipflowError, match="no call"):
        counter.get_synops()
    with pytest.raises(ChipflowError, match="no spiking neurons of chipflow"):
        SynopsCounter.attach(nn.Linear(2, 2))
