"""Arrays laid out by lines of the processor's cache: a vector that lies across two of them costs twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LINE = 64  # bytes: of today's processors, and of the longest vectors


def whole_lines(elements: int, dtype: type[np.generic]) -> int:
    """As many elements, or the next number that fills lines."""
    per_line = LINE // np.dtype(dtype).itemsize
    return -(-int(elements) // per_line) * per_line


def on_lines(pieces: Sequence[Array], dtype: type[np.generic], spare: int) -> Array:
    """Pieces, flattened, each at the beginning of a line and followed by at least `spare` zeros."""
    starts = np.cumsum([0, *(whole_lines(piece.size + spare, dtype) for piece in pieces)])
    size = np.dtype(dtype).itemsize
    memory = np.zeros(int(starts[-1]) * size + LINE, np.uint8)
    first = -memory.ctypes.data % LINE
    found = memory[first : first + int(starts[-1]) * size].view(dtype)
    for piece, start in zip(pieces, starts, strict=False):
        found[start : start + piece.size] = piece.ravel()
    return found
