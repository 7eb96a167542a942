"""Numbers that a caller gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipflow.errors import ChipflowError


def whole(name: str, value: Any, least: int = 1) -> int:
    """The value, which is refused unless it is a whole number, `least` or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ChipflowError(f"{name} is {value!r}, it must be a whole number of at least {least}.")
    return int(value)
