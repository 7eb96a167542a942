"""Rate codes: the brighter a pixel, the more spikes, at random times."""

from __future__ import annotations

import torch
from torch import Tensor

from chipflow.errors import ChipflowError
from chipflow.snn.checks import whole
from chipflow.snn.encoding.intensities import Images, intensities

HIGHEST_RATE = 100.0
"""Spikes per step: more than 255 in a step, which uint8 cannot hold, have a probability below 1e-36 up to this mean."""


def bernoulli(
    images: Images,
    num_steps: int,
    *,
    seed: int = 0,
    generator: torch.Generator | None = None,
    sample_ndim: int = 3,
) -> Tensor:
    """Spike trains in which a pixel spikes in a step with a probability equal to its intensity.

    The same images, steps and seed give the same spikes, on every device. With a `generator`, which continues from call to call,
    `seed` is not used.

    Args:
        images: intensities from 0 to 1, [c, y, x] or [batch, c, y, x].
        num_steps: number of time steps, at least 1.
        seed: of the random numbers.
        generator: a CPU generator to draw from.
        sample_ndim: axes of one sample; 1 for [features] or [batch, features].

    Returns:
        A uint8 raster of 0 and 1, [batch, time, c, y, x], on the device of `images` (batch is 1 for a single image).

    Raises:
        ChipflowError: for intensities outside 0 to 1, another number of axes, or no time steps.
    """
    values = intensities(images, num_steps, sample_ndim)
    probability, generator = values.cpu(), _cpu_generator(seed, generator)
    raster = _empty(probability, num_steps)
    for step in range(num_steps):
        raster[:, step] = torch.rand(probability.shape, generator=generator) < probability
    return raster.to(values.device)


def poisson(
    images: Images,
    num_steps: int,
    *,
    max_rate: float = 1.0,
    seed: int = 0,
    generator: torch.Generator | None = None,
    sample_ndim: int = 3,
) -> Tensor:
    """Spike trains in which the number of a pixel's spikes in a step is Poisson distributed, with the mean intensity * max_rate.

    Unlike `bernoulli`, a step can hold several spikes of a pixel: the times of the spikes are those of a Poisson process of
    intensity * max_rate spikes per step, counted in steps (Dayan and Abbott 2001, "Theoretical Neuroscience", section 1.4).
    Random numbers are drawn as for `bernoulli`.

    Args:
        images: intensities from 0 to 1, [c, y, x] or [batch, c, y, x].
        num_steps: number of time steps, at least 1.
        max_rate: expected spikes per step of a pixel of intensity 1, above 0 and at most 100.
        seed: of the random numbers.
        generator: a CPU generator to draw from, in place of `seed`.
        sample_ndim: axes of one sample; 1 for [features] or [batch, features].

    Returns:
        A uint8 raster of spike counts, [batch, time, c, y, x], on the device of `images` (batch is 1 for a single image).

    Raises:
        ChipflowError: for intensities outside 0 to 1, another number of axes, no time steps, or a rate out of range.
    """
    if not 0 < max_rate <= HIGHEST_RATE:
        raise ChipflowError(f"max_rate is {max_rate} spikes per step, it must be above 0 and at most {HIGHEST_RATE:g}.")
    values = intensities(images, num_steps, sample_ndim)
    mean, generator = values.cpu() * max_rate, _cpu_generator(seed, generator)
    raster = _empty(mean, num_steps)
    for step in range(num_steps):
        raster[:, step] = torch.poisson(mean, generator=generator)
    return raster.to(values.device)


def _cpu_generator(seed: int, generator: torch.Generator | None) -> torch.Generator:
    """Random numbers are drawn on the CPU wherever the images are: devices have different generators."""
    if generator is None:
        return torch.Generator().manual_seed(whole("seed", seed, least=0))
    if generator.device.type != "cpu":
        raise ChipflowError(
            f"generator draws on {generator.device}, expected torch.Generator('cpu'): the same spikes on all devices."
        )
    return generator


def _empty(values: Tensor, num_steps: int) -> Tensor:
    return torch.empty((values.shape[0], num_steps, *values.shape[1:]), dtype=torch.uint8)
