"""Arrays as fields of a configuration: checked, read-only, and written to JSON compactly or readably."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

AnyArray = npt.NDArray[Any]
IntArray = npt.NDArray[np.integer[Any]]
BitArray = npt.NDArray[np.bool_]

MOST_ELEMENTS = 1 << 24  # more than any chip's memory: what claims to be larger is refused before room is made for it
_ENCODED_KEYS = {"dtype", "shape", "data"}
_DTYPES = ("bool", "int8", "int16", "int64")


def encode_array(array: AnyArray) -> dict[str, Any]:
    """{dtype, shape, data}, the data zlib-compressed little-endian bytes in base64."""
    raw = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": base64.b64encode(zlib.compress(raw)).decode()}


def decode_array(value: dict[str, Any], dtypes: tuple[str, ...] = _DTYPES) -> AnyArray:
    """The array that `encode_array` wrote compactly; ValueError says what is wrong with any other dict."""
    if set(value) != _ENCODED_KEYS:
        raise ValueError(f"an encoded array has the keys {sorted(_ENCODED_KEYS)}, found {sorted(map(str, value))}")
    if value["dtype"] not in dtypes:
        raise ValueError(f"dtype must be one of {', '.join(dtypes)}, found {value['dtype']!r}")
    shape: Any = value["shape"]
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in cast("list[Any]", shape)):
        raise ValueError(f"shape must be a list of sizes, found {shape!r}")
    if math.prod(cast("list[int]", shape)) > MOST_ELEMENTS:
        raise ValueError(f"shape {shape} has more elements than any chip's memory")
    dtype = np.dtype(value["dtype"]).newbyteorder("<")
    size = math.prod(cast("list[int]", shape)) * dtype.itemsize
    raw = _inflate(value["data"], size)
    if dtype.kind == "b" and raw.strip(b"\0\1"):
        raise ValueError("array data of dtype bool has bytes other than 0 and 1")
    return np.frombuffer(raw, dtype).astype(dtype.newbyteorder("=")).reshape(cast("list[int]", shape))


def _inflate(data: Any, size: int) -> bytes:
    """Never allocates more than the stated size, whatever the compressed bytes say."""
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(base64.b64decode(data, validate=True), size + 1)
    except (zlib.error, binascii.Error, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"array data cannot be unpacked: {error}") from None
    if len(raw) != size or not inflater.eof or inflater.unused_data:
        raise ValueError(f"array data does not hold the {size} bytes that its shape and dtype need")
    return raw


@dataclass(frozen=True)
class ArrayField:
    """Pydantic annotation: an array of integers or bits with `ndim` axes, stored as `dtype`.

    Integers that `dtype` cannot hold are kept as int64, so that a design rule can name them all; they are never wrapped.
    """

    ndim: int
    dtype: type[np.integer[Any] | np.bool_]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(encode_array, when_used="json"),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        dtypes = [np.dtype(self.dtype).name] + ([] if self.dtype is np.bool_ else ["int64"])
        nested: dict[str, Any] = {"type": "boolean" if self.dtype is np.bool_ else "integer"}
        for _ in range(self.ndim):
            nested = {"type": "array", "items": nested}
        sizes = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": self.ndim, "maxItems": self.ndim}
        data = {"type": "string", "contentEncoding": "base64", "description": "little-endian values, zlib-compressed, in base64"}
        compact: dict[str, Any] = {
            "type": "object",
            "properties": {"dtype": {"enum": dtypes}, "shape": sizes, "data": data},
            "required": ["dtype", "shape", "data"],
            "additionalProperties": False,
        }
        return {"anyOf": [compact, nested]}

    def validate(self, value: Any) -> AnyArray:
        """The value as a read-only array of its own; ValueError for wrong dtype or number of axes."""
        array = decode_array(cast("dict[str, Any]", value)) if isinstance(value, dict) else _as_array(value)
        if array.ndim != self.ndim:
            raise ValueError(f"needs {self.ndim} axes, found shape {array.shape}")
        return as_bits(array) if self.dtype is np.bool_ else narrowed(array, cast("type[np.integer[Any]]", self.dtype))


def _as_array(value: Any) -> AnyArray:
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError("nested lists of unequal length are not an array") from None


def as_bits(array: AnyArray) -> BitArray:
    """A read-only copy as bool; ValueError if anything but booleans, 0 and 1 is in it."""
    if array.size and (array.dtype.kind not in "biu" or np.any((array != 0) & (array != 1))):
        raise ValueError(f"needs booleans, or 0 and 1, found {array.dtype}")
    return _locked(np.array(array, np.bool_))


def narrowed(array: AnyArray, dtype: type[np.integer[Any]]) -> IntArray:
    """A read-only copy as `dtype`, or as int64 when a value does not fit; ValueError for what int64 cannot hold either."""
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"needs integers, found {array.dtype}: quantise first")
    for width in (dtype, np.int64):
        if _holds(width, array):
            return _locked(np.array(array, width))
    raise ValueError(f"integers must fit 64 bits, the largest is {array.max()}")


def _holds(dtype: type[np.integer[Any]], array: AnyArray) -> bool:
    bounds = np.iinfo(dtype)
    return array.size == 0 or (int(array.min()) >= bounds.min and int(array.max()) <= bounds.max)


def _locked(array: AnyArray) -> AnyArray:
    array.flags.writeable = False
    return array


Weights = Annotated[IntArray, ArrayField(4, np.int8)]
Biases = Annotated[IntArray, ArrayField(1, np.int16)]
States = Annotated[IntArray, ArrayField(3, np.int16)]
WeightBits = Annotated[BitArray, ArrayField(4, np.bool_)]
BiasBits = Annotated[BitArray, ArrayField(1, np.bool_)]
NeuronBits = Annotated[BitArray, ArrayField(3, np.bool_)]
