"""The fused time loop on the CPU: numba's kernels, in as many threads as torch uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chipflow.snn.dynamics import not_finite
from chipflow.snn.fused.description import Description


def forward(
    x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, alpha_mem: Tensor, alpha_syn: Tensor, alpha_adapt: Tensor,
    threshold: Tensor, low: Tensor | None, description: Sequence[float], label: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The operator `chipflow::neurons`.

    Args:
        x: [batch, time, neurons].
        v0, i0, b0: states [batch, neurons]; empty where there is no such state.
        alpha_mem, alpha_syn, alpha_adapt: [1] or [neurons].
        threshold, low: one value; low is None without a bound.
        description: a `Description`.
        label: the layer in messages.

    Returns:
        Output [batch, time, neurons] and the three states at the end.

    Raises:
        ChipflowError: for input that is not finite.
    """
    from chipflow.snn.fused import cpu_kernels

    layer = _arrays(x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt, threshold, low, description)
    results = [torch.empty_like(one, memory_format=torch.contiguous_format) for one in (x, v0, i0, b0)]
    arrays = [one.numpy() for one in results]
    if not all(_in_parts(x, lambda first, last: cpu_kernels.forward(first, last, *layer, *arrays), cpu_kernels.FORWARD_VALUES)):
        raise not_finite(x, label)
    return results[0], results[1], results[2], results[3]


def backward(
    x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, alpha_mem: Tensor, alpha_syn: Tensor, alpha_adapt: Tensor,
    threshold: Tensor, low: Tensor | None, description: Sequence[float],
    grad_s: Tensor, grad_v: Tensor, grad_i: Tensor, grad_b: Tensor, wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The operator `chipflow::neurons_backward`.

    Args, beside those of `forward`:
        grad_s, grad_v, grad_i, grad_b: gradients of its results.
        wanted: which gradients of alphas are.

    Returns:
        Gradients of x, the three states, and the three alphas for each sample and neuron [batch, neurons] (empty if not wanted).
    """
    from chipflow.snn.fused import cpu_kernels

    layer = _arrays(x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt, threshold, low, description)
    given = [one.contiguous().numpy() for one in (grad_s, grad_v, grad_i, grad_b)]
    results = [torch.empty_like(one, memory_format=torch.contiguous_format) for one in (x, v0, i0, b0)]
    sums = [torch.empty_like(v0) if want else v0.new_empty(0, 0) for want in wanted]
    arrays = [one.numpy() for one in (*results, *sums)]
    kept = cpu_kernels.backward_values(x.shape[1], layer[-1])  # by its flags
    _in_parts(x, lambda first, last: cpu_kernels.backward(first, last, *layer, *given, *arrays), kept)
    return results[0], results[1], results[2], results[3], sums[0], sums[1], sums[2]


def _arrays(
    x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, alpha_mem: Tensor, alpha_syn: Tensor, alpha_adapt: Tensor,
    threshold: Tensor, low: Tensor | None, description: Sequence[float],
) -> list[np.ndarray[Any, Any]]:  # fmt: skip
    """The kernels' arguments that describe input, states and layer."""
    tensors = [one.detach().contiguous().numpy() for one in (x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt)]
    layer = Description(*description)
    bound = -math.inf if low is None else float(low)
    of_layer = (float(threshold), bound, layer.max_spikes, layer.reset, layer.adapt_scale)
    numbers = np.array(
        [*of_layer, 0.0, 1.0, 0.5, 2.0, *layer.parameters], tensors[0].dtype
    )  # in the order of the kernels' indices
    return [*tensors, numbers, np.array(layer.flags, np.int64)]


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


LEAST_VALUES = 30_000
"""Values of input for which a second thread is worth its start."""
