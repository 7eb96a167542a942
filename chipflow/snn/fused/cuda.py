"""The fused time loop on CUDA: Triton's kernels, launched.

Compared with the reference in Triton's interpreter, and compiled for a GPU; not run on one by the authors.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from chipflow.snn.dynamics import not_finite
from chipflow.snn.fused.description import Description

HAS_TRITON = find_spec("triton") is not None
"""Whether it is installed; it is loaded by the first call."""

LARGEST_BLOCK = 128
"""In a program: one for each thread of a block of four warps."""


def forward(
    x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, alpha_mem: Tensor, alpha_syn: Tensor, alpha_adapt: Tensor,
    threshold: Tensor, low: Tensor | None, description: Sequence[float], label: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """As the operator `chipflow::neurons`.

    Whether the input is finite is known when the kernel has run, so a call waits for the GPU once; it does not look while a CUDA graph
    is captured, where nothing may wait.
    """
    from chipflow.snn.fused import triton_kernels

    x, v0, i0, b0 = (one.contiguous() for one in (x, v0, i0, b0))
    layer = Description(*description)
    results = [torch.empty_like(one) for one in (x, v0, i0, b0)]
    bad = torch.zeros(1, dtype=torch.int32, device=x.device)
    given = _constants((alpha_mem, alpha_syn, alpha_adapt), threshold, low)
    _launch(
        triton_kernels.forward, x, v0, i0, b0, *given, *x.shape[1:], *results, bad, *[None] * 3, KEEPS=False, **_options(layer)
    )
    capturing = x.is_cuda and torch.cuda.is_current_stream_capturing()
    if not capturing and bool(bad):
        raise not_finite(x, label)
    return results[0], results[1], results[2], results[3]


def backward(
    x: Tensor, v0: Tensor, i0: Tensor, b0: Tensor, alpha_mem: Tensor, alpha_syn: Tensor, alpha_adapt: Tensor,
    threshold: Tensor, low: Tensor | None, description: Sequence[float],
    grad_s: Tensor, grad_v: Tensor, grad_i: Tensor, grad_b: Tensor, wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """As the operator `chipflow::neurons_backward`: the forward kernel again, for what it keeps, then the backward kernel."""
    from chipflow.snn.fused import triton_kernels

    x, v0, i0, b0 = (one.contiguous() for one in (x, v0, i0, b0))
    layer = Description(*description)
    options, given = _options(layer), _constants((alpha_mem, alpha_syn, alpha_adapt), threshold, low)
    kept = [torch.empty_like(x), *(torch.empty_like(x) if state.numel() else None for state in (i0, b0))]
    _launch(triton_kernels.forward, x, v0, i0, b0, *given, *x.shape[1:], *[None] * 5, *kept, KEEPS=True, **options)

    grads = [one.contiguous() for one in (grad_s, grad_v, grad_i, grad_b)]
    results = [torch.empty_like(one) for one in (x, v0, i0, b0)]
    sums = [torch.empty_like(v0) if want else None for want in wanted]
    surrogate = {"KIND": int(layer.kind)} | {f"P{n}": value for n, value in enumerate(layer.parameters)}
    _launch(triton_kernels.backward, x, v0, *given, *x.shape[1:], *kept, *grads, *results, *sums, **surrogate, **options)
    found = [x.new_empty(0, 0) if one is None else one for one in sums]
    return results[0], results[1], results[2], results[3], found[0], found[1], found[2]


def _constants(alphas: Sequence[Tensor], threshold: Tensor, low: Tensor | None) -> list[Any]:
    """What both kernels take of a layer's tensors. One value for all neurons has the stride 0."""
    alphas = [one.contiguous() for one in alphas]
    return [*alphas, *(int(one.numel() > 1) for one in alphas), threshold, low]


def _options(layer: Description) -> dict[str, Any]:
    """What both kernels are compiled for."""
    flags = zip(("FIRES", "SUBTRACTS", "SYNAPTIC", "NORMALISED", "ADAPTS"), map(bool, layer.flags), strict=False)
    return dict(flags) | {"MOST": layer.max_spikes, "RESET": layer.reset, "ADAPT_SCALE": layer.adapt_scale}


def _launch(kernel: Any, x: Tensor, *arguments: Any, **options: Any) -> None:
    """One program for each sample and block of neurons; `x` [batch, time, neurons] is the first argument."""
    batch, _, neurons = x.shape
    block = min(LARGEST_BLOCK, max(32, 1 << (neurons - 1).bit_length()))
    grid = (batch * -(-neurons // block),)
    with torch.cuda.device_of(x):
        # A fused multiply-add rounds once where the reference rounds twice.
        kernel[grid](x, *arguments, BLOCK=block, num_warps=block // 32, enable_fp_fusion=False, **options)
