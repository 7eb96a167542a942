"""Spiking neurons in torch: integrate and fire with several spikes a step, and the sum pool that goes with it."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chipflow.errors import ChipflowError

Reset = Literal["subtract", "zero"]

GRAD_WIDTH = 0.5
"""Width of the surrogate gradient in units of the threshold, as in sinabs."""


class _MultiSpike(torch.autograd.Function):
    """floor(v / threshold) where positive; backward is a single exponential around the threshold.

    The surrogate gradient is that of Shrestha and Orchard 2018 (SLAYER): exp(-|v - threshold| / w) / w with
    w = threshold * GRAD_WIDTH.
    """

    @staticmethod
    def forward(ctx: Any, v_mem: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(v_mem, threshold)
        return torch.div(v_mem, threshold, rounding_mode="trunc").clamp_(min=0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        v_mem, threshold = ctx.saved_tensors
        width = threshold * GRAD_WIDTH
        return grad_outputs[0] * torch.exp(-torch.abs(v_mem - threshold) / width) / width, None


class IAF(nn.Module):
    """Integrate and fire neurons without leak.

    In every time step v += input; a neuron with v >= threshold emits floor(v / threshold) spikes and is reset (each spike
    subtracts one threshold, or v becomes zero); then v = max(v, min_v_mem).

    The state continues from one forward call to the next (gradients do not), and starts from zero when the shape of a
    sample or the batch size changes and after `reset_states()`.

    Shape:
        input and output [batch, time, ...]; with `num_timesteps` set, [batch * time, ...].

    Args:
        threshold: spiking threshold, above 0.
        min_v_mem: lower bound of the state, at most 0; None for no bound.
        reset: "subtract" or "zero".
        num_timesteps: when given, batch and time are merged in the first axis and every `num_timesteps` entries are one sample.

    Raises:
        ChipflowError: for parameters out of range, or input that cannot be divided into time steps.
    """

    threshold: Tensor
    min_v_mem: Tensor | None
    v_mem: Tensor | None

    def __init__(
        self,
        threshold: float = 1.0,
        min_v_mem: float | None = -1.0,
        reset: Reset = "subtract",
        num_timesteps: int | None = None,
    ) -> None:
        super().__init__()
        if not threshold > 0:
            raise ChipflowError(f"IAF: threshold is {threshold}, it must be above 0.")
        if min_v_mem is not None and not min_v_mem <= 0:
            raise ChipflowError(f"IAF: min_v_mem is {min_v_mem}, it must be at most 0 (or None for no lower bound).")
        if reset not in ("subtract", "zero"):
            raise ChipflowError(f"IAF: reset is {reset!r}, it must be 'subtract' or 'zero'.")
        self.reset: Reset = reset
        self.num_timesteps = num_timesteps
        self.runs = 0
        self.register_buffer("threshold", torch.tensor(float(threshold)))
        self.register_buffer("min_v_mem", None if min_v_mem is None else torch.tensor(float(min_v_mem)))
        self.register_buffer("v_mem", None, persistent=False)

    def reset_states(self) -> None:
        """Forget the state; the next forward call starts from zero."""
        self.v_mem = None

    def forward(self, input: Tensor) -> Tensor:
        """Run over the time axis and return the number of spikes of every neuron in every step."""
        self.runs += 1
        if self.num_timesteps is not None:
            return self._run(unfold_time(input, self.num_timesteps)).flatten(0, 1)
        if input.ndim < 2:
            raise ChipflowError(f"IAF: input has shape {list(input.shape)}, expected [batch, time, ...].")
        return self._run(input)

    def _run(self, input: Tensor) -> Tensor:
        v_mem = self._state_for(input)
        spikes: list[Tensor] = []
        for step in input.unbind(1):
            fired, v_mem = self._step(v_mem + step)
            spikes.append(fired)
        self.v_mem = v_mem.detach()
        return torch.stack(spikes, 1) if spikes else input

    def _state_for(self, input: Tensor) -> Tensor:
        shape = input[:, 0].shape if input.shape[1] else input.sum(1).shape
        state = self.v_mem
        if state is None or state.shape != shape:
            return torch.zeros(shape, dtype=input.dtype, device=input.device)
        return state.to(dtype=input.dtype, device=input.device)

    def _step(self, v_mem: Tensor) -> tuple[Tensor, Tensor]:
        spikes = cast(Tensor, _MultiSpike.apply(v_mem, self.threshold))
        v_mem = v_mem - spikes * self.threshold if self.reset == "subtract" else v_mem * (spikes == 0)
        if self.min_v_mem is not None:
            low = self.min_v_mem.to(v_mem.dtype)
            v_mem = torch.where(v_mem > low, v_mem, low)
        return spikes, v_mem

    def extra_repr(self) -> str:
        """The parameters, for printing."""
        low = None if self.min_v_mem is None else round(self.min_v_mem.item(), 6)
        return f"threshold={round(self.threshold.item(), 6)}, min_v_mem={low}, reset={self.reset!r}"


def unfold_time(input: Tensor, num_timesteps: int) -> Tensor:
    """[batch * time, ...] to [batch, time, ...].

    Raises:
        ChipflowError: if the first axis is no multiple of `num_timesteps`.
    """
    if num_timesteps < 1 or input.shape[0] % num_timesteps:
        raise ChipflowError(
            f"The first axis of the input (shape {list(input.shape)}) holds batch * time = {input.shape[0]} entries, "
            f"which is no multiple of num_timesteps = {num_timesteps}."
        )
    return input.unflatten(0, (input.shape[0] // num_timesteps, num_timesteps))


class SumPool2d(nn.Module):
    """Sum over windows, as these chips pool: `kernel_size ** 2` times the average pool of the same size.

    Shape:
        [..., channels, y, x] with three or four axes, as nn.AvgPool2d.
    """

    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride

    def forward(self, input: Tensor) -> Tensor:
        """Sum every window."""
        return F.avg_pool2d(input, self.kernel_size, self.stride, divisor_override=1)

    def extra_repr(self) -> str:
        """The parameters, for printing."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}"
