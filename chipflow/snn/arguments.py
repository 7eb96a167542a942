"""What `from_model` refuses before it begins: what is no model, and arguments out of range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError, UnsupportedModelError
from chipflow.snn.checks import is_number


def check_model(model: Any) -> None:
    """Refuse what is no module whose code can be read.

    Raises:
        UnsupportedModelError: says what it is.
    """
    if isinstance(model, type):
        raise UnsupportedModelError(f"model is the class {model.__name__}, it must be a module: give {model.__name__}(...).")
    if not isinstance(model, nn.Module):
        raise UnsupportedModelError(f"model is a {type(model).__name__}, it must be a torch module.")
    scripted = [name for name, module in model.named_modules() if isinstance(module, torch.jit.ScriptModule)]
    if scripted:
        where = f"its layer '{scripted[0]}'" if scripted[0] else "it"
        raise UnsupportedModelError(
            f"model is a {type(model).__name__}, and {where} is scripted: ReLUs in compiled code cannot become neurons. Give the module "
            "from which torch.jit made it."
        )


def checked_shape(input_shape: Any) -> tuple[int, ...] | None:
    """The shape of one sample as integers.

    Raises:
        ChipflowError: for what is no sequence of whole numbers from 1.
    """
    if input_shape is None:
        return None
    sizes = list(input_shape) if isinstance(input_shape, Iterable) else []
    if not sizes or not all(_is_whole(size) for size in sizes):
        raise ChipflowError(
            f"input_shape is {input_shape!r}, it must be a tuple of whole numbers from 1: the shape of one sample, such as (1, 28, 28)."
        )
    return tuple(int(size) for size in sizes)


def calibration_tensor(calibration: Any) -> Tensor:
    """Calibration data as a tensor.

    Raises:
        ChipflowError: for what is none, such as a list of tensors.
    """
    try:
        return torch.as_tensor(calibration)
    except (TypeError, ValueError, RuntimeError):
        raise ChipflowError(
            f"calibration is a {type(calibration).__name__}, it must be one tensor or array, [N, ...] or [N, time, ...]: torch.stack makes "
            "one of samples, torch.cat of batches."
        ) from None


def check_numbers(balance: Any, percentile: Any, bias_rescaling: Any, batch_size: Any, num_timesteps: Any) -> None:
    """Refuse options of `from_model` that are out of range.

    Raises:
        ChipflowError: names the option.
    """
    if balance not in ("weights", "thresholds"):
        raise ChipflowError(f"balance is {balance!r}, it must be 'weights' or 'thresholds'.")
    if not (is_number(percentile) and 0 < percentile <= 100):
        raise ChipflowError(f"percentile is {percentile!r}, it must be a number above 0 and at most 100, or 'max'.")
    if not (is_number(bias_rescaling) and bias_rescaling > 0):
        raise ChipflowError(f"bias_rescaling is {bias_rescaling!r}, it must be a finite number above 0.")
    for name, value in (("batch_size", batch_size), ("num_timesteps", num_timesteps)):
        if value is not None and not _is_whole(value):
            raise ChipflowError(f"{name} is {value!r}, it must be a whole number of at least 1.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1
