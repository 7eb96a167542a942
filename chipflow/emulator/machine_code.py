"""The kernels as a typed function, called through their machine code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from chipflow.emulator.object_code import function
from chipflow.emulator.records import ARRAYS

Array = npt.NDArray[Any]


class Net:
    """Where the arrays of a network are, as the kernels take them. The arrays live as long as it does."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays: dict[str, Array] = {}
        self._alive: dict[str, tuple[Array | None, Array]] = {}
        self._numbers = np.zeros(2 * len(ARRAYS), np.int64)
        self._at = {name: 2 * i for i, name in enumerate(ARRAYS)}
        for name, array in arrays.items():
            self[name] = array

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __setitem__(self, name: str, array: Array) -> None:
        """Machine code checks nothing, so that this must: a wrong type would read and write foreign memory."""
        dtype, columns = ARRAYS[name]
        if array.dtype != dtype or not array.flags.c_contiguous or array.shape[1:] != ((columns,) if columns > 1 else ()):
            raise TypeError(
                f"the kernels need {name} as a contiguous array of {np.dtype(dtype)} with {columns} columns, "
                f"found {array.dtype} {array.shape} with strides {array.strides}"
            )
        # In this order and in one step each, so that Ctrl-C between them leaves no address of memory that is free.
        self._alive[name] = (self._arrays.get(name), array)
        self._numbers[self._at[name] : self._at[name] + 2] = array.ctypes.data, len(array)
        self._arrays[name] = array

    def __reduce__(self) -> NoReturn:
        raise TypeError("addresses are of this process and these arrays: they cannot be copied or pickled")

    def advance(self) -> int:
        """`kernels.advance`: the status. Other threads may run meanwhile."""
        return function()(self._numbers.ctypes.data)
