"""A hash of contents, the same under any spelling in a file."""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

import numpy as np


def canonical_hash(contents: Any) -> str:
    """SHA-256 of plain data with arrays in it; of an array its shape and values count, not its dtype."""
    text = json.dumps(contents, default=_array_digest, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _array_digest(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"cannot hash a {type(value).__name__}")
    array = cast("np.ndarray[Any, Any]", value)
    values = np.ascontiguousarray(array, dtype="<f8" if array.dtype.kind == "f" else "<i8")
    return {"shape": list(array.shape), "sha256": hashlib.sha256(values.tobytes()).hexdigest()}
