"""How many synapses a spike reaches, and into which windows of a pool it falls: counted axis by axis.

Kernels and windows are boxes, so that a map [y, x] is a product of one vector or matrix per axis. What depends on shapes only is computed
once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from chipflow.snn.pooling import SumPool2d

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Weighted = Convolution | nn.Linear
AveragePool = nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d | nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d
Pool = AveragePool | SumPool2d

_SAMPLE_AXES: dict[int, tuple[type[nn.Module], ...]] = {
    1: (nn.Linear,),
    2: (nn.Conv1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d),
    3: (nn.Conv2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, SumPool2d),
    4: (nn.Conv3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d),
}
_KEPT = 500
"""Shapes whose numbers are kept; far more than the layers of a network."""


def sample_axes(layer: Weighted | Pool) -> int:
    """Axes of one sample in front of a layer, channels among them."""
    return next(axes for axes, kinds in _SAMPLE_AXES.items() if isinstance(layer, kinds))


def fan_out(layer: Weighted, sample: Sequence[int], device: torch.device) -> Tensor:
    """Synapses of every input of a layer; exact at borders and for any stride, padding, dilation and number of groups.

    A synapse is a tap of the kernel whose output lies inside the map, whatever its weight. Padding that repeats the map gives its inputs more.

    Args:
        layer: the layer.
        sample: shape of one sample in front of it, (channels, y, x) or the like.
        device: where the map is needed.

    Returns:
        float64 that broadcasts to `sample`: [1, y, x], or [1] for Linear. float32 on devices without float64.
    """
    if isinstance(layer, nn.Linear):
        return torch.full((1,), float(layer.out_features), dtype=exact(device), device=device)
    padding = layer.padding if isinstance(layer.padding, str) else tuple(layer.padding)
    features = layer.out_channels // layer.groups
    return _conv_fan_out(
        features, layer.kernel_size, layer.stride, layer.dilation, padding, layer.padding_mode, tuple(sample[1:]), str(device)
    )


def pooled(counts: Tensor, layer: Pool, out: Sequence[int]) -> Tensor:
    """Spikes that fall into every window of a pool, overlapping windows and those at borders included.

    Args:
        counts: spikes [..., channels, y, x] in front of the pool.
        layer: the pool; what it divides by is of no interest here.
        out: size of the map behind it, (y, x) or the like.

    Returns:
        Spikes [..., channels, *out].
    """
    for i, (size, windows) in enumerate(zip(counts.shape[counts.ndim - len(out) :], out, strict=True)):
        axis = i - len(out)
        matrix = _windows(size, windows, _window(layer, i), str(counts.device)).to(counts.dtype)
        counts = (counts.movedim(axis, -1) @ matrix).movedim(-1, axis)
    return counts


def exact(device: torch.device) -> torch.dtype:
    """The dtype to add counts in: whole numbers up to 2 ** 53, or 2 ** 24 where the device has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def _kept(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Computed once for the same arguments, outside of inference mode, whose tensors could take no part in training."""

    @lru_cache(_KEPT)
    def computed(*arguments: Any) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            return function(*arguments)

    def computed_or_traced(*arguments: Any) -> Tensor:
        return function(*arguments) if torch.compiler.is_compiling() else computed(*arguments)

    return computed_or_traced


@_kept
def _conv_fan_out(
    features: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str | tuple[int, ...],
    mode: str,
    size: tuple[int, ...],
    device: str,
) -> Tensor:
    product = torch.full((1,), features, device=device)
    for i, length in enumerate(size):
        before, after = _padded(padding, i, kernel[i], dilation[i])
        positions = _positions(length, before, after, mode, device)
        product = product.unsqueeze(-1) * _taps(positions, length, kernel[i], stride[i], dilation[i])
    return product.to(exact(product.device))


def _padded(padding: str | tuple[int, ...], axis: int, kernel: int, dilation: int) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        both = dilation * (kernel - 1)
        return both // 2, both - both // 2
    return int(padding[axis]), int(padding[axis])


def _positions(length: int, before: int, after: int, mode: str, device: str) -> Tensor:
    """The input that stands at each position of a padded axis; outside of the map for a zero."""
    positions, last = torch.arange(-before, length + after, device=device), length - 1
    if mode == "circular":
        return positions % length
    if mode == "replicate":
        return positions.clamp(0, last)
    if mode == "reflect":
        return last - (last - positions.abs()).abs()
    return positions


def _taps(positions: Tensor, length: int, kernel: int, stride: int, dilation: int) -> Tensor:
    """Taps that every input of an axis has, [length]."""
    starts = torch.arange(0, positions.shape[0] - dilation * (kernel - 1), stride, device=positions.device)
    read = positions[starts.unsqueeze(1) + dilation * torch.arange(kernel, device=positions.device)]
    return (read.reshape(-1, 1) == torch.arange(length, device=positions.device)).sum(0)


def _window(layer: Pool, axis: int) -> tuple[int, int, int] | None:
    """Size, stride and padding of a pool along an axis; None if it adapts to the map."""
    if isinstance(layer, nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d):
        return None
    padding = 0 if isinstance(layer, SumPool2d) else layer.padding
    size, stride, padded = (each if isinstance(each, int) else each[axis] for each in (layer.kernel_size, layer.stride, padding))
    return size, stride, padded


@_kept
def _windows(length: int, windows: int, window: tuple[int, int, int] | None, device: str) -> Tensor:
    """[length, windows]: 1 where a window holds an input."""
    which, inputs = torch.arange(windows, device=device), torch.arange(length, device=device).unsqueeze(1)
    if window is None:
        starts, stops = which * length // windows, ((which + 1) * length + windows - 1) // windows
    else:
        size, stride, padding = window
        starts = which * stride - padding
        stops = starts + size
    inside = (inputs >= starts) & (inputs < stops)
    return inside.to(exact(inside.device))
