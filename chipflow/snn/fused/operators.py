"""The fused time loop as operators of torch, so that autograd and torch.compile take them as they take torch's own.

`chipflow::neurons` and `chipflow::neurons_backward` each have one definition here, an implementation for the CPU and one for CUDA.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from chipflow.errors import ChipflowError
from chipflow.snn.dynamics import Constants, Rule, States
from chipflow.snn.fused import cpu, cuda
from chipflow.snn.fused.description import SURROGATES, describe

DTYPES = (torch.float32, torch.float64)
KERNELS: dict[str, Any] = {"cpu": cpu, "cuda": cuda}
"""Modules with `forward` and `backward`, by type of device."""


def can_run(input: Tensor, constants: Constants, rule: Rule) -> bool:
    """Whether the kernels know these neurons and the device: float32 or float64, a surrogate gradient of this package, one threshold."""
    device = input.device.type
    return (
        (device == "cpu" or (device == "cuda" and cuda.HAS_TRITON))
        and input.dtype in DTYPES
        and type(rule.surrogate) in SURROGATES
        and all(one is None or one.numel() == 1 for one in (constants.threshold, constants.min_v_mem))
    )


def run(input: Tensor, states: States, constants: Constants, rule: Rule, label: str) -> tuple[Tensor, States]:
    """As `chipflow.snn.dynamics.run_loop`, in one pass.

    Raises:
        ChipflowError: for input that is not finite; `label` names the layer.
    """
    batch, steps, *sample = input.shape
    nothing = input.new_empty(0, 0)

    def flat(state: Tensor | None) -> Tensor:
        return nothing if state is None else state.reshape(batch, -1)

    def alpha(value: Tensor | None) -> Tensor:
        if value is None:
            return input.new_ones(1)
        value = value.to(input)
        return value.reshape(1) if value.numel() == 1 else value.expand(sample).reshape(-1)

    fused = torch.ops.chipflow.neurons if torch.compiler.is_compiling() else _Neurons.apply
    output, *ends = fused(
        input.reshape(batch, steps, -1),
        *map(flat, states),
        *map(alpha, (constants.alpha_mem, constants.alpha_syn, constants.alpha_adapt)),
        constants.threshold.to(input.device),
        None if constants.min_v_mem is None else constants.min_v_mem.to(input.device),
        describe(rule, constants),
        label,
    )
    after = (None if old is None else new.reshape(old.shape) for old, new in zip(states, ends, strict=True))
    return output.reshape(input.shape), States(*cast(Any, after))


def _forward(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return KERNELS[x.device.type].forward(x, *rest)


def _backward(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return KERNELS[x.device.type].backward(x, *rest)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, description, _ = inputs
    ctx.save_for_backward(*tensors)
    ctx.description = description


def _gradients(backward: Callable[..., tuple[Tensor, ...]], ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    """Of all inputs of the forward pass: gradients of input, states and, where wanted, alphas."""
    wanted = list(ctx.needs_input_grad[4:7])
    found = backward(*ctx.saved_tensors, ctx.description, *grads, wanted)
    alphas = zip(found[4:], ctx.saved_tensors[4:7], wanted, strict=True)
    return (*found[:4], *(_like(total, alpha) if want else None for total, alpha, want in alphas), None, None, None, None)


def _no_second_derivative(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    raise ChipflowError(
        "The fused time loop has no second derivative: run the layers inside `with chipflow.snn.time_loop('loop'):`."
    )


class _Neurons(torch.autograd.Function):
    """The operator without torch's machinery for operators, which takes longer than the neurons of a small layer."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _forward(*inputs)

    setup_context = staticmethod(_setup_context)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _gradients(_NeuronsBackward.apply if torch.is_grad_enabled() else _backward, ctx, *grads)


class _NeuronsBackward(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _backward(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is needed to refuse."""

    backward = staticmethod(_no_second_derivative)


# For torch.compile, which cannot look into the kernels.

neurons = torch.library.custom_op("chipflow::neurons", cpu.forward, mutates_args=(), device_types="cpu")
neurons.register_kernel("cuda", cuda.forward)

neurons_backward = torch.library.custom_op("chipflow::neurons_backward", cpu.backward, mutates_args=(), device_types="cpu")
neurons_backward.register_kernel("cuda", cuda.backward)


@neurons.register_fake
def _(x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return tuple(map(_contiguous_like, (x, v0, i0, b0)))


@neurons_backward.register_fake
def _(x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    sums = (_contiguous_like(v0) if want else v0.new_empty(0, 0) for want in rest[-1])
    return (*map(_contiguous_like, (x, v0, i0, b0)), *sums)


neurons.register_autograd(partial(_gradients, torch.ops.chipflow.neurons_backward), setup_context=_setup_context)
neurons_backward.register_autograd(_no_second_derivative)


def _like(total: Tensor, alpha: Tensor) -> Tensor:
    """Sums [batch, neurons] in the shape of alpha, which is one number or one for each neuron."""
    return total.sum().reshape(1) if alpha.numel() == 1 else total.sum(0)


def _contiguous_like(one: Tensor) -> Tensor:
    return torch.empty_like(one, memory_format=torch.contiguous_format)
