r"""What a layer of neurons computes in a time step, in plain torch: the reference that every faster path must equal.

With input x(t), membrane time constant tau_mem, alpha = exp(-1 / tau_mem) (1 without leak), and time in steps:

    i(t) = alpha_syn * (i(t-1) + x(t))                       with a synaptic time constant, alpha_syn = exp(-1 / tau_syn); else i(t) = x(t)
    u(t) = alpha * v(t-1) + k * i(t)                         k = 1 - alpha with normalised input, else 1
    s(t) = min(floor(u(t) / theta(t)), max_spikes), at least 0
    w(t) = u(t) - s(t) * theta(t), or after a spike the value of the reset
    v(t) = max(w(t), min_v_mem)

An adapting threshold (Bellec et al. 2018, "Long short-term memory and learning-to-learn in networks of spiking neurons") is

    theta(t) = threshold + adapt_scale * b(t-1),   b(t) = alpha_adapt * b(t-1) + (1 - alpha_adapt) * s(t)

and there k enters the synaptic current itself, i(t) = k * alpha_syn * (i(t-1) + x(t)), as in sinabs. A layer that does not fire gives u(t).
Backward, ds/du is the surrogate gradient, ds/dtheta is 0, and the lower bound passes gradient where w > min_v_mem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor

from chipflow.errors import ChipflowError
from chipflow.snn.surrogate import SurrogateFunction

Reset = Literal["subtract", "zero"] | float


@dataclass(frozen=True)
class Rule:
    """What the neurons of a layer do, but for their numbers in tensors.

    Attributes:
        fires: whether there are spikes; otherwise the output is the potential.
        max_spikes: in a time step; None for any number.
        reset: after spikes: subtract as many thresholds, become zero, or this value.
        surrogate: ds/du as a function of potential and threshold.
        norm_input: whether input is multiplied by 1 - alpha.
        adapt_scale: of an adapting threshold; None for a fixed one.
    """

    fires: bool
    max_spikes: int | None
    reset: Reset
    surrogate: SurrogateFunction
    norm_input: bool
    adapt_scale: float | None = None


class Constants(NamedTuple):
    """Tensors that broadcast to a sample; None where the layer has no such thing (no leak, no bound, ...)."""

    threshold: Tensor
    min_v_mem: Tensor | None
    alpha_mem: Tensor | None
    alpha_syn: Tensor | None
    alpha_adapt: Tensor | None


class States(NamedTuple):
    """Tensors [batch, ...]; None where the layer has no such state."""

    v_mem: Tensor
    i_syn: Tensor | None
    b: Tensor | None


class _Spikes(torch.autograd.Function):
    """min(floor(u / theta), max_spikes), at least 0; the surrogate gradient for u, none for theta."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, threshold: Tensor, rule: Rule) -> Tensor:
        ctx.save_for_backward(u, threshold)
        ctx.surrogate = rule.surrogate
        return torch.div(u, threshold, rounding_mode="trunc").clamp_(min=0, max=rule.max_spikes)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        u, threshold = ctx.saved_tensors
        return grad_outputs[0] * ctx.surrogate(u, threshold), None, None


def step(input: Tensor, states: States, constants: Constants, rule: Rule) -> tuple[Tensor, States]:
    """One time step.

    Args:
        input: [batch, ...].
        states: before the step.
        constants: of the layer.
        rule: of the layer.

    Returns:
        Spikes (or potentials) [batch, ...], and the states after the step.
    """
    threshold, low, alpha_mem, alpha_syn, alpha_adapt = constants
    adapts = rule.adapt_scale
    k = 1 - alpha_mem if rule.norm_input and alpha_mem is not None else None
    i_syn = input if alpha_syn is None or states.i_syn is None else alpha_syn * (states.i_syn + input)
    current = i_syn if k is None else k * i_syn
    if adapts is not None:
        i_syn = current
    u = (states.v_mem if alpha_mem is None else alpha_mem * states.v_mem) + current
    b = states.b
    if rule.fires:
        if adapts is not None and b is not None:
            threshold = threshold + adapts * b
        output = cast(Tensor, _Spikes.apply(u, threshold, rule))
        w = u - output * threshold if rule.reset == "subtract" else torch.where(output == 0, u, _reset_value(rule))
        if b is not None and alpha_adapt is not None:
            b = alpha_adapt * b + (1 - alpha_adapt) * output
    else:
        output = w = u
    v_mem = w if low is None else torch.where(w > low, w, low.to(w.dtype))
    return output, States(v_mem, None if alpha_syn is None else i_syn, b)


def run_loop(
    input: Tensor, states: States, constants: Constants, rule: Rule, record: dict[str, list[Tensor]] | None = None
) -> tuple[Tensor, States]:
    """All time steps, one after the other.

    Args:
        input: [batch, time, ...].
        states: before the first step.
        constants: of the layer.
        rule: of the layer.
        record: where to append the states after every step, by name.

    Returns:
        Spikes (or potentials) [batch, time, ...], and the states after the last step.
    """
    outputs: list[Tensor] = []
    for now in input.unbind(1):
        output, states = step(now, states, constants, rule)
        outputs.append(output)
        append_states(states, record)
    return torch.stack(outputs, 1), states


def append_states(states: States, record: dict[str, list[Tensor]] | None) -> None:
    """Add states to their lists; nothing without a record."""
    if record is not None:
        for name, value in states._asdict().items():
            if value is not None:
                record.setdefault(name, []).append(value)


def refuse_not_finite(input: Tensor, label: str) -> None:
    """Raise the error about such input; torch.compile, which cannot branch on values, traces without the question."""
    if not torch.compiler.is_compiling() and not bool(torch.isfinite(input).all()):
        raise not_finite(input, label)


def not_finite(input: Tensor, label: str) -> ChipflowError:
    """The error about input with infinities, or with what is no number."""
    bad = input.numel() - int(torch.isfinite(input).sum())
    return ChipflowError(
        f"{label}: {bad} of {input.numel()} values of the input (shape {list(input.shape)}) are not finite numbers. "
        "The states of this layer are as they were; look at the layer in front of it, or at the data."
    )


def _reset_value(rule: Rule) -> float:
    return 0.0 if isinstance(rule.reset, str) else rule.reset
