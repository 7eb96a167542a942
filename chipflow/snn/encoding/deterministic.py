"""Codes without chance: the time of a single spike, and the intensity itself."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from chipflow.errors import ChipflowError
from chipflow.snn.encoding.intensities import Images, intensities

LatencyCode = Literal["linear", "logarithmic"]


def latency(
    images: Images,
    num_steps: int,
    *,
    code: LatencyCode = "linear",
    darkest: float = 1 / 255,
    sample_ndim: int = 3,
) -> Tensor:
    """Spike trains with one spike a pixel, the earlier the brighter (time to first spike). A pixel of intensity 0 never spikes.

    With T = num_steps, intensity 1 spikes in step 0 and the darkest pixel in step T - 1. In between, rounded to the nearest step (an
    exact half to the even one), an intensity x spikes in step

    - "linear": (T - 1) * (1 - x) (Kheradpisheh and Masquelier 2020, "Temporal backpropagation for spiking neural networks with one
      spike per neuron", who round down),
    - "logarithmic": (T - 1) * ln(x) / ln(darkest), where x at or below `darkest` spikes in the last step: the time at which a threshold
      that decays as exp(-t / tau) falls to x, tau = -(T - 1) / ln(darkest) steps (Park et al. 2020, "T2FSNN: Deep spiking neural
      networks with time-to-first-spike coding"). Equal ratios of intensities are equal differences in time: dark pixels are told
      apart better than by the linear code.

    Args:
        images: intensities from 0 to 1, [c, y, x] or [batch, c, y, x].
        num_steps: number of time steps, at least 1; with 1, every pixel above 0 spikes in it.
        code: how intensities are spread over the steps.
        darkest: intensity that spikes last in the logarithmic code, between 0 and 1; the linear code does not use it.
        sample_ndim: axes of one sample; 1 for [features] or [batch, features].

    Returns:
        A uint8 raster of 0 and 1, [batch, time, c, y, x], on the device of `images` (batch is 1 for a single image).

    Raises:
        ChipflowError: for intensities outside 0 to 1, another number of axes, no time steps, an unknown code, or `darkest` out of range.
    """
    if code not in ("linear", "logarithmic"):
        raise ChipflowError(f"code is {code!r}, it must be 'linear' or 'logarithmic'.")
    if not 0 < darkest < 1:
        raise ChipflowError(f"darkest is {darkest}, it must lie between 0 and 1.")
    values = intensities(images, num_steps, sample_ndim)
    x = values.detach().to("cpu", torch.float64)  # the same rounding on every device
    delay = 1 - x if code == "linear" else torch.log(x.clamp(min=darkest)) / math.log(darkest)
    step = torch.round((num_steps - 1) * delay).long()
    raster = torch.zeros((x.shape[0], num_steps, *x.shape[1:]), dtype=torch.uint8)
    raster.scatter_(1, step[:, None], (x > 0)[:, None].to(torch.uint8))
    return raster.to(values.device)


def constant_current(images: Images, num_steps: int, *, sample_ndim: int = 3) -> Tensor:
    """The intensity itself in every step: an input current instead of spikes (the analog input of Rueckauer et al. 2017,
    "Conversion of continuous-valued deep networks to efficient event-driven networks for image classification").

    Without the noise of random spikes, a converted network needs fewer steps. A chip that takes events only cannot be fed with it.

    Args:
        images: intensities from 0 to 1, [c, y, x] or [batch, c, y, x].
        num_steps: number of time steps, at least 1.
        sample_ndim: axes of one sample; 1 for [features] or [batch, features].

    Returns:
        A float32 tensor [batch, time, c, y, x] on the device of `images` (batch is 1 for a single image), through which gradients flow.

    Raises:
        ChipflowError: for intensities outside 0 to 1, another number of axes, or no time steps.
    """
    values = intensities(images, num_steps, sample_ndim)
    return values[:, None].repeat_interleave(num_steps, dim=1)
