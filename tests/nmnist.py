"""The N-MNIST network that ran on a real Speck2f, from its NIR file, as a torch network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chipflow.snn import IAF, SumPool2d

INPUT_SHAPE = (2, 34, 34)


def nmnist_network(
    path: Path, neuron: Callable[[], nn.Module] = IAF, pool: Callable[[int], nn.Module] = SumPool2d
) -> nn.Sequential:
    """Layers "0" to "12", named as in the file.

    Args:
        path: cnn_sinabs.nir.
        neuron: makes a layer of integrate-and-fire neurons with threshold 1 and lower bound -1.
        pool: makes a sum pool of this size; both are given so that another library's layers can take their place.
    """
    import nir

    nodes = nir.read(path).nodes
    layers = [_layer(nodes[str(i)], neuron, pool) for i in range(13)]
    return nn.Sequential(*layers).eval()


def _layer(node: Any, neuron: Callable[[], nn.Module], pool: Callable[[int], nn.Module]) -> nn.Module:
    kind = type(node).__name__
    if kind == "Conv2d":
        features_out, features_in, size, _ = node.weight.shape
        stride, padding = tuple(map(int, node.stride)), tuple(map(int, node.padding))
        return _with_weights(nn.Conv2d(features_in, features_out, size, stride, padding, bias=False), node)
    if kind == "Affine":
        return _with_weights(nn.Linear(*reversed(node.weight.shape), bias=False), node)
    if kind == "IF":
        assert (node.v_threshold == 1).all()
        return neuron()
    return {"SumPool2d": lambda: pool(int(node.kernel_size[0])), "Flatten": nn.Flatten}[kind]()


def _with_weights(layer: Any, node: Any) -> nn.Module:
    assert not node.bias.any(), "the network has no biases"
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(node.weight))
    return layer
