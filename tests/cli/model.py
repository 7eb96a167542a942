"""A model file as a user would give it to `chipflow compile`, and functions that go wrong."""

import torch
from torch import nn


def make_model() -> nn.Sequential:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 3, bias=False),
    )
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(2).add_(0.05)  # excitatory enough for spikes in every layer
    return model


def make_max_pool() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2))


def make_trouble() -> nn.Module:
    raise RuntimeError("the data set is not mounted")


def make_number() -> int:
    return 3


def make_with_argument(width: int) -> nn.Module:
    return nn.Linear(width, width)


not_a_function = 4
