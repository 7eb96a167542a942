"""Just enough of FlatBuffers (google.github.io/flatbuffers, "internals") to find numbers, strings and vectors of structures.

All offsets are checked against the buffer, so that a damaged one gives a `ValueError` and nothing worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_OFFSET, _VTABLE_OFFSET, _PLACE = "<u4", "<i4", "<u2"
_SIZES_BEFORE_PLACES = 2  # in a vtable: of itself and of the table


@dataclass(frozen=True)
class Table:
    """A table of fields in a buffer.

    Attributes:
        data: the buffer.
        at: where the table is.
    """

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes, start: int = 0) -> Table:
        """The root of a buffer that begins at `start`.

        Raises:
            ValueError: outside of the buffer, here and in the methods below.
        """
        return cls(data, start + _number(data, start, _OFFSET))

    def number(self, field: int, dtype: str, default: int = 0) -> int:
        """A scalar field; a missing one has its default."""
        place = self._place(field)
        return default if place is None else _number(self.data, place, dtype)

    def vector(self, field: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A vector of scalars or structures; a missing one is empty."""
        place = self._place(field)
        if place is None:
            return np.empty(0, dtype)
        start = place + _number(self.data, place, _OFFSET)
        count = _number(self.data, start, _OFFSET)
        return np.frombuffer(self.data, dtype, count, start + np.dtype(_OFFSET).itemsize) if count else np.empty(0, dtype)

    def text(self, field: int) -> str:
        """A string field; a missing one is empty."""
        return self.vector(field, np.uint8).tobytes().decode("utf-8")

    def _place(self, field: int) -> int | None:
        vtable = self.at - _number(self.data, self.at, _VTABLE_OFFSET)
        at = (_SIZES_BEFORE_PLACES + field) * np.dtype(_PLACE).itemsize
        place = _number(self.data, vtable + at, _PLACE) if at < _number(self.data, vtable, _PLACE) else 0
        return self.at + place if place else None


def _number(data: bytes, at: int, dtype: str) -> int:
    return int(np.frombuffer(data, dtype, 1, at)[0])
