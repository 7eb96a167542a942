"""The kernels as a typed function, called through their machine code."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator.object_code import function
from chipflow.emulator.records import Geometry, Items, Sizes, Tables

Array = npt.NDArray[Any]
_STREAM = (np.int16, np.int16, np.int16, np.int64, np.int64)
_KINDS = (np.int64, np.int8, np.int64, np.int16, np.int64, np.int64, np.int16, np.int64, np.uint64, *_STREAM, *_STREAM, np.int64)


def advance(
    geometry: Geometry,
    tables: Tables,
    states: npt.NDArray[np.int16],
    totals: npt.NDArray[np.int64],
    masks: npt.NDArray[np.uint64],
    items: Items,
    start: int,
    out: Items,
) -> tuple[int, int, int, int]:
    """`kernels.advance`: (next item, spikes stored in `out`, status, neuron). Other threads may run meanwhile."""
    sizes = Sizes(
        weights=len(tables.weights),
        nonzero=len(tables.nonzero),
        rows=len(tables.rows),
        columns=len(tables.columns),
        states=len(states),
        masks=len(masks),
        items=len(items.f),
        room=len(out.f),
        start=start,
    )
    numbers = np.array((*geometry, *sizes), np.int64)
    answer = np.zeros(4, np.int64)
    arrays: tuple[Array, ...] = (numbers, *tables, states, totals, masks, *items, *out, answer)
    function(len(_KINDS))(*map(_address, arrays, _KINDS))
    return int(answer[0]), int(answer[1]), int(answer[2]), int(answer[3])


def _address(array: Array, kind: type[np.generic]) -> int:
    """Machine code checks nothing, so that this must: a wrong type would read and write foreign memory."""
    if array.dtype != kind or not array.flags.c_contiguous:
        raise TypeError(
            f"the kernels need a contiguous array of {np.dtype(kind)}, found {array.dtype} with strides {array.strides}"
        )
    return array.ctypes.data
