"""Small networks and graphs that tests compile."""

import torch
from torch import nn


def mnist_cnn() -> nn.Sequential:
    """The network of the tutorial, untrained."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(20, 32, 5, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 128, 3, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 500, bias=False),
        nn.ReLU(),
        nn.Linear(500, 10, bias=False),
    )


def small_cnn(bias: bool = False) -> nn.Sequential:
    """Every supported kind of layer on an 8 x 8 map, nested."""
    torch.manual_seed(1)
    features = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=bias), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2))
    if not bias:
        del features[1]
    head = nn.Sequential(
        nn.Dropout(), nn.Flatten(), nn.Linear(64, 12, bias=bias), nn.ReLU(), nn.Identity(), nn.Linear(12, 3, bias=bias)
    )
    model = nn.Sequential(features, head).eval()
    with torch.no_grad():
        for weights in (p for p in model.parameters() if p.ndim > 1):
            weights.mul_(2).add_(0.05)  # excitatory enough for spikes in every layer
    return model
