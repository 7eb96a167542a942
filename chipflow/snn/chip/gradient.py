r"""Backpropagation through a core: the chip's spikes and states forward, a time-stepped neuron's derivatives backward.

With x_t the spike counts that arrive in step t, W the weights that the chip has (integers / scale), theta the chip's threshold (as well), s_t
the spikes and v_t the state that the chip really has at the end of step t, the potential whose surrogate derivative is taken is

    u_t = v_(t-1) + W x_t + bias

and derivatives are those of integrate-and-fire neurons with time steps (`chipflow.snn.dynamics`): ds_t / du_t = surrogate(u_t, theta),

    v_t = u_t - s_t theta       or, reset to zero, u_t where s_t = 0

which passes no gradient on where v_t is at the lower bound. Weights are rounded forward and not backward (straight through; Bengio,
Leonard, Courville 2013, "Estimating or propagating gradients through stochastic neurons for conditional computation").

Where at most one event reaches a neuron in a step, u_t is what the chip compares with its threshold, and the gradient that of the time-stepped
network exactly. In coarse steps, u_t may lie many thresholds high or low: a SingleExponential, which falls off on both sides of the threshold,
then passes hardly any gradient. Finer steps bring u_t back to the threshold, at a price that grows with their number; a PeriodicExponential
passes gradient at any height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from chipflow.snn.chip.threads import in_threads
from chipflow.snn.surrogate import SurrogateFunction


@dataclass(frozen=True)
class Neurons:
    """A core's neurons in the chip's numbers.

    Attributes:
        scale: integers = floats x scale.
        threshold: an integer.
        lower_bound: an integer.
        subtracts: whether a spike subtracts the threshold, or else zeroes the state.
        surrogate: ds / du of potential and threshold.
    """

    scale: float
    threshold: int
    lower_bound: int
    subtracts: bool
    surrogate: SurrogateFunction


def with_gradient(current: Tensor, v_mem: Tensor, counts: Tensor, after: Tensor, neurons: Neurons) -> tuple[Tensor, Tensor]:
    """The chip's spikes and last states, differentiable by what the steps add to the potential, and by the states before.

    Args:
        current: W x + bias, [batch, time, *map], in the units of the weights.
        v_mem: states before the first step [batch, *map], in the same units.
        counts: spikes [batch, time, *map].
        after: the chip's states at the end of each step, int16 [batch, time, *map].
        neurons: of the core.

    Returns:
        Spike counts [batch, time, *map]; states after the last step [batch, *map].
    """
    return cast("tuple[Tensor, Tensor]", _Core.apply(current, v_mem, counts, after, neurons))


def last_states(after: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """The states after the last step in the units of the weights [batch, *map]."""
    return _in_floats(after[:, -1], scale, dtype)


def straight_through(value: Tensor, rounded: npt.NDArray[np.float64]) -> Tensor:
    """`rounded` in the shape of `value`, with its gradient."""
    exact = torch.from_numpy(rounded).to(device=value.device, dtype=value.dtype).reshape(value.shape)
    return exact + (value - value.detach()) if value.requires_grad else exact


class _Core(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, v_mem: Tensor, counts: Tensor, after: Tensor, neurons: Neurons
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(current, v_mem, after, None if neurons.subtracts else counts)
        ctx.neurons = neurons
        return counts, last_states(after, neurons.scale, current.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (current, v_mem, after, counts), neurons = ctx.saved_tensors, ctx.neurons
        theta = neurons.threshold / neurons.scale
        slope = neurons.surrogate(_potentials(current, v_mem, after, neurons.scale), current.new_tensor(theta))
        grad_counts, grad_v = grads
        grad_u, grad_v = _back_in_time(grad_counts, grad_v, slope, after, counts, theta, neurons.lower_bound)
        return grad_u.to(current.device), grad_v.to(current.device), None, None, None


def _potentials(current: Tensor, v_mem: Tensor, after: Tensor, scale: float) -> Tensor:
    """u of every step."""
    before = torch.cat([v_mem[:, None], _in_floats(after[:, :-1], scale, current.dtype)], 1)
    return before.add_(current)


def _in_floats(states: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    return states.to(dtype).div_(scale)


def _back_in_time(
    grad_counts: Tensor, grad_v: Tensor, slope: Tensor, after: Tensor, counts: Tensor | None, theta: float, low: int
) -> tuple[Tensor, Tensor]:
    """Gradients of the u of every step, and of the states before the first."""
    from chipflow.snn.chip import kernels

    shape, (batch, steps) = grad_counts.shape, grad_counts.shape[:2]
    of_counts, ds, v = (one.detach().cpu().reshape(batch, steps, -1).numpy() for one in (grad_counts, slope, after))
    spikes = of_counts[:, :0] if counts is None else counts.cpu().reshape(batch, steps, -1).numpy()
    grad_u, before = np.empty_like(of_counts), grad_v.cpu().reshape(batch, -1).numpy().copy()
    theta_typed = grad_u.dtype.type(theta)

    def run(n: int) -> None:
        kernels.backward(of_counts[n], ds[n], v[n], spikes[n], before[n], theta_typed, low, grad_u[n])

    in_threads(run, batch, grad_u.size)
    return torch.from_numpy(grad_u).reshape(shape), torch.from_numpy(before).reshape(grad_v.shape)
