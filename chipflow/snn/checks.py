"""Numbers that a caller gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from chipflow.errors import ChipflowError


def whole(name: str, value: Any, least: int = 1) -> int:
    """The value, which is refused unless it is a whole number, `least` or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ChipflowError(f"{name} is {value!r}, it must be a whole number of at least {least}.")
    return int(value)


def is_number(value: Any) -> bool:
    """Whether it is one finite real number, of Python or numpy; True and False are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool) and math.isfinite(value)


def is_one_number(value: Any) -> bool:
    """The same, also of a number in a tensor."""
    return is_number(value.item() if isinstance(value, Tensor) and value.numel() == 1 else value)
