"""The words of EVT 3: each changes one part of the state that an event is made of, or gives events, up to twelve in a row.

Layout as published by Prophesee (docs.prophesee.ai, EVT 3.0 format). The low 12 bits of the time start from 0 where the high ones change,
as in the vendor's own decoder: the word with the right ones comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from chipflow.events.formats.base import Block, Notes
from chipflow.events.formats.records import Held, Unwrapped, bit_fields

Words = npt.NDArray[np.int64]

_LAYOUT = "type:4 top:1 low:11"
_WORD_BITS, _TYPE_BITS = 16, 4
_VALUE_BITS = _WORD_BITS - _TYPE_BITS
_NOWHERE = -(1 << 62)
"""The base of a row before there is one: so far to the left that no row leads from there to a pixel."""


class _Type(IntEnum):
    Y, X, BASE, ROW_12, ROW_8, TIME_LOW, TIME_HIGH, TRIGGER = 0, 2, 3, 4, 5, 6, 8, 10


_WIDTHS = {_Type.ROW_12: _VALUE_BITS, _Type.ROW_8: 8}  # pixels in a row that the bits of a word stand for


class Evt3:
    """Decodes words, one array after the other."""

    def __init__(self, notes: Notes) -> None:
        self._notes, self._unwrapped = notes, Unwrapped(_VALUE_BITS)
        self._high, self._low, self._y = Held(-1), Held(0), Held(-1)
        self._base, self._polarity, self._passed = Held(_NOWHERE), Held(0), 0

    def __call__(self, found: npt.NDArray[np.void]) -> Iterator[Block]:
        """The events of the next words."""
        words = found["word"].astype(np.int64)
        fields = bit_fields(words, _LAYOUT)
        kind, is_x, is_base = fields["type"], fields["type"] == _Type.X, fields["type"] == _Type.BASE
        times, y = self._times(words, kind), self._y(fields["low"][kind == _Type.Y], kind == _Type.Y)
        x = np.where(is_x, fields["low"], self._rows(fields["low"], kind))
        p = np.where(is_x, fields["top"], self._polarity(fields["top"][is_base], is_base))
        pixels = _pixels(words, kind)
        known = (times >= 0) & (y >= 0) & (x >= 0)
        self._count(kind, pixels[~known])
        word, step = np.nonzero(pixels & known[:, None])
        yield Block(x[word] + step, y[word], times[word], p[word])

    def _times(self, words: Words, kind: Words) -> Words:
        """Microseconds at each word; negative before the first."""
        is_high, is_low = kind == _Type.TIME_HIGH, kind == _Type.TIME_LOW
        value = words & ((1 << _VALUE_BITS) - 1)
        before = self._high.value
        high = self._high(self._unwrapped(value[is_high].astype(np.uint32)), is_high)
        changed = np.diff(high, prepend=before) != 0
        low = self._low(np.where(is_low, value, 0)[is_low | changed], is_low | changed)
        return (high << _VALUE_BITS) + low

    def _rows(self, low: Words, kind: Words) -> Words:
        """The first column of the row that each word gives; every row moves the base of the next one on by its width."""
        widths = np.sum([width * (kind == row) for row, width in _WIDTHS.items()], axis=0)
        passed = self._passed + np.cumsum(widths)
        self._passed = int(passed[-1])
        is_base = kind == _Type.BASE
        return self._base((low - passed)[is_base], is_base) + passed - widths

    def _count(self, kind: Words, unknown: npt.NDArray[np.bool_]) -> None:
        self._notes.skip("triggers", int(np.count_nonzero(kind == _Type.TRIGGER)))
        self._notes.skip("words of other kinds", int(np.count_nonzero(~np.isin(kind, list(_Type)))))
        self._notes.skip("events before the first time, row or base", int(np.count_nonzero(unknown)))


def _pixels(words: Words, kind: Words) -> npt.NDArray[np.bool_]:
    """Which of twelve pixels in a row have an event [word, pixel]."""
    bits = np.zeros_like(words)
    bits[kind == _Type.X] = 1
    for row, width in _WIDTHS.items():
        bits[kind == row] = words[kind == row] & ((1 << width) - 1)
    return (bits[:, None] >> np.arange(_VALUE_BITS)) & 1 != 0
