"""The loss for synaptic operations: its number is the analysis', its gradient activity times fan-out, and training with it saves operations."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from chipflow.errors import ChipflowError
from chipflow.snn import IAF, LIF, IAFRecurrent, PeriodicExponential, from_model
from chipflow.snn.analysis import Analysis
from chipflow.snn.synops_loss import SynopsLoss, synops_loss


class Mark:
    """Something that a weak reference can point at."""


def network(seed=0):
    torch.manual_seed(seed)
    ann = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout(0.2), nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(24, 3), nn.ReLU(),
    )  # fmt: skip
    with torch.no_grad():
        for layer in ann:
            if hasattr(layer, "weight"):
                layer.weight.abs_().mul_(2)
    return from_model(ann, input_shape=(1, 12, 12))


def raster(batch=3, steps=5, seed=0):
    return (torch.rand(batch, steps, 1, 12, 12, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


@pytest.mark.parametrize("training", [False, True])
def test_it_counts_per_sample_what_an_analysis_counts(training):
    found = network().train(training)
    with SynopsLoss(found, target=1000) as loss, Analysis(found) as analysis:
        found(raster())
        assert {name: count.sum().item() for name, count in loss.synops.items()} == pytest.approx(
            {name: layer.total for name, layer in analysis.layers.items()}
        )
        assert loss().item() == pytest.approx((analysis.total.per_sample / 1000 - 1) ** 2, rel=1e-5)
        assert loss().dtype == torch.float32
        together = loss.total
    alone = []
    for i in range(3):
        found.reset_states()
        with SynopsLoss(found.eval(), target=1) as loss:
            found(raster()[i : i + 1])
            alone.append(loss.total.item())
    if not training:
        assert together.tolist() == alone


def test_the_gradient_of_operations_is_the_fan_out():
    """Through pools as well, and for spikes that did not come."""
    model = nn.Sequential(nn.AvgPool2d(3, 2, padding=1), nn.AvgPool2d(2), nn.Conv2d(1, 5, 2, padding=1), IAF(num_timesteps=1))
    inputs = torch.zeros(1, 1, 8, 8, requires_grad=True)
    with SynopsLoss(model, target=1) as loss:
        model(inputs)
        loss.total.sum().backward()
    for y, x in ((0, 0), (3, 4), (7, 1)):
        spike = torch.zeros(1, 1, 8, 8)
        spike[0, 0, y, x] = 1
        with Analysis(model) as analysis:
            model(spike)
        assert inputs.grad[0, 0, y, x].item() == analysis.total.total


def test_merged_axes_recurrent_neurons_and_functions_between_layers():
    class Merging(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.neurons, self.linear = nn.Conv1d(1, 2, 3), IAF(), nn.Linear(8, 2)

        def forward(self, x):
            y = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            return self.linear(self.neurons(y).flatten(2))

    recurrent = nn.Sequential(nn.Linear(6, 5), IAFRecurrent(nn.Sequential(nn.Linear(5, 5), nn.Identity())), nn.Linear(5, 2))
    merged = nn.Sequential(nn.Linear(6, 4), LIF(tau_mem=5.0, norm_input=False, batch_size=3), nn.Linear(4, 2))
    for model, shape in ((Merging(), (3, 4, 1, 6)), (recurrent, (3, 4, 6)), (merged, (12, 6))):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.abs_().mul_(2)
        spikes = (torch.rand(shape, generator=torch.Generator().manual_seed(2)) < 0.6).float()
        with SynopsLoss(model, target=10) as loss, Analysis(model) as analysis:
            model(spikes)
            assert all(count.shape == (3,) for count in loss.synops.values())
            assert {name: count.mean().item() for name, count in loss.synops.items()} == pytest.approx(analysis.synops)
            assert all(count > 0 for count in analysis.synops.values())


def test_hooks_are_there_once_and_leave_nothing():
    found = network()
    before = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in found.modules()]
    loss = SynopsLoss(found, target=100)
    with loss:
        found(raster())
        once = loss.total.detach()
    found.reset_states()
    with loss, loss.start():
        found(raster())
        assert torch.equal(loss.total, once)
    assert [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in found.modules()] == before


def test_nothing_of_a_call_that_failed_stays():
    """Not its graph; and later calls of parts are not taken for parts of it."""
    found, kept = network(), []

    def put_into_graph(_module, _args, output):
        mark = Mark()
        output.grad_fn.metadata["mark"] = mark
        kept.append(weakref.ref(mark))

    handles = [
        found.spiking_model[1].register_forward_hook(put_into_graph),
        found.spiking_model[4].register_forward_pre_hook(lambda *_: 1 / 0),
    ]
    loss = SynopsLoss(found, target=100)
    with pytest.raises(ZeroDivisionError), loss:
        found(raster())
    for handle in handles:
        handle.remove()
    found.reset_states()
    gc.collect()
    assert len(kept) == 1
    assert kept[0]() is None
    with loss:
        found.spiking_model[0](torch.zeros(2, 1, 12, 12))  # no multiple of 3 samples


def test_a_relative_target_waits_for_a_call_with_operations():
    found = network()
    for layer in found.spiking_model.modules():
        if getattr(layer, "bias", None) is not None:
            nn.init.zeros_(layer.bias)
    with SynopsLoss(found, target=0.5, relative=True) as loss:
        found(torch.zeros(3, 5, 1, 12, 12))
        with pytest.raises(ChipflowError, match="there was none yet: give an absolute target"):
            loss()
        found.reset_states()
        found(raster())
        assert loss().item() == pytest.approx(1)
        first = loss.target_synops
        found.reset_states()
        found(torch.zeros(3, 5, 1, 12, 12))
        assert loss().item() == pytest.approx(1)
        assert loss.target_synops == first > 0


def trained(weight, **target):
    """Synaptic operations per sample in every step of a training, and the loss that was on."""
    found, data, labels = network(), raster(8, 10), torch.arange(8) % 3
    for layer in found.spiking_model.modules():
        if isinstance(layer, IAF):
            layer.surrogate = PeriodicExponential()
    optimizer = torch.optim.Adam(found.spiking_model.parameters(), lr=0.01)
    counts = []
    with SynopsLoss(found, **target) as loss:
        for _ in range(60):
            optimizer.zero_grad()
            found.reset_states()
            output = found(data).sum(1)
            counts.append(loss.total.mean().item())
            (F.cross_entropy(output, labels) + weight * loss()).backward()
            optimizer.step()
    return counts, loss


@pytest.mark.parametrize("target", [{"target": 20_000}, {"target": 0.4, "relative": True}])
def test_training_with_it_saves_operations(target):
    counts, loss = trained(weight=5, **target)
    assert loss.target_synops == pytest.approx(target["target"] * (counts[0] if "relative" in target else 1))
    assert counts[0] > 1.5 * loss.target_synops
    assert counts[-1] == pytest.approx(loss.target_synops, rel=0.15)
    without, _ = trained(weight=0, **target)
    assert without[-1] > 1.3 * loss.target_synops


def test_nothing_stays_of_a_call_when_the_next_begins():
    found, kept = network(), []

    def put_into_graph(_module, _args, output):
        mark = Mark()
        output.grad_fn.metadata["mark"] = mark  # lives as long as the graph
        kept.append(weakref.ref(mark))

    found.spiking_model[1].register_forward_hook(put_into_graph)
    with SynopsLoss(found, target=100) as loss:
        for _ in range(3):
            found.reset_states()
            found(raster())
            loss().backward()
            gc.collect()
            assert sum(reference() is not None for reference in kept) == 1
    found.reset_states()
    gc.collect()
    assert all(reference() is None for reference in kept)
    assert not any(hook for hook in found.spiking_model[0]._forward_pre_hooks.values() if "SynopsLoss" in repr(hook))
    with pytest.raises(ChipflowError, match="no call of the model"):
        loss()


def test_one_sided_and_errors():
    synops = torch.tensor([50.0, 100.0])
    assert synops_loss(synops, 100).item() == pytest.approx(0.0625)
    assert synops_loss(synops, 100, only_above=True).item() == 0
    assert synops_loss(synops, 50, only_above=True).item() == pytest.approx(0.25)
    with pytest.raises(ChipflowError, match="target is 0"):
        synops_loss(synops, 0)
    with pytest.raises(ChipflowError, match="target is -1"):
        SynopsLoss(IAF(), target=-1)
    found = network()
    with SynopsLoss(found, target=0.5, relative=True) as loss:
        with pytest.raises(ChipflowError, match="no call"):
            loss()
        with pytest.raises(ChipflowError, match="share"):
            _ = loss.target_synops
        last = found.spiking_model[8].register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            found(raster())
        last.remove()
        with pytest.raises(ChipflowError, match="the last one failed"):
            loss()


def test_samples_that_cannot_be_told_apart_are_refused():
    class TimeFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.neurons, self.last = nn.Linear(3, 4), IAF(), nn.Linear(4, 2)

        def forward(self, x, y):
            return self.last(self.neurons(self.linear(y)))

    model, together = TimeFirst(), torch.zeros(3, 5, 3)
    with SynopsLoss(model, target=1), pytest.raises(ChipflowError, match="layer 'linear' runs on 15 entries"):
        model(None, together)
