"""What every code asks of its images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from chipflow.errors import ChipflowError
from chipflow.snn.checks import whole

Images = Tensor | npt.NDArray[Any]
"""Intensities from 0 to 1, [batch, c, y, x] or [c, y, x], or as `sample_ndim` says."""

EXPECTED = {1: "[batch, features] or [features]", 2: "[batch, channels, x] or [channels, x]", 3: "[batch, c, y, x] or [c, y, x]"}


def intensities(images: Images, num_steps: int, sample_ndim: int) -> Tensor:
    """The images as float32 [batch, ...] on their own device, once they and the number of steps are known to be good.

    Raises:
        ChipflowError: for intensities that are no numbers or outside 0 to 1, another number of axes, or no time steps.
    """
    whole("sample_ndim", sample_ndim)
    whole("num_steps", num_steps)
    values = _as_float(images)
    if values.ndim not in (sample_ndim, sample_ndim + 1):
        raise ChipflowError(f"images have shape {list(values.shape)}, expected {_expected(values.ndim, sample_ndim)}")
    _check_range(values)
    return values if values.ndim == sample_ndim + 1 else values[None]


def _as_float(images: Images) -> Tensor:
    """A copy of what is numpy: torch takes neither all of numpy's dtypes nor arrays that are read-only or run backwards."""
    real = (isinstance(images, Tensor) and not images.is_complex()) or (
        not isinstance(images, Tensor) and np.asarray(images).dtype.kind in "biuf"
    )
    if not real:
        found = images.dtype if isinstance(images, Tensor) else np.asarray(images).dtype
        raise ChipflowError(f"images are of dtype {found}, expected a tensor or an array of real numbers.")
    return images.to(torch.float32) if isinstance(images, Tensor) else torch.tensor(np.array(images, np.float32))


def _expected(ndim: int, sample_ndim: int) -> str:
    expected = EXPECTED.get(sample_ndim, f"{sample_ndim} axes for one sample, one more for a batch") + "."
    if ndim < sample_ndim == 3:
        expected += " Give an image [y, x] its axis of channels: images[None]. For features [batch, features] give sample_ndim=1."
    return expected


def _check_range(values: Tensor) -> None:
    if not values.numel() or bool(((values >= 0) & (values <= 1)).all()):
        return
    wrong = int((~torch.isfinite(values)).sum())
    if wrong:
        raise ChipflowError(f"{wrong:,} of the {values.numel():,} intensities are NaN or infinite, they must lie in 0 to 1.")
    low, high = values.min().item(), values.max().item()
    raise ChipflowError(f"intensities run from {low:g} to {high:g}, they must lie in 0 to 1. Divide 8-bit images by 255.")
