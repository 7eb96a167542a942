"""From images to spike trains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from chipflow.errors import ChipflowError


def bernoulli(
    images: Tensor | np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    num_steps: int,
    *,
    seed: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Spike trains in which a pixel spikes in a step with a probability equal to its intensity.

    The same images, steps and seed give the same spikes, on every device. With a `generator`, which continues from call to call,
    `seed` is not used.

    Args:
        images: intensities from 0 to 1, [c, y, x] or [batch, c, y, x].
        num_steps: number of time steps, at least 1.
        seed: of the random numbers.
        generator: a CPU generator to draw from.

    Returns:
        A uint8 raster of 0 and 1, [batch, time, c, y, x], on the device of `images` (batch is 1 for a single image).

    Raises:
        ChipflowError: for intensities outside 0 to 1, another number of axes, or no time steps.
    """
    values = torch.as_tensor(images)
    if values.ndim not in (3, 4):
        raise ChipflowError(f"images have shape {list(values.shape)}, expected [batch, c, y, x] or [c, y, x].")
    if num_steps < 1:
        raise ChipflowError(f"num_steps is {num_steps}, it must be at least 1.")
    device = values.device
    values = (values if values.ndim == 4 else values[None]).to(device="cpu", dtype=torch.float32)
    if values.numel() and not bool(((values >= 0) & (values <= 1)).all()):
        low, high = values.min().item(), values.max().item()
        raise ChipflowError(f"intensities run from {low:g} to {high:g}, they must lie in 0 to 1. Divide 8-bit images by 255.")
    if generator is None:
        generator = torch.Generator().manual_seed(seed)
    raster = torch.empty((values.shape[0], num_steps, *values.shape[1:]), dtype=torch.uint8)
    for step in range(num_steps):
        raster[:, step] = torch.rand(values.shape, generator=generator) < values
    return raster.to(device)
