"""The tutorial's two parts in its own calls, with only the import changed, and sinabs' forms of today; equal to sinabs."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from chipflow import from_model


def cnn():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, 1, bias=False), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Conv2d(20, 32, 5, 1, bias=False), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Conv2d(32, 128, 3, 1, bias=False), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Flatten(), nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False),
    )  # fmt: skip


def rows():
    torch.manual_seed(0)
    sizes = [28, 128, 128, 256, 256, 10]
    return nn.Sequential(*(m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())))


class Digits(Dataset):
    """Made-up digits, of which each class lights up a part of the image of its own: as images, as spike trains, or row by row."""

    def __init__(self, count, mode, t_window=200):
        generator = torch.Generator().manual_seed(4)
        self.labels = torch.arange(count) % 10
        self.images = torch.rand(count, 1, 28, 28, generator=generator) * 0.2
        for image, label in zip(self.images, self.labels.tolist(), strict=True):
            image[0, 2 + 5 * (label // 2) :][:5, 4 + 12 * (label % 2) :][:, :10] += 0.8
        self.mode, self.t_window, self.generator = mode, t_window, generator

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image, label = self.images[index], self.labels[index]
        if self.mode == "images":
            return image, label
        steps = image[0] if self.mode == "rows" else image.expand(self.t_window, -1, -1, -1)
        return (torch.rand(steps.shape, generator=self.generator) < steps).float(), label


def test_part_1_from_images_to_spikes(tmp_path):
    ann = cnn()
    optimiser = torch.optim.Adam(ann.parameters(), lr=1e-3)
    for _ in range(12):
        for data, target in DataLoader(Digits(60, "images"), batch_size=20):
            optimiser.zero_grad()
            F.cross_entropy(ann(data), target).backward()
            optimiser.step()
    torch.save(ann.state_dict(), tmp_path / "mnist_params.pt")
    ann = cnn()
    ann.load_state_dict(torch.load(tmp_path / "mnist_params.pt"))

    model = from_model(ann, input_shape=(1, 28, 28), add_spiking_output=True)
    assert "(spike_output): IAF(threshold=1.0" in repr(model.spiking_model)
    correct, samples = 0, 0
    with torch.no_grad():
        for data, target in itertools.islice(DataLoader(Digits(60, "spikes", 200), batch_size=1, shuffle=False), 10):
            assert data.shape == (1, 200, 1, 28, 28)
            model.reset_states()
            out = model.spiking_model(data)
            assert out.shape == (1, 200, 10)
            correct += int((out.sum(1).argmax(1) == target).sum())
            samples += 1
    assert correct / samples >= 0.9
    synops = model.get_synops()
    assert list(synops) == ["0", "3", "6", "10", "12"]
    assert all(operations > 0 for operations in synops.values())


def test_part_2_row_by_row():
    model = from_model(rows(), batch_size=64)
    optimiser = torch.optim.Adam(model.spiking_model.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        for img, target in DataLoader(Digits(128, "rows"), batch_size=64, drop_last=True):
            assert img.shape == (64, 28, 28)
            optimiser.zero_grad()
            model.reset_states()
            out = model.spiking_model(img)
            assert out.shape == (64, 28, 10)
            out = out.sum(1)
            loss = F.cross_entropy(out, target)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[-1] < losses[0]
    with torch.no_grad():
        img, target = next(iter(DataLoader(Digits(64, "rows"), batch_size=64)))
        model.reset_states()
        out = model(img)
        assert int((out.sum(1).argmax(1) == target).sum()) > 6


def spikes(*shape):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(3)) < 0.3).float()


def sinabs_model(ann, shape, **given):
    sinabs = pytest.importorskip("sinabs.from_torch")
    model = sinabs.from_model(ann, shape, **given)
    model.reset_states()
    return model


@pytest.mark.parametrize("given", [{"batch_size": 2}, {"num_timesteps": 20}])
def test_todays_sinabs_forms_of_part_1(given):
    """Batch and time merged in the first axis; unfolded input gives the same."""
    x = spikes(2, 20, 1, 28, 28)
    theirs = sinabs_model(cnn(), (1, 28, 28), add_spiking_output=True, **given)
    ours = from_model(cnn(), (1, 28, 28), add_spiking_output=True, **given)
    with torch.no_grad():
        expected = theirs.spiking_model(x.flatten(0, 1))
        merged = ours.spiking_model(x.flatten(0, 1))
        assert expected.shape == merged.shape == (40, 10)
        assert torch.equal(merged, expected)
        assert torch.equal(ours(x).flatten(0, 1), theirs(x.flatten(0, 1)))  # both go on from their states
        ours.reset_states()
        theirs.reset_states()
        assert torch.equal(ours(x), merged.unflatten(0, (2, 20)))


@pytest.mark.parametrize("given", [{"batch_size": 64}, {"num_timesteps": 28}])
def test_todays_sinabs_forms_of_part_2_with_gradients(given):
    x, target = spikes(64, 28, 28), torch.arange(64) % 10
    networks = sinabs_model(rows(), (28,), **given), from_model(rows(), **given)
    gradients = []
    for network in networks:
        out = network.spiking_model(x.flatten(0, 1)).unflatten(0, (64, 28))
        F.cross_entropy(out.sum(1), target).backward()
        gradients.append([layer.weight.grad for layer in network.spiking_model if isinstance(layer, nn.Linear)])
    assert out.shape == (64, 28, 10)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("k", [1.0, 20.0])
def test_bias_rescaling_is_that_of_sinabs(k):
    x = spikes(2, 20, 28) * 2
    theirs = sinabs_model(rows(), (28,), batch_size=2, bias_rescaling=k)
    ours = from_model(rows(), bias_rescaling=k)
    with torch.no_grad():
        assert torch.equal(ours(x).flatten(0, 1), theirs(x.flatten(0, 1)))
    assert torch.equal(ours.spiking_model[2].bias, theirs.spiking_model[2].bias)
