"""Files of fixed records: reading them in blocks, and times of few bits that go on across their wrap, and values that hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from chipflow.events.formats.base import Damaged


def records(file: BinaryIO, dtype: npt.DTypeLike, most: int, count: int | None = None) -> Iterator[npt.NDArray[Any]]:
    """Records from where the file stands, at most `most` at a time, up to its end or `count`.

    Raises:
        Damaged: the file ends inside a record, or before `count`; after the whole ones.
    """
    kind = np.dtype(dtype)
    left = count
    while left is None or left > 0:
        wanted = most if left is None else min(most, left)
        data = file.read(wanted * kind.itemsize)
        whole, rest = divmod(len(data), kind.itemsize)
        if whole:
            yield np.frombuffer(data, kind, whole)
        if rest:
            raise Damaged(f"the file ends {rest} bytes into a record of {kind.itemsize}")
        if whole < wanted:
            if left is not None:
                raise Damaged(f"the file ends {left - whole:,} records before the end of a packet")
            return
        left = None if left is None else left - whole


class Unwrapped:
    """Makes times of few bits go on: a step by less than half of their range, across the wrap or not, is taken as it is, also backwards.

    Args:
        bits: of the times, 32 at most.
    """

    def __init__(self, bits: int = 32) -> None:
        self._unused = np.uint32(32 - bits)
        self._raw: np.uint32 | None = None
        self._time = np.int64(0)

    def __call__(self, raw: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """The times of the next records."""
        if not raw.size:
            return raw.astype(np.int64)
        before = raw[0] if self._raw is None else self._raw
        if self._raw is None:
            self._time = np.int64(raw[0])
        shifted = np.concatenate(([before], raw)).astype(np.uint32) << self._unused
        steps = np.diff(shifted).view(np.int32) >> self._unused
        times = self._time + np.cumsum(steps, dtype=np.int64)
        self._raw, self._time = raw[-1], times[-1]
        return times


class Held:
    """A value that holds until it is set anew, from one array of records to the next.

    Attributes:
        value: what holds now.
    """

    def __init__(self, value: int) -> None:
        self.value = value

    def __call__(self, values: npt.NDArray[Any], is_set: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """What holds at each record.

        Args:
            values: what is set, one after the other.
            is_set: the records that set it, as many as there are values.
        """
        one_after_the_other = np.concatenate(([self.value], values)).astype(np.int64)
        self.value = int(one_after_the_other[-1])
        return one_after_the_other[np.cumsum(is_set)]


def bit_fields(words: npt.NDArray[Any], layout: str) -> dict[str, npt.NDArray[Any]]:
    """The fields of packed words, by name.

    Args:
        words: of an unsigned dtype.
        layout: names with their widths in bits from the highest bit down, all of the word: "y:16 x:15 p:1".
    """
    fields: dict[str, npt.NDArray[Any]] = {}
    shift = 0
    for item in reversed(layout.split()):
        name, width = item.split(":")
        fields[name] = (words >> shift) & ((1 << int(width)) - 1)
        shift += int(width)
    return fields
