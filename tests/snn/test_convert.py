"""from_model: structure, shapes, refusals."""

import copy
import itertools

import pytest
import torch
from torch import nn

from chipflow.errors import ChipflowError, UnsupportedModelError
from chipflow.snn import IAF, Network, from_model


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


def test_tutorial_part_1():
    ann = tutorial_cnn()
    before = copy.deepcopy(ann.state_dict())
    snn = from_model(ann, input_shape=(1, 28, 28), add_spiking_output=True)
    assert isinstance(snn, Network)
    assert isinstance(snn.spiking_model, nn.Sequential)
    assert snn.analog_model is ann
    assert isinstance(ann[1], nn.ReLU)
    assert ann.training
    assert [name for name, m in snn.spiking_model.named_modules() if isinstance(m, IAF)] == ["1", "4", "7", "11", "spike_output"]
    assert "spike_output" in repr(snn.spiking_model)
    assert isinstance(snn.spiking_model[1], IAF)
    assert all(torch.equal(before[k], v) for k, v in ann.state_dict().items())
    x = spikes(1, 200, 1, 28, 28)
    with torch.no_grad():
        out = snn.spiking_model(x)
        snn.reset_states()
        assert torch.equal(out, snn(x))
    assert out.shape == (1, 200, 10)
    assert set(snn.states) == {"1", "4", "7", "11", "spike_output"}
    snn.reset_states()
    assert snn.states == {}


def test_tutorial_part_2_trains():
    snn = from_model(tutorial_rows(), batch_size=64)
    optimiser = torch.optim.Adam(snn.spiking_model.parameters())
    img, target = spikes(64, 28, 28), torch.arange(64) % 10
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        snn.reset_states()
        out = snn.spiking_model(img)
        assert out.shape == (64, 28, 10)
        loss = nn.functional.cross_entropy(out.sum(1), target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


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


def test_equal_to_sinabs():
    sinabs_from_torch = pytest.importorskip("sinabs.from_torch")
    x = spikes(2, 20, 1, 28, 28)
    theirs = sinabs_from_torch.from_model(tutorial_cnn(), (1, 28, 28), batch_size=2, add_spiking_output=True)
    theirs.reset_states()
    ours = from_model(tutorial_cnn(), (1, 28, 28), add_spiking_output=True)
    with torch.no_grad():
        assert torch.equal(ours(x).flatten(0, 1), theirs(x.flatten(0, 1)))


def test_wrong_shapes_are_refused_with_both_shapes():
    snn = from_model(tutorial_cnn(), (1, 28, 28))
    with pytest.raises(ChipflowError, match=r"shape \[1, 5, 1, 27, 28\], expected \[batch, time, 1, 28, 28\]"):
        snn(torch.zeros(1, 5, 1, 27, 28))
    with pytest.raises(ChipflowError, match=r"shape \[5, 1, 28, 28\].*batch_size or num_timesteps"):
        snn(torch.zeros(5, 1, 28, 28))
    with pytest.raises(ChipflowError, match=r"shape \[28, 28\]"):
        snn(torch.zeros(28, 28))
    with pytest.raises(ChipflowError, match="no multiple of batch_size = 4"):
        from_model(tutorial_rows(), batch_size=4)(torch.zeros(6, 28))
    with pytest.raises(ChipflowError, match="no time step"):
        snn(torch.zeros(1, 0, 1, 28, 28))
    with pytest.raises(UnsupportedModelError, match=r"cannot run on samples of shape \[3, 28, 28\]"):
        from_model(tutorial_cnn(), (3, 28, 28))


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


def test_nothing_is_added_after_a_relu_and_one_relu_in_two_places_becomes_two():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(4, 4), relu, nn.Sequential(nn.Linear(4, 4), relu))
    spiking = from_model(model, add_spiking_output=True).spiking_model
    assert len(spiking) == 3
    assert spiking[1] is not spiking[2][1]
    assert isinstance(spiking[2][1], IAF)


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()

    def forward(self, x):
        return self.relu(self.b(self.relu(self.a(x))))


def test_a_relu_that_runs_twice_is_refused():
    with pytest.raises(UnsupportedModelError, match="'relu'"):
        from_model(Reused(), (4,))
    with pytest.raises(ChipflowError, match="relu"):
        from_model(Reused())(torch.zeros(1, 2, 4))


def test_models_without_relu_are_refused():
    with pytest.raises(UnsupportedModelError, match="ReLU"):
        from_model(nn.Sequential(nn.Linear(2, 2)))
    assert from_model(nn.Sequential(nn.Linear(2, 2)), add_spiking_output=True)(torch.ones(1, 3, 2)).shape == (1, 3, 2)
    taken = nn.Sequential()
    taken.add_module("spike_output", nn.Linear(2, 2))
    with pytest.raises(UnsupportedModelError, match="spike_output"):
        from_model(taken, add_spiking_output=True)


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


@pytest.mark.parametrize("wrong", [{"balance": "both"}, {"percentile": 0.0}, {"batch_size": 0}, {"threshold": -1.0}])
def test_wrong_options(wrong):
    with pytest.raises(ChipflowError, match=next(iter(wrong))):
        from_model(tutorial_rows(), **wrong)
