"""Columns by name: what formats with named columns have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chipflow.errors import EventError
from chipflow.events.adapters import meanings
from chipflow.events.formats.base import Block, refused


def block_of(path: Path, arrays: Mapping[str, Any]) -> Block:
    """Arrays, or any columns, as a block.

    Raises:
        EventFileError: names missing, double or unknown.
    """
    return Block(**{name: arrays[found] for name, found in columns_of(path, list(arrays)).items()})


def unsigned(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same with polarities of -1 and +1 as 0 and 1; which of the two a file has is decided once for all of it.

    Raises:
        EventError: a value of neither; after the events before it.
    """
    signed, count = None, 0
    for block in blocks:
        if block.p.ndim != 1 or block.p.dtype.kind not in "iu":  # booleans are right, others are refused later
            yield block
            continue
        telling = np.flatnonzero(block.p <= 0)
        if signed is None and len(telling):
            signed = bool(block.p[telling[0]] < 0)
        wrong = (block.p != -1) & (block.p != 1) if signed else block.p < 0
        good = int(np.argmax(wrong)) if wrong.any() else len(block.p)
        given = block._replace(p=block.p > 0) if signed else block
        yield given if good == len(block.p) else given.part(0, good)
        count += good
        if good < len(block.p):
            reason = f"p = {block.p[good]}, but polarities and features are 0 or more, or else all -1 and +1"
            raise EventError(f"event {count}: {reason}", count)


def columns_of(path: Path, found: list[str]) -> dict[str, str]:
    """Which column is x, y, t, p and perhaps layer.

    Raises:
        EventFileError: names missing, double or unknown.
    """
    try:
        return meanings(tuple(found))
    except EventError as error:
        raise refused(path, str(error)) from None
