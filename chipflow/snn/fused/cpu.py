"""The fused time loop on the CPU as operators of torch, so that autograd and torch.compile take them as they take torch's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from chipflow.snn.dynamics import Constants, Rule, States, not_finite
from chipflow.snn.surrogate import Gaussian, Heaviside, MultiGaussian, PeriodicExponential, SingleExponential

DTYPES = (torch.float32, torch.float64)
SURROGATES = (SingleExponential, PeriodicExponential, Gaussian, MultiGaussian, Heaviside)
"""In the order of the kernels' numbers for them."""


def can_run(input: Tensor, constants: Constants, rule: Rule) -> bool:
    """Whether the kernels know these neurons: numbers in float32 or float64, a surrogate gradient of this package, one threshold."""
    return (
        input.device.type == "cpu"
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
        value = value.to(input.dtype)
        return value.reshape(1) if value.numel() == 1 else value.expand(sample).reshape(-1)

    output, *ends = torch.ops.chipflow.neurons(
        input.reshape(batch, steps, -1),
        *map(flat, states),
        *map(alpha, (constants.alpha_mem, constants.alpha_syn, constants.alpha_adapt)),
        constants.threshold,
        constants.min_v_mem,
        _description(rule, constants),
        label,
    )
    after = (None if old is None else new.reshape(old.shape) for old, new in zip(states, ends, strict=True))
    return output.reshape(input.shape), States(*cast(Any, after))


def _description(rule: Rule, constants: Constants) -> list[float]:
    """What the kernels need to know of a layer beside tensors: flags, then numbers."""
    surrogate = rule.surrogate
    flags = [
        rule.fires,
        rule.reset == "subtract",
        constants.alpha_syn is not None,
        rule.norm_input and constants.alpha_mem is not None,
        rule.adapt_scale is not None,
        SURROGATES.index(cast(Any, type(surrogate))),
    ]
    most = math.inf if rule.max_spikes is None else rule.max_spikes
    value = 0.0 if isinstance(rule.reset, str) else rule.reset
    numbers = [most, value, rule.adapt_scale or 0.0, 0.0, 1.0, 0.5, 2.0, *_parameters(surrogate)]
    return [float(one) for one in (*flags, *numbers)]


def _parameters(surrogate: Any) -> list[float]:
    """As `_surrogate` of the kernels takes them, five numbers."""
    if isinstance(surrogate, Gaussian):
        found = [surrogate.mu, -1 / (2 * surrogate.sigma**2), surrogate.grad_scale / (surrogate.sigma * math.sqrt(2 * math.pi))]
    elif isinstance(surrogate, MultiGaussian):
        found = [surrogate.mu, surrogate.sigma, surrogate.h, surrogate.s, surrogate.grad_scale]
    elif isinstance(surrogate, Heaviside):
        found = [surrogate.window]
    else:
        found = [surrogate.grad_width, surrogate.grad_scale]
    return found + [0.0] * (5 - len(found))


@torch.library.custom_op("chipflow::neurons", mutates_args=())
def _neurons(
    x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, alpha_mem: Tensor, alpha_syn: Tensor, alpha_adapt: Tensor,
    threshold: Tensor, low: Tensor | None, description: Sequence[float], label: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Output [batch, time, neurons] and the three states at the end, empty where there is no such state."""
    from chipflow.snn.fused import cpu_kernels

    layer = _arrays(x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt, threshold, low, description)
    results = [torch.empty_like(one, memory_format=torch.contiguous_format) for one in (x, v0, i0, b0)]
    arrays = [one.numpy() for one in results]
    if not all(_in_parts(x, lambda first, last: cpu_kernels.forward(first, last, *layer, *arrays), cpu_kernels.FORWARD_VALUES)):
        raise not_finite(x, label)
    return results[0], results[1], results[2], results[3]


@_neurons.register_fake
def _(x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(v0), torch.empty_like(i0), torch.empty_like(b0)


@torch.library.custom_op("chipflow::neurons_backward", mutates_args=())
def _neurons_backward(
    x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, alpha_mem: Tensor, alpha_syn: Tensor, alpha_adapt: Tensor,
    threshold: Tensor, low: Tensor | None, description: Sequence[float],
    grad_s: Tensor, grad_v: Tensor, grad_i: Tensor, grad_b: Tensor, wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of x, the states and, where `wanted`, the alphas (else empty)."""
    from chipflow.snn.fused import cpu_kernels

    layer = _arrays(x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt, threshold, low, description)
    given = [one.contiguous().numpy() for one in (grad_s, grad_v, grad_i, grad_b)]
    results = [torch.empty_like(one, memory_format=torch.contiguous_format) for one in (x, v0, i0, b0)]
    sums = [torch.empty_like(v0) if want else v0.new_empty(0, 0) for want in wanted]
    arrays = [one.numpy() for one in (*results, *sums)]
    kept = cpu_kernels.backward_values(x.shape[1], i0.numel() > 0, b0.numel() > 0)
    _in_parts(x, lambda first, last: cpu_kernels.backward(first, last, *layer, *given, *arrays), kept)
    alphas = [_like(total, one) for total, one in zip(sums, (alpha_mem, alpha_syn, alpha_adapt), strict=True)]
    return results[0], results[1], results[2], results[3], alphas[0], alphas[1], alphas[2]


@_neurons_backward.register_fake
def _(x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    alphas, wanted = rest[:3], rest[-1]
    sums = [torch.empty_like(one) if want else one.new_empty(0) for one, want in zip(alphas, wanted, strict=True)]
    return (*(torch.empty_like(one) for one in (x, v0, i0, b0)), *sums)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, description, _ = inputs
    ctx.save_for_backward(*tensors)
    ctx.description = description


def _backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    wanted = list(ctx.needs_input_grad[4:7])
    found = torch.ops.chipflow.neurons_backward(*ctx.saved_tensors, ctx.description, *grads, wanted)
    alphas = [one if want else None for one, want in zip(found[4:], wanted, strict=True)]
    return (*found[:4], *alphas, None, None, None, None)


_neurons.register_autograd(_backward, setup_context=_setup_context)


def _arrays(
    x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, alpha_mem: Tensor, alpha_syn: Tensor, alpha_adapt: Tensor,
    threshold: Tensor, low: Tensor | None, description: Sequence[float],
) -> list[np.ndarray[Any, Any]]:  # fmt: skip
    """The kernels' arguments that describe input, states and layer."""
    from chipflow.snn.fused import cpu_kernels

    tensors = [one.detach().contiguous().numpy() for one in (x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt)]
    flags = np.array(description[: cpu_kernels.FLAGS], np.int64)
    bound = -math.inf if low is None else float(low)
    numbers = np.array([float(threshold), bound, *description[cpu_kernels.FLAGS :]], tensors[0].dtype)
    return [*tensors, numbers, flags]


def _like(total: Tensor, alpha: Tensor) -> Tensor:
    """Sums [batch, neurons] in the shape of alpha, which is one number or one for each neuron."""
    if not total.numel():
        return total.reshape(0)
    return total.sum().reshape(1) if alpha.numel() == 1 else total.sum(0)


_POOL: dict[int, ThreadPoolExecutor] = {}


def _in_parts(x: Tensor, part: Callable[[int, int], Any], values_each: int) -> list[Any]:
    """All blocks of neurons, in as many equal parts at a time as torch may use threads; kernels release the interpreter's lock."""
    from chipflow.snn.fused import cpu_kernels

    batch, _, neurons = x.shape
    tasks = batch * -(-neurons // cpu_kernels.block_size(neurons, values_each))
    threads = min(torch.get_num_threads(), tasks, max(1, x.numel() // LEAST_VALUES))
    if threads == 1:
        return [part(0, tasks)]
    pool = _POOL.setdefault(threads, ThreadPoolExecutor(threads))
    bounds = [tasks * n // threads for n in range(threads + 1)]
    return list(pool.map(part, bounds[:-1], bounds[1:]))


LEAST_VALUES = 1 << 15
"""Values of input for which a second thread is worth its start."""
