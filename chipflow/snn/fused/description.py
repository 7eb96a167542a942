"""What the kernels know of a layer beside its tensors, as a list of numbers that an operator of torch can take."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

from chipflow.snn.dynamics import Constants, Rule
from chipflow.snn.surrogate import Gaussian, Heaviside, MultiGaussian, PeriodicExponential, SingleExponential

SURROGATES = (SingleExponential, PeriodicExponential, Gaussian, MultiGaussian, Heaviside)
"""In the order of the kernels' numbers for them."""


class Description(NamedTuple):
    """Flags, then numbers.

    Attributes:
        fires: whether there are spikes.
        subtracts: whether they subtract thresholds.
        synaptic: whether there is a synaptic current.
        normalised: whether input is multiplied by 1 - alpha_mem.
        adapts: whether the threshold does.
        kind: index into `SURROGATES`.
        max_spikes: in a time step, infinity for any number.
        reset: the value after spikes, where they do not subtract.
        adapt_scale: 0 without adaptation.
        p0 to p4: parameters of the surrogate gradient.
    """

    fires: float
    subtracts: float
    synaptic: float
    normalised: float
    adapts: float
    kind: float
    max_spikes: float
    reset: float
    adapt_scale: float
    p0: float
    p1: float
    p2: float
    p3: float
    p4: float

    @property
    def flags(self) -> tuple[float, ...]:
        """As in the class, `fires` to `kind`."""
        return self[:6]

    @property
    def parameters(self) -> tuple[float, ...]:
        """Of the surrogate gradient."""
        return self[9:]


def describe(rule: Rule, constants: Constants) -> Description:
    """The description of a layer."""
    flags = (
        rule.fires,
        rule.reset == "subtract",
        constants.alpha_syn is not None,
        rule.norm_input and constants.alpha_mem is not None,
        rule.adapt_scale is not None,
        SURROGATES.index(cast(Any, type(rule.surrogate))),
    )
    most = math.inf if rule.max_spikes is None else rule.max_spikes
    reset = 0.0 if isinstance(rule.reset, str) else rule.reset
    numbers = (most, reset, rule.adapt_scale or 0.0, *_parameters(rule.surrogate))
    return Description(*(float(one) for one in (*flags, *numbers)))


def _parameters(surrogate: Any) -> list[float]:
    """As the kernels take them, five numbers."""
    if isinstance(surrogate, Gaussian):
        found = [surrogate.mu, -1 / (2 * surrogate.sigma**2), surrogate.grad_scale / (surrogate.sigma * math.sqrt(2 * math.pi))]
    elif isinstance(surrogate, MultiGaussian):
        found = [surrogate.mu, surrogate.sigma, surrogate.h, surrogate.s, surrogate.grad_scale]
    elif isinstance(surrogate, Heaviside):
        found = [surrogate.window]
    else:
        found = [surrogate.grad_width, surrogate.grad_scale]
    return found + [0.0] * (5 - len(found))
