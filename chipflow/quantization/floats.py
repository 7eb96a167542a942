"""What is quantised: the floats of one layer, checked, and the bits they may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.errors import QuantizationError

Floats = npt.NDArray[np.float64]
MODES = ("default", "sinabs", "search")


@dataclass(frozen=True)
class Bits:
    """Widths of signed integers: of a weight, and of a state, threshold and bias.

    Raises (on construction):
        QuantizationError: a width beyond 8 and 16.
    """

    weight: int
    state: int

    def __post_init__(self) -> None:
        if not 2 <= self.weight <= 8 or not 2 <= self.state <= 16:
            raise QuantizationError(
                f"weight_bits is {self.weight} (2 to 8 allowed), state_bits is {self.state} (2 to 16 allowed)."
            )


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One layer's numbers; arrays of any shape, the first axis of the weights being features. Names are for errors."""

    name: str
    weights: Floats
    biases: Floats | None
    threshold: float
    lower_bound: float | None


def float_layer(
    name: str, weights: npt.ArrayLike, biases: npt.ArrayLike | None, threshold: float, lower_bound: float | None
) -> FloatLayer:
    """The layer.

    Raises:
        QuantizationError: if a value is not finite or out of range, or if the layer cannot fire.
    """
    w, b = _finite(weights, "weights", name), None if biases is None else _finite(biases, "biases", name)
    if not (np.isfinite(threshold) and threshold > 0):
        raise QuantizationError(f"Layer '{name}': the threshold is {threshold}, it must be a finite number above 0.")
    if lower_bound is not None and not (np.isfinite(lower_bound) and lower_bound <= 0):
        raise QuantizationError(
            f"Layer '{name}': the lower bound is {lower_bound}, it must be finite and at most 0 (None: no bound)."
        )
    if not any_positive(w, b):
        raise QuantizationError(
            f"Layer '{name}' cannot fire: it was dead before quantisation, none of its {w.size} weights and "
            f"{0 if b is None else b.size} biases is above 0. Train it again, or take it out."
        )
    return FloatLayer(name, w, b, threshold, lower_bound)


def check_mode(mode: Any) -> None:
    """QuantizationError unless it is one."""
    if mode not in MODES:
        raise QuantizationError(f"quantization is {mode!r}, it must be {', '.join(map(repr, MODES[:-1]))} or {MODES[-1]!r}.")


def any_positive(weights: Floats, biases: Floats | None) -> bool:
    """Whether anything can drive a neuron up."""
    return bool((weights > 0).any() or (biases is not None and (biases > 0).any()))


def _finite(values: npt.ArrayLike, what: str, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise QuantizationError(
            f"Layer '{name}': {bad} of {array.size} {what} are not finite numbers. Train it again, or repair them."
        )
    return array
