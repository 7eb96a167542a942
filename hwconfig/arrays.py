"""Integer arrays as fields of a configuration: checked, read-only, and written to JSON compactly or readably."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import GetCoreSchemaHandler, SerializationInfo
from pydantic_core import core_schema

IntArray = npt.NDArray[np.integer[Any]]

_ENCODED_KEYS = {"dtype", "shape", "data"}
_DTYPES = ("int8", "int16", "int64")


def encode_array(array: npt.NDArray[Any], *, readable: bool = False) -> Any:
    """Nested lists if `readable`, else {dtype, shape, data}, the data zlib-compressed little-endian bytes in base64."""
    if readable:
        return array.tolist()
    raw = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": base64.b64encode(zlib.compress(raw)).decode()}


def decode_array(value: dict[str, Any], dtypes: tuple[str, ...] = _DTYPES) -> npt.NDArray[Any]:
    """The array that `encode_array` wrote compactly; ValueError says what is wrong with any other dict."""
    if set(value) != _ENCODED_KEYS:
        raise ValueError(f"an encoded array has the keys {sorted(_ENCODED_KEYS)}, found {sorted(map(str, value))}")
    if value["dtype"] not in dtypes:
        raise ValueError(f"dtype must be one of {', '.join(dtypes)}, found {value['dtype']!r}")
    shape: Any = value["shape"]
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in cast("list[Any]", shape)):
        raise ValueError(f"shape must be a list of sizes, found {shape!r}")
    dtype = np.dtype(value["dtype"]).newbyteorder("<")
    size = math.prod(cast("list[int]", shape)) * dtype.itemsize
    raw = _inflate(value["data"], size)
    return np.frombuffer(raw, dtype).astype(dtype.newbyteorder("=")).reshape(cast("list[int]", shape))


def _inflate(data: Any, size: int) -> bytes:
    """Never allocates more than the stated size, whatever the compressed bytes say."""
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(base64.b64decode(data, validate=True), size + 1)
    except (zlib.error, binascii.Error, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"array data cannot be unpacked: {error}") from None
    if len(raw) != size or not inflater.eof:
        raise ValueError(f"array data does not hold the {size} bytes that its shape and dtype need")
    return raw


@dataclass(frozen=True)
class IntegerArray:
    """Pydantic annotation: an integer array with `ndim` axes, stored as `dtype`.

    Values that `dtype` cannot hold are kept as int64, so that a design rule can name them all; they are never wrapped.
    """

    ndim: int
    dtype: type[np.integer[Any]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_serialize, info_arg=True),
        )

    def validate(self, value: Any) -> IntArray:
        """The value as a read-only array of its own; ValueError for wrong dtype or number of axes."""
        array = decode_array(cast("dict[str, Any]", value)) if isinstance(value, dict) else _as_array(value)
        if array.ndim != self.ndim:
            raise ValueError(f"needs {self.ndim} axes, found shape {array.shape}")
        if array.dtype.kind not in "iu" and array.size:
            raise ValueError(f"needs integers, found {array.dtype}: quantise first")
        return narrowed(array, self.dtype)


def _as_array(value: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError("nested lists of unequal length are not an array") from None


def narrowed(array: npt.NDArray[Any], dtype: type[np.integer[Any]]) -> IntArray:
    """A read-only copy as `dtype`, or as int64 when a value does not fit."""
    bounds = np.iinfo(dtype)
    fits = array.size == 0 or (int(array.min()) >= bounds.min and int(array.max()) <= bounds.max)
    result = np.array(array, dtype=dtype if fits else np.int64)
    result.flags.writeable = False
    return result


def _serialize(value: npt.NDArray[Any], info: SerializationInfo) -> Any:
    context = cast("dict[str, Any]", info.context or {})
    return encode_array(value, readable=bool(context.get("readable")))


Weights = Annotated[IntArray, IntegerArray(4, np.int8)]
Biases = Annotated[IntArray, IntegerArray(1, np.int16)]
States = Annotated[IntArray, IntegerArray(3, np.int16)]
