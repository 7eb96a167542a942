"""Modules of sinabs, wired as in the networks of sinabs' own tests for its chip backend; `sinabs_networks.py` lists these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.standins import chip_backend_of_sinabs

sinabs = pytest.importorskip("sinabs", reason="sinabs is an extra: pip install -e '.[sinabs]'")
sl = sinabs.layers
DVSLayer = chip_backend_of_sinabs().DVSLayer


def iaf(**options: Any) -> nn.Module:
    return sl.IAFSqueeze(**{"batch_size": 1, "min_v_mem": -1.0, **options})


def conv(channels: int, features: int, kernel: int, *behind: nn.Module, bias: bool = False, **options: Any) -> nn.Sequential:
    """A convolution, neurons, and what follows on them."""
    return nn.Sequential(nn.Conv2d(channels, features, kernel, bias=bias, **options), iaf(), *behind)


def dense(inputs: int, outputs: int, bias: bool = False) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=bias), iaf())


class Wired(nn.Module):
    """Layers by name, and a function that says how they are wired."""

    def __init__(self, wiring: Callable[[Any, Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        self._wiring = wiring
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Any:
        return self._wiring(self, x)


def residual() -> nn.Module:
    def wiring(net: Any, x: Tensor) -> Tensor:
        x = net.first(x)
        x = net.third(net.merge(net.pool_past(x), net.second(net.pool(x))))
        return net.fc2(net.fc1(net.flat(x)))

    return Wired(
        wiring, first=conv(2, 10, 2), pool=nn.AvgPool2d(2, 2), pool_past=nn.AvgPool2d(2, 2), second=conv(10, 10, 1), merge=sl.Merge(),
        third=conv(10, 1, 2), flat=nn.Flatten(), fc1=dense(225, 200), fc2=dense(200, 10),
    )  # fmt: skip


def split_and_merge() -> nn.Module:
    def wiring(net: Any, x: Tensor) -> Tensor:
        x = net.b(net.a(x))
        return net.g(net.merge(net.d(net.c(x)), net.f(net.e(x))))

    pooled = {name: conv(4, 4, 2, sl.SumPool2d(2, 2)) for name in "bce"}
    flat = {name: conv(4, 4, 2, nn.Flatten()) for name in "df"}
    return Wired(wiring, a=conv(2, 4, 2), **pooled, **flat, merge=sl.Merge(), g=dense(144, 10))


def branch() -> nn.Sequential:
    return nn.Sequential(
        conv(2, 4, 2), conv(4, 4, 2, sl.SumPool2d(2, 2)), conv(4, 4, 2, sl.SumPool2d(2, 2)), nn.Flatten()
    )  # fmt: skip


def two_branches_merging() -> nn.Module:
    def wiring(net: Any, x: Tensor) -> Tensor:
        return net.head(net.merge(net.one(x), net.other(x)))

    head = nn.Sequential(dense(196, 100), dense(100, 100), dense(100, 10))
    return Wired(wiring, one=branch(), other=branch(), merge=sl.Merge(), head=head)


def complex_graph() -> nn.Module:
    def wiring(net: Any, x: Tensor) -> Tensor:
        x = net.first(x)
        middle = net.third(x)
        both = net.fourth(net.merge1(net.second(x), net.pool3(middle)))
        return net.fc(net.merge2(net.fifth(net.pool3a(middle)), both))

    return Wired(
        wiring, first=conv(2, 1, 2), second=conv(1, 1, 2, sl.SumPool2d(2, 2)), third=conv(1, 1, 2), pool3=sl.SumPool2d(2, 2),
        pool3a=sl.SumPool2d(2, 2), merge1=sl.Merge(), fourth=conv(1, 1, 2, sl.SumPool2d(2, 2), nn.Flatten()),
        fifth=conv(1, 1, 2, sl.SumPool2d(2, 2), nn.Flatten()), merge2=sl.Merge(), fc=dense(49, 10),
    )  # fmt: skip


def two_networks() -> nn.Module:
    """With a head each: sinabs' own has one of three layers, used twice, and would need twelve cores with two."""

    def wiring(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        return net.one(x), net.other(x)

    return Wired(wiring, one=nn.Sequential(branch(), dense(196, 100)), other=nn.Sequential(branch(), dense(196, 100)))


def sequential_short() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 8, 3, bias=False), iaf(), nn.Conv2d(8, 2, 3, bias=False), iaf())


def sequential_long() -> nn.Module:
    pools = (sl.SumPool2d(2), nn.AvgPool2d(2), nn.Dropout(0.5))
    head = nn.Sequential(nn.Linear(3 * 3 * 2, 5), nn.Identity(), iaf())
    return nn.Sequential(conv(2, 2, 3, *pools), conv(2, 8, 3), conv(8, 2, 3), nn.Flatten(), head)


def deep_ann(outputs: int) -> nn.Sequential:
    """Nine convolutions: a core of the chip each."""
    pool = nn.AvgPool2d(2, 2)
    widths = [(16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    body = [layer for a, b in widths for layer in (nn.Conv2d(a, b, 3, padding=1, bias=False), nn.ReLU(), pool)]
    tail = [
        nn.Dropout2d(0.5), nn.Conv2d(64, 256, 2, bias=False), nn.ReLU(), nn.Dropout2d(0.5), nn.Conv2d(256, 128, 1, bias=False),
        nn.ReLU(), nn.Conv2d(128, outputs, 1, bias=False), nn.ReLU(), nn.Flatten(),
    ]  # fmt: skip
    return nn.Sequential(nn.Conv2d(2, 16, 2, stride=2, bias=False), nn.ReLU(), nn.Identity(), *body, *tail)


def deep(outputs: int) -> Callable[[], Any]:
    return lambda: sinabs.from_model(deep_ann(outputs), batch_size=1)


def doorbell() -> Any:
    sizes = [(2, 8), (8, 12), (12, 12)]
    body = [layer for a, b in sizes for layer in (nn.Conv2d(a, b, 3, bias=False), sl.NeuromorphicReLU(), nn.AvgPool2d(2, 2))]
    head = [nn.Linear(432, 32, bias=False), sl.NeuromorphicReLU(), nn.Linear(32, 1, bias=False), sl.NeuromorphicReLU()]
    return sinabs.from_model(nn.Sequential(*body, nn.Dropout2d(0.5), nn.Flatten(), *head), batch_size=1)


def mnist() -> Any:
    sizes = [(1, 20, 5), (20, 32, 5), (32, 128, 3)]
    body = [layer for a, b, k in sizes for layer in (nn.Conv2d(a, b, k, bias=False), nn.ReLU(), nn.AvgPool2d(2, 2))]
    head = [nn.Flatten(), nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False)]
    return sinabs.from_model(nn.Sequential(*body, *head), add_spiking_output=True, batch_size=1)


def small_mnist() -> Any:
    body = [nn.Conv2d(1, 3, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2, 2), nn.Conv2d(3, 1, 5, bias=False), nn.ReLU()]
    head = [nn.AvgPool2d(2, 2), nn.Flatten(), nn.Linear(16, 2, bias=False)]
    return sinabs.from_model(nn.Sequential(*body, *head), add_spiking_output=True, batch_size=1)


def one_neuron() -> Any:
    ann = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU())
    return sinabs.from_model(ann, input_shape=(1, 1, 1), batch_size=1)


def strided(*before: nn.Module, bias: bool = True) -> Callable[[], nn.Module]:
    """One convolution of stride 2 behind something."""
    return lambda: nn.Sequential(*before, nn.Conv2d(2, 4, 2, stride=2, bias=bias), iaf())


def two_pools(first: nn.Module, *others: nn.Module, bias: bool = True) -> Callable[[], nn.Module]:
    """Pools between two convolutions."""
    return lambda: nn.Sequential(conv(2, 4, 2, first, *others, stride=2, bias=bias), conv(4, 2, 1, bias=False))


def batchnorm() -> nn.Module:
    norm = nn.BatchNorm2d(2)
    statistics = [
        (norm.running_mean, [0.2, -0.5]),
        (norm.running_var, [1.1, 0.7]),
        (norm.weight, [0.8, 0.5]),
        (norm.bias, [-0.2, 0.15]),
    ]
    with torch.no_grad():
        for parameter, values in statistics:
            parameter.copy_(torch.tensor(values))  # pyright: ignore[reportOptionalMemberAccess]
    return nn.Sequential(nn.Conv2d(2, 2, 1), norm, iaf())


def flatten_linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(512, 2), iaf())


def leaking() -> nn.Module:
    return nn.Sequential(conv(1, 2, 1, bias=True), conv(2, 8, 1, bias=True, stride=2), conv(8, 16, 1, bias=True, stride=2))


def sensor(*behind: nn.Module, channels: int = 2, size: int = 16, **options: Any) -> Callable[[], nn.Module]:
    """The sensor's front end and one convolution."""
    return lambda: nn.Sequential(DVSLayer((size, size), **options), *behind, nn.Conv2d(channels, 4, 2, stride=2), iaf())


def one_kernel_of_all(*before: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*before, nn.Conv2d(1, 2, 16, stride=2, bias=False), iaf())


def discretized() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3, bias=True), iaf(spike_threshold=9.67, min_v_mem=-5.47))
