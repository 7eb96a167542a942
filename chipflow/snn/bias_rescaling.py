"""Biases of a model whose input is spread over many time steps: a k-th of the input, and a k-th of every constant."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from chipflow.errors import UnsupportedModelError
from chipflow.snn.known_layers import NORMS, POOLS_OF_MAXIMA, WEIGHTED, is_known, refuse_recomputed
from chipflow.snn.trace import run_traced

NORMALISING = (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.LocalResponseNorm)
"""Layers whose output does not grow with their input, with or without parameters."""

SIZES = (1.0, 100.0)
"""Of the samples on which a model is compared with itself: an nn.ReLU6 is no multiple of its input for large ones only."""

TOLERANCE = 1e-3
"""Of the largest output of a layer; far above rounding, far below what a forgotten constant does."""


def rescaled(model: nn.Module, k: float, sample: Tensor | None) -> nn.Module:
    """A copy of an analog model, in evaluation mode, that gives a k-th of the output on a k-th of the input.

    Args:
        model: whose relus are modules.
        k: what biases, and means of batch normalisations, are divided by.
        sample: [batch, ...] on which that is tried out; None where no shape is known, and then all layers have to be known ones.

    Raises:
        UnsupportedModelError: for layers without a known rule, and for constants and functions that are no multiples of their input.
    """
    copied = copy.deepcopy(model)
    _rescale_biases(copied, k)
    if sample is None:
        _refuse_unknown(copied, k)
        return copied
    for size in SIZES:
        _check_multiples(model, copied, k, sample * size)
    return copied


def _refuse_unknown(model: nn.Module, k: float) -> None:
    """Without a run nothing is known of a `forward` that somebody has written."""
    others = [
        f"'{name}' ({type(module).__name__})" if name else type(module).__name__
        for name, module in model.named_modules()
        if not (is_known(module) or isinstance(module, (nn.ReLU, *POOLS_OF_MAXIMA)) or _is_chain(module))
    ]
    if others:
        raise UnsupportedModelError(
            f"bias_rescaling={k:g} has to try out {', '.join(others)}: a constant in there would be no bias. Give input_shape."
        )


def _is_chain(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _rescale_biases(model: nn.Module, k: float) -> None:
    """Divide by k, in place; nothing is changed where a layer has no rule."""
    named = dict(model.named_modules())
    refuse_recomputed(named, ("bias",), "bias_rescaling")
    known = {name: module for name, module in named.items() if isinstance(module, (*WEIGHTED, *NORMS))}
    others = [
        f"'{name}' ({type(module).__name__})" for name, module in named.items() if name not in known and _has_no_rule(module)
    ]
    others += [f"'{name}' (no statistics of training)" for name, module in known.items() if _has_no_statistics(module)]
    if others:
        raise UnsupportedModelError(
            f"bias_rescaling has no rule for {', '.join(others)}: it knows Linear, Conv, and BatchNorm with statistics. Leave "
            "bias_rescaling at 1, or give the network input of the size that it was trained on."
        )
    constants = [(module.bias, module.running_mean if isinstance(module, NORMS) else None) for module in known.values()]
    once = {id(tensor): tensor for pair in constants for tensor in pair if tensor is not None}  # layers may share theirs
    with torch.no_grad():
        for tensor in once.values():
            tensor.div_(k)


def _has_no_rule(module: nn.Module) -> bool:
    if isinstance(module, ParametrizationList):  # of weights, which stay as they are
        return False
    return isinstance(module, NORMALISING) or next(module.parameters(recurse=False), None) is not None


def _has_no_statistics(module: nn.Module) -> bool:
    return isinstance(module, NORMS) and module.running_mean is None


def _check_multiples(before: nn.Module, after: nn.Module, k: float, sample: Tensor) -> None:
    """Compare `before` on a sample with `after` on a k-th of it, layer by layer."""
    expected, found = _outputs(before, sample), _outputs(after, sample / k)
    for (name, one), (_, other) in zip(expected, found, strict=False):
        if not _is_same(one, other * k):
            where = f"the output of layer '{name}'" if name else "the model's output"
            raise UnsupportedModelError(
                f"bias_rescaling={k:g}: with input and biases divided by {k:g}, {where} is not what it was, divided by {k:g}. In it or "
                "before it is a constant or a function that is no multiple of its input (x + 1.0, sigmoid, softmax). Let constants be "
                "biases, use nn.ReLU, leave a softmax out; or leave bias_rescaling at 1, and give input of the size that it was trained on."
            )


def _outputs(model: nn.Module, batch: Tensor) -> list[tuple[str, Tensor]]:
    """What each layer gives, and, without a name, the model."""
    found: list[tuple[str, Tensor]] = []

    def observe(name: str, output: Tensor) -> None:
        found.append((name, output.clone()))  # forward may write over it

    with torch.random.fork_rng([batch.device] if batch.is_cuda else []):  # all calls draw the same numbers
        output = run_traced(model, batch.clone(), observe).output
    return [(name, value) for name, value in (*found, *(("", value) for value in _tensors(output))) if value.is_floating_point()]


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
        return
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else ()
    for part in parts:
        yield from _tensors(part)


def _is_same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    tolerance = max(TOLERANCE, 32 * torch.finfo(one.dtype).eps)
    largest = one.nan_to_num().abs().max().item() if one.numel() else 0.0
    return torch.allclose(other, one, rtol=tolerance, atol=tolerance * largest + 1e-6, equal_nan=True)
