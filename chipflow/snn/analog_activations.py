"""Activations that stay what they are in a spiking network: ReLU6, sigmoid, ..."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

ACTIVATIONS = "torch.nn.modules.activation"

AT_THE_END = (nn.Softmax, nn.LogSoftmax)
"""These only scale what is compared in the end, where they are the last layer."""


def analog_activations(layers: Sequence[tuple[str, nn.Module]]) -> list[str]:
    """Names of the layers that compute with numbers where spiking neurons would be.

    Args:
        layers: of a network by name, in the order in which they run.
    """
    if layers and isinstance(layers[-1][1], AT_THE_END):
        layers = layers[:-1]
    return [name for name, layer in layers if _is_activation(layer)]


def _is_activation(layer: nn.Module) -> bool:
    return not isinstance(layer, nn.ReLU) and any(kind.__module__ == ACTIVATIONS for kind in type(layer).__mro__)
