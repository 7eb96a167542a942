r"""Surrogate gradients: what stands in for the derivative of the number of spikes by the membrane potential.

Spikes are a step function of v, whose derivative is 0 almost everywhere. Backpropagation takes one of these functions of v and
the threshold theta in its place (Neftci, Mostafa, Zenke 2019, "Surrogate gradient learning in spiking neural networks"). The
parameters and defaults are those of sinabs' classes of the same names.

Any callable (v_mem, threshold) -> Tensor can be used in their place; only these five run in the fused kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chipflow.errors import ChipflowError
from chipflow.snn.checks import is_number

SurrogateFunction = Callable[[Tensor, Tensor], Tensor]
"""(v_mem, threshold) -> derivative; tensors that broadcast."""


@dataclass(frozen=True)
class SingleExponential:
    """grad_scale / w * exp(-|v - theta| / w), w = theta * grad_width (Shrestha and Orchard 2018, SLAYER).

    Falls off on both sides: a neuron far above its threshold passes hardly any gradient.

    Args:
        grad_width: decay length in thresholds, above 0.
        grad_scale: factor.
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self, "grad_width")

    def __call__(self, v_mem: Tensor, threshold: Tensor) -> Tensor:
        """The derivative."""
        width = threshold * self.grad_width
        return self.grad_scale / width * torch.exp(-torch.abs(v_mem - threshold) / width)


@dataclass(frozen=True)
class PeriodicExponential:
    """grad_scale * exp(-|d| / grad_width), d the distance of v to theta, and above theta periodic in theta (Weidel and Sheik 2021,
    "WaveSense").

    For v >= theta, d = theta * (2 * frac(v / theta - 1/2) - 1): a neuron that fires several spikes a step still passes gradient.

    Args:
        grad_width: decay length in units of v, above 0.
        grad_scale: factor.
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self, "grad_width")

    def __call__(self, v_mem: Tensor, threshold: Tensor) -> Tensor:
        """The derivative."""
        phase = v_mem / threshold - 0.5
        above = threshold * (2 * (phase - torch.floor(phase)) - 1)
        distance = torch.where(v_mem >= threshold, above, v_mem - threshold)
        return self.grad_scale * torch.exp(-torch.abs(distance) / self.grad_width)


@dataclass(frozen=True)
class Gaussian:
    """grad_scale * N(v - theta; mu, sigma), N the density of the normal distribution.

    Args:
        mu: mean, in units of v.
        sigma: standard deviation in units of v, above 0.
        grad_scale: factor.
    """

    mu: float = 0.0
    sigma: float = 0.5
    grad_scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self, "sigma")

    def __call__(self, v_mem: Tensor, threshold: Tensor) -> Tensor:
        """The derivative."""
        return self.grad_scale * _normal(v_mem - threshold, self.mu, self.sigma)


@dataclass(frozen=True)
class MultiGaussian:
    """Gaussian with negative flanks (Yin, Corradi, Bohte 2021, "Accurate and efficient time-domain classification with adaptive spiking
    recurrent neural networks"), with x = v - theta:

        grad_scale * ((1 + h) N(x; mu, sigma) - h N(x; sigma, s sigma) - h N(x; -sigma, s sigma))

    Args:
        mu: mean of the middle, in units of v.
        sigma: standard deviation of the middle in units of v, above 0.
        h: height of the flanks.
        s: their width, in sigma, above 0.
        grad_scale: factor.
    """

    mu: float = 0.0
    sigma: float = 0.5
    h: float = 0.15
    s: float = 6.0
    grad_scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self, "sigma", "s")

    def __call__(self, v_mem: Tensor, threshold: Tensor) -> Tensor:
        """The derivative."""
        x, wide = v_mem - threshold, self.s * self.sigma
        middle = (1 + self.h) * _normal(x, self.mu, self.sigma)
        return self.grad_scale * (middle - self.h * _normal(x, self.sigma, wide) - self.h * _normal(x, -self.sigma, wide))


@dataclass(frozen=True)
class Heaviside:
    """1 / theta where v >= theta - window, else 0.

    Args:
        window: distance of the step below the threshold, in units of v.
    """

    window: float = 1.0

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, v_mem: Tensor, threshold: Tensor) -> Tensor:
        """The derivative."""
        return (v_mem >= threshold - self.window).to(v_mem.dtype) / threshold


def _normal(x: Tensor, mean: float, sigma: float) -> Tensor:
    return torch.exp(-((x - mean) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))


def _check(surrogate: Any, *above_zero: str) -> None:
    """All parameters are finite numbers, and these above 0."""
    for name, value in vars(surrogate).items():
        if not is_number(value) or (name in above_zero and not value > 0):
            allowed = "a finite number above 0" if name in above_zero else "a finite number"
            raise ChipflowError(f"{type(surrogate).__name__}: {name} is {value!r}, it must be {allowed}.")
