"""A NIR node's fields, as scalars, lists, arrays or tensors; what is wrong with them is collected, not raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipflow.ir.nodes import Array, Pair, Shape


def kind_of(node: Any) -> str:
    """The node's kind, which is the name of its class in every version of nir."""
    return type(node).__name__


def text(value: Any) -> Any:
    """Strings as files give them back, in bytes, as str."""
    return value.decode("utf8", "replace") if isinstance(value, bytes) else value


def numbers(value: Any) -> Array | None:
    """float64 of any shape; None where these are no real numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        return None
    return array.astype(np.float64) if array.dtype.kind in "iufb" else None


def whole_numbers(value: Any) -> list[int] | None:
    """Some whole numbers, of whatever shape in a row; None where these are none."""
    array = numbers(value)
    if array is None or not array.size or not (np.abs(array) < 2**53).all() or (array != array.round()).any():
        return None
    return array.reshape(-1).astype(int).tolist()


def shown(array: Array) -> str:
    """The value, or the range of values."""
    if array.size and (array == array.flat[0]).all():
        return f"{array.flat[0]:g}"
    if array.size <= 4:
        return str(array.tolist())
    return f"{array.min():g} to {array.max():g} in shape {array.shape}"


def brief(value: Any) -> str:
    """Any value, on one line."""
    return " ".join(repr(value).split())[:60]


def own_metadata(node: Any) -> Mapping[str, Any]:
    """What `to_nir` left in the node's metadata."""
    return mapping(mapping(getattr(node, "metadata", None)).get("chipflow"))


def mapping(value: Any) -> Mapping[str, Any]:
    """The value, or an empty mapping where it is none."""
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True)
class Fields:
    """One NIR node under its dotted name. Readers note a problem and return None where a field cannot be used."""

    name: str
    node: Any
    problems: list[str] = field(default_factory=list[str])

    def note(self, field: str, problem: str) -> None:
        """A problem, with node and field."""
        self.problems.append(f"layer {self.name!r} ({kind_of(self.node)}), field {field!r}: {problem}")

    def get(self, field: str, default: Any = None) -> Any:
        """The field as it is; `default` where it is missing or None."""
        found = getattr(self.node, field, None)
        return default if found is None else found

    def array(self, field: str, default: Any = None) -> Array | None:
        """Finite numbers of any shape."""
        found = self.get(field, default)
        array = numbers(found)
        if array is None:
            self.note(field, f"{'missing' if found is None else brief(found)}; numbers are needed")
            return None
        if not array.size or not np.isfinite(array).all():
            self.note(
                field,
                "empty; numbers are needed" if not array.size else "holds values that are not finite; train or export again",
            )
            return None
        return array

    def weight(self, ndim: int) -> Array | None:
        """The weight, of `ndim` axes."""
        array = self.array("weight")
        if array is not None and array.ndim != ndim:
            self.note("weight", f"shape {array.shape}; {ndim} axes are needed")
            return None
        return array

    def bias(self, features: int) -> Array | None:
        """The bias [features]; None where there is none or it is zero, as NIR writes the absence of one."""
        array = self.array("bias", default=0.0)
        if array is None or not array.any():
            return None
        if array.size != 1 and array.shape != (features,):
            self.note("bias", f"shape {array.shape}; one value for each of {features} features is needed")
            return None
        return np.broadcast_to(array.reshape(-1), (features,)).copy()

    def one_value(self, field: str, shape: Shape | None, default: Any = None) -> float | None:
        """The value that all neurons share; arrays must have the shape of the neurons' map, where it is known."""
        array = self.array(field, default)
        if array is None:
            return None
        if (array != array.flat[0]).any():
            self.note(
                field, f"{shown(array)} differ; a core has one value for all neurons: move the factors into the weights before"
            )
            return None
        if array.size > 1 and shape is not None and array.shape != shape:
            self.note(field, f"shape {array.shape}, but its input has shape {shape}; export again, or give one value")
            return None
        return float(array.flat[0])

    def pair(self, field: str, least: int, default: Any = None) -> Pair | None:
        """(y, x), whole numbers of at least `least`; one number stands for both."""
        found = self.get(field, default)
        values = whole_numbers(found)
        if values is None or len(values) > 2 or min(values) < least:
            self.note(field, f"{brief(found)}; one or two whole numbers (y, x) of at least {least} are needed")
            return None
        return (values[0], values[-1])

    def whole(self, field: str, default: int) -> int | None:
        """One whole number."""
        found = self.get(field, default)
        values = whole_numbers(found)
        if values is None or len(values) > 1:
            self.note(field, f"{brief(found)}; a whole number is needed")
            return None
        return values[0]

    def stated_shape(self, field: str) -> Shape | None:
        """A shape that the node states, as an array or as NIR's dict of one; None where it states none."""
        found = self.get(field)
        if isinstance(found, Mapping):
            found = next(iter(found.values()), None)
        if found is None:
            return None
        values = whole_numbers(found)
        if values is None or min(values) < 1:
            self.note(field, f"{brief(found)}; a shape without batch and time axes is needed")
            return None
        return tuple(values)
