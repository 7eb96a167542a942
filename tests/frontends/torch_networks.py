"""What tests of the frontend for torch are written with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.load import load
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import interpret

SHAPE = (2, 8, 8)


class Calls(nn.Module):
    """Layers by name, and a function of them and of the inputs as `forward`."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self._function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Any:
        return self._function(self, x)


def conv(inputs: int = 2, outputs: int = 3, size: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, **options)


def seen(given: Any) -> Tensor:
    return torch.from_numpy(given).double()


def assert_same(model: nn.Module, shape: Any = SHAPE, seed: int = 0) -> Graph:
    """The graph of the module computes the module's own answers, for values of both signs."""
    torch.manual_seed(seed)
    model = model.double().eval()
    for layer in (layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)):
        layer.running_mean, layer.running_var = (
            torch.randn(layer.num_features).double(),
            torch.rand(layer.num_features).double() + 0.5,
        )
    rng = np.random.default_rng(seed)
    graph = load(model, shape)
    given = {node.name: rng.normal(size=(5, *node.shape)) for node in graph.inputs}
    with torch.no_grad():
        out = model(*map(seen, given.values()))
    found, expected = interpret(graph, given), out.values() if isinstance(out, dict) else out if isinstance(out, tuple) else [out]
    assert len(graph.outputs) == len(expected)
    for name, wanted in zip(graph.outputs, expected, strict=True):
        np.testing.assert_allclose(found[name], wanted.numpy(), rtol=1e-9, atol=1e-12)
    return graph


def refused(model: nn.Module, shape: Any = SHAPE) -> str:
    with pytest.raises(UnsupportedModelError) as caught:
        load(model, shape)
    return str(caught.value)
