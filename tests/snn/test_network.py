"""Network: comparison with the analog model, summary, states, and what torch.compile makes of it."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.nn import functional as F

from chipflow.errors import ChipflowError
from chipflow.snn import IAF, LIFRecurrent, Network, from_model


def spikes(*shape, rate=0.4, seed=3):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


def cnn():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(36, 10), nn.ReLU(),
        nn.Linear(10, 3),
    )  # fmt: skip
    nn.init.constant_(model[-1].bias, 0.5)
    return model


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(144, 3)

    def forward(self, x):
        return F.relu(self.fc(torch.flatten(F.relu(self.conv(x)), 1)))


def hooks_of(module):
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules()]


def test_comparison_equals_what_one_counts_by_hand():
    model, x = cnn(), spikes(3, 40, 1, 8, 8)
    network = from_model(model, calibration=x, add_spiking_output=True)
    comparison = network.compare_activations(x)
    assert list(comparison.layers) == ["2", "7", "spike_output"]
    assert comparison.num_timesteps == 40
    model.eval()
    with torch.no_grad():
        y, v = x.mean(1), x.flatten(0, 1)
        for name, layer in copy.deepcopy(network.spiking_model).named_children():
            v = layer(v.unflatten(0, (3, 40))).flatten(0, 1) if isinstance(layer, IAF) else layer(v)
            y = model[int(name)](y) if name != "spike_output" else y.relu()
            if isinstance(layer, IAF):
                found, rate = comparison[name], v.unflatten(0, (3, 40)).mean(1)
                torch.testing.assert_close(found.analog, y)
                torch.testing.assert_close(found.spiking, rate * network.scales[name])
                assert found.mean_rate == pytest.approx(rate.mean().item())
                assert found.rms_error == pytest.approx(math.sqrt(F.mse_loss(rate * network.scales[name], y).item()), abs=1e-6)
                expected = np.corrcoef(rate.flatten().numpy(), y.flatten().numpy())[0, 1]
                assert found.correlation == pytest.approx(expected, abs=1e-5)
    assert comparison["2"].correlation > 0.9
    lines = str(comparison).split("\n")
    assert "over 40 time steps" in lines[0]
    assert [line.split()[0] for line in lines if line.split() and line.split()[0] in comparison.layers] == list(comparison.layers)


def test_comparison_leaves_everything_as_it_was():
    model, x = cnn(), spikes(2, 20, 1, 8, 8)
    network = from_model(model, (1, 8, 8))
    network(x)
    network.spiking_model.train()
    before = copy.deepcopy(network.state_dict()), {name: value.clone() for name, value in network.states.items()}
    modes, hooks = [m.training for m in network.modules()], hooks_of(network)
    first, again = network.compare_activations(x), network.compare_activations(x.numpy())
    assert torch.equal(first["2"].spiking, again["2"].spiking)  # from zero states, without dropout
    with pytest.raises(ChipflowError, match="expected"):
        network.compare_activations(x[..., :7])
    with pytest.raises(ChipflowError, match="not finite"):
        network.compare_activations(x / 0)
    assert [m.training for m in network.modules()] == modes
    assert hooks_of(network) == hooks
    now = network.state_dict()
    assert now.pop("_extra_state") == before[0].pop("_extra_state")
    assert all(torch.equal(before[0][name], value) for name, value in now.items())
    assert all(torch.equal(before[1][name], value) for name, value in network.states.items())
    assert all(p.grad is None for p in network.parameters())
    fresh = from_model(model, (1, 8, 8))
    fresh.compare_activations(x)
    assert fresh.states == {}


@pytest.mark.parametrize("wrapped", [False, True])
def test_comparison_of_functions_merged_axes_and_wrapped_models(wrapped):
    torch.manual_seed(0)
    x = spikes(3, 20, 1, 8, 8)
    model = Wrapper(Functional()) if wrapped else Functional()
    network = from_model(model, (1, 8, 8), batch_size=3, add_spiking_output=True)
    unfolded, merged = network.compare_activations(x), network.compare_activations(x.flatten(0, 1).bool())
    expected = ["model.inner.relu", "model.inner.relu_1", "spike_output"] if wrapped else ["relu", "relu_1"]
    assert list(unfolded.layers) == list(merged.layers) == expected
    for name in expected:
        assert torch.equal(unfolded[name].spiking, merged[name].spiking)
        torch.testing.assert_close(unfolded[name].analog, merged[name].analog)
    assert unfolded[expected[0]].correlation > 0.9


class Wrapper(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) - 0.1


def test_comparison_of_what_does_not_belong_together_is_refused():
    one, other = from_model(cnn(), (1, 8, 8)), from_model(Functional(), (1, 8, 8))
    with pytest.raises(ChipflowError, match=r"no layers \['relu', 'relu_1'\].*not the same networks"):
        Network(one.analog_model, other.spiking_model).compare_activations(spikes(1, 5, 1, 8, 8))
    with pytest.raises(ChipflowError, match="no layer of neurons"):
        Network(cnn(), nn.Sequential(nn.Flatten(0, 1), cnn())).compare_activations(spikes(1, 5, 1, 8, 8))


def test_a_network_put_together_by_hand_can_be_compared():
    analog = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    x = spikes(2, 30, 4)
    network = Network(analog, nn.Sequential(analog[0], IAF()))
    torch.testing.assert_close(network.compare_activations(x)["1"].analog, analog(x.mean(1)).detach())
    merged = Network(analog, nn.Sequential(analog[0], IAF(batch_size=2)))
    assert torch.equal(merged.compare_activations(x.flatten(0, 1))["1"].spiking, network.compare_activations(x)["1"].spiking)


def test_summary_has_a_row_for_each_layer_and_a_total():
    network = from_model(cnn(), calibration=spikes(4, 10, 1, 8, 8), add_spiking_output=True, threshold={"7": 2.0})
    rows = {line.split()[0]: line.split() for line in network.summary().split("\n")[1:] if line.strip()}
    assert rows["0"] == ["0", "Conv2d", "4", "x", "6", "x", "6", "40"]
    assert rows["2"][:9] == ["2", "IAF", "4", "x", "6", "x", "6", "0", "144"]
    assert rows["7"] == ["7", "IAF", "10", "0", "10", "2", f"{network.scales['7']:.4g}"]
    parameters = sum(p.numel() for p in network.spiking_model.parameters())
    assert rows["total"] == ["total", f"{parameters:,}", "157"]
    assert network.states == {}


def test_summary_without_a_known_shape_in_the_order_of_running_and_with_shared_weights():
    flat = from_model(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU()))
    assert "input unknown" in flat.summary()
    assert "total" in flat.summary((1, 2, 2))
    with pytest.raises(ChipflowError, match="shape"):
        from_model(cnn(), (1, 8, 8)).summary((2, 8, 8))
    block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    twice = from_model(nn.Sequential(block, block)).summary().split("\n")
    assert [line.split()[3] for line in twice if line.split()[1:2] == ["Linear"]] == ["20", "0"]
    recurrent = from_model(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), neuron=LIFRecurrent(10.0, nn.Linear(4, 4))).summary()
    assert [line.split()[3] for line in recurrent.split("\n") if "LIFRecurrent" in line] == ["21"]
    late = from_model(Late(), (4,)).summary()
    assert late.index("first") < late.index("relu") < late.index("second")
    assert "gain" not in late
    assert [line.split()[-1] for line in late.split("\n") if "Late" in line and "input" not in line] == ["1"]


def test_summary_marks_activations_that_stay():
    chain = nn.Sequential(nn.Linear(4, 4), nn.ReLU6(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(-1))
    with pytest.warns(UserWarning, match=r"'1' \(ReLU6\). Use nn.ReLU"):
        text = from_model(chain, (4,)).summary()
    assert [line.split()[:2] for line in text.split("\n") if "not spiking" in line] == [["1", "ReLU6"]]
    assert text.endswith("\nNot spiking: '1'. Only ReLUs become neurons.")
    assert "piking" not in from_model(cnn(), (1, 8, 8)).summary()


class Late(nn.Module):
    """Registered in another order than it runs; a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.second, self.first, self.gain = nn.Linear(3, 2), nn.Linear(4, 3), nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.second(F.relu(self.first(x)) * self.gain)


def test_detach_and_reset_reach_all_layers():
    network = from_model(cnn(), (1, 8, 8))
    x = spikes(2, 5, 1, 8, 8)
    network(x)
    assert all(value.requires_grad for value in network.states.values())
    before = {name: value.detach().clone() for name, value in network.states.items()}
    network.detach()
    assert not any(value.requires_grad for value in network.states.values())
    assert all(torch.equal(before[name], value) for name, value in network.states.items())
    network(x).sum().backward()  # reaches back to the cut only
    network.reset_states()
    assert network.states == {}


def test_copies_go_on_from_the_states_and_are_independent():
    for model in (cnn(), Functional()):
        network = from_model(model, (1, 8, 8))
        x = spikes(2, 5, 1, 8, 8)
        network(x)
        copied = copy.deepcopy(network)
        assert torch.equal(copied(x[:, :3]), network(x[:, :3]))
        copied.reset_states()
        assert copied(x[:1]).shape[0] == 1
        assert next(iter(network.states.values())).shape[0] == 2


@pytest.mark.parametrize("balance", ["weights", "thresholds"])
def test_a_state_dict_restores_a_calibrated_network(balance, tmp_path):
    x = spikes(3, 20, 1, 8, 8)
    options = {"add_spiking_output": True, "reset": -0.5}
    network = from_model(cnn(), calibration=x, balance=balance, bias_rescaling=2.0, **options)
    torch.save(network.state_dict(), tmp_path / "network.pt")
    fresh = from_model(cnn(), (1, 8, 8), **options)
    assert fresh.scales == {}
    fresh.load_state_dict(torch.load(tmp_path / "network.pt", weights_only=True))
    assert (fresh.scales, fresh.bias_rescaling) == (network.scales, 2.0)
    assert torch.equal(fresh(x), network(x))
    assert str(fresh.compare_activations(x)) == str(network.compare_activations(x))


def test_state_dicts_without_scales_load_and_leave_them():
    network = from_model(cnn(), calibration=spikes(3, 20, 1, 8, 8))
    scales, old = dict(network.scales), network.state_dict()
    del old["_extra_state"]
    network.load_state_dict(old)
    assert network.scales == scales
    holder = nn.ModuleDict({"network": network})
    holder.load_state_dict({f"network.{name}": value for name, value in old.items()})
    assert network.scales == scales


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.ReLU())


@pytest.mark.parametrize("make", [small, Functional])
def test_torch_compile_compiles_for_fresh_states_and_for_going_on_and_never_again(make):
    x = spikes(2, 3, 1, 8, 8)
    network = from_model(make(), (1, 8, 8))
    with torch.no_grad():
        expected = [network(x), network(x)]
    for target in (network, network.spiking_model):
        torch._dynamo.reset()
        counter = CompileCounter()
        compiled = torch.compile(target, backend=counter)
        counts = []
        for _ in range(3):
            network.reset_states()
            with torch.no_grad():
                for wanted in expected:
                    assert torch.equal(compiled(x), wanted)
                    counts.append(counter.frame_count)
        assert counts[1:] == [counts[0] + 1] * 5
        assert counts[0] == 1 or target is network.spiking_model  # by itself, its hooks may be graphs of their own
    torch._dynamo.reset()


def test_training_under_torch_compile_does_not_compile_again():
    network = from_model(small(), (1, 8, 8))
    x, counter = spikes(2, 3, 1, 8, 8), CompileCounter()
    torch._dynamo.reset()
    compiled = torch.compile(network, backend=counter)
    gradients = []
    for run in (network, compiled, compiled, compiled):
        network.reset_states()
        network.zero_grad()
        run(x).sum().backward()
        gradients.append(network.spiking_model[1].weight.grad.clone())
    assert counter.frame_count == 1
    assert all(torch.allclose(gradients[0], other) for other in gradients[1:])
    torch._dynamo.reset()
