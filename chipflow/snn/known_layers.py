"""Layers whose rule for scaling is known, and what such a layer may not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from chipflow.errors import UnsupportedModelError
from chipflow.snn.pooling import SumPool2d

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
PLAIN = (
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool2d,
    SumPool2d,
    nn.Flatten,
    nn.Unflatten,
    nn.Dropout,
    nn.Dropout2d,
    nn.Identity,
)
"""Linear layers without constants (in evaluation mode): a common factor passes unchanged, and the mean over time may be taken behind them."""

POOLS_OF_MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
"""Factors pass these, too; means over time do not."""

KNOWN = (*WEIGHTED, *NORMS, *PLAIN)
FORWARDS: set[Any] = {kind.forward for kind in KNOWN}


def is_known(module: nn.Module) -> bool:
    """Whether it is such a layer, and runs as such: a subclass may not have a `forward` of its own."""
    return isinstance(module, KNOWN) and type(module).forward in FORWARDS


def refuse_recomputed(layers: Mapping[str, nn.Module], tensors: tuple[str, ...], option: str) -> None:
    """Refuse layers that compute their weights or biases anew in each call, since what is written to these would be lost.

    Args:
        layers: by name.
        tensors: "weight", "bias".
        option: of `from_model`, for the message.

    Raises:
        UnsupportedModelError: names the layers, and how to make their tensors plain ones.
    """
    recomputed = [
        f"'{name}' ({tensor})"
        for name, layer in layers.items()
        for tensor in tensors
        if isinstance(layer, (*WEIGHTED, *NORMS)) and tensor not in layer._parameters
    ]
    if recomputed:
        raise UnsupportedModelError(
            f"{option} changes weights or biases, and these are computed anew in each call (weight or spectral normalisation, pruning): "
            f"{', '.join(recomputed)}. {MAKE_PLAIN}"
        )


MAKE_PLAIN = (
    "Make them plain parameters: torch.nn.utils.parametrize.remove_parametrizations(layer, name), remove_weight_norm or "
    "remove_spectral_norm(layer), or prune.remove(layer, name)."
)
