"""Scale rules and rounding: one scale per layer for weights, biases, threshold and lower bound.

For a tensor a and b bits, ``range(a, b)`` is the largest scale at which a still fits: (2^(b-1) - 1) / max(a) when
|min(a)| <= |max(a)| * 2^(b-1) / (2^(b-1) - 1), else 2^(b-1) / |min(a)|. The scale of a layer is the smallest of these over
its tensors; all are multiplied by it in float64 and rounded half to even.

mode "sinabs" is what sinabs does, faults included: biases get 8 bits, a missing lower bound enters as -32768 and forces the
scale to 1 at most. mode "default" gives biases the bits of the state, and a missing lower bound is the smallest state and has
no part in the scale; a lower bound that would round to 0 becomes -1 (a lower bound of 0 is a documented hardware bug).
All-zero tensors do not limit the scale in either mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chipflow.errors import QuantizationError

Mode = Literal["default", "sinabs"]
Limit = Literal["weights", "biases", "threshold", "lower_bound"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LayerScale:
    """How one layer was quantised.

    Attributes:
        scale: integer units per float unit.
        limited_by: the tensor that allowed no larger scale.
        max_rounding_error: largest |integer / scale - float| of a weight, in float units.
        zeroed: number of non-zero weights that became zero.
        weights: number of weights.
        notes: what else was changed, in words.
    """

    scale: float
    limited_by: Limit
    max_rounding_error: float
    zeroed: int
    weights: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """Integers of one layer, and the record of how they came about. Arrays have the shapes they were given in."""

    weights: npt.NDArray[np.int8]
    biases: npt.NDArray[np.int16] | None
    threshold: int
    lower_bound: int
    record: LayerScale


def largest_scale(values: npt.ArrayLike, bits: int) -> float:
    """The largest scale at which `values` fit into signed integers of `bits` bits; infinite when all of them are zero."""
    array = np.asarray(values, dtype=np.float64)
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    smallest, largest = 2.0 ** (bits - 1), 2.0 ** (bits - 1) - 1
    if low == 0.0 and high == 0.0:
        return float("inf")
    if abs(low) <= abs(high) * smallest / largest:
        return abs(largest / high)
    return smallest / abs(low)


def quantize_layer(
    weights: npt.ArrayLike,
    biases: npt.ArrayLike | None,
    threshold: float,
    lower_bound: float | None,
    *,
    mode: Mode = "default",
    weight_bits: int = 8,
    state_bits: int = 16,
    name: str = "layer",
) -> QuantizedLayer:
    """Quantise one layer.

    Args:
        weights: any shape.
        biases: any shape, or None.
        threshold: above 0.
        lower_bound: of the state, at most 0; None if there is none.
        mode: "default" or "sinabs".
        weight_bits: bits of a weight, at most 8.
        state_bits: bits of a state, threshold and (in the default mode) bias, at most 16.
        name: the layer's name, for errors.

    Raises:
        QuantizationError: if a value is not finite or out of range, or if the layer could not fire.
    """
    _check_options(mode, weight_bits, state_bits)
    w, b = _finite(weights, "weights", name), None if biases is None else _finite(biases, "biases", name)
    _check_neuron(threshold, lower_bound, name)
    _check_alive(w, b, name)
    scale, limit = _choose_scale(w, b, threshold, lower_bound, mode, weight_bits, state_bits)
    q_weights, q_biases = _rounded(w, scale), None if b is None else _rounded(b, scale)
    q_threshold = int(np.rint(threshold * scale))
    q_low, notes = _lower_bound(lower_bound, scale, mode, state_bits)
    _check_fires(q_weights, q_biases, q_threshold, name, f"scale {scale:.6g}, limited by its {_WORDS[limit]}")
    record = LayerScale(
        scale=scale,
        limited_by=limit,
        max_rounding_error=float(np.abs(q_weights / scale - w).max()) if w.size else 0.0,
        zeroed=int(np.count_nonzero((q_weights == 0) & (w != 0))),
        weights=int(w.size),
        notes=notes,
    )
    ints = None if q_biases is None else q_biases.astype(np.int16)
    return QuantizedLayer(q_weights.astype(np.int8), ints, q_threshold, q_low, record)


_WORDS: dict[Limit, str] = {
    "weights": "largest weight",
    "biases": "largest bias",
    "threshold": "threshold",
    "lower_bound": "lower bound",
}


def _choose_scale(
    w: Floats, b: Floats | None, threshold: float, low: float | None, mode: Mode, weight_bits: int, state_bits: int
) -> tuple[float, Limit]:
    """The scale and what limits it; the first in the order weights, biases, threshold, lower bound when several do."""
    limits: dict[Limit, float] = {"weights": largest_scale(w, weight_bits)}
    if b is not None:
        limits["biases"] = largest_scale(b, weight_bits if mode == "sinabs" else state_bits)
    if low is None and mode == "sinabs":
        low = -(2.0 ** (state_bits - 1))
    neuron: tuple[float, ...] = (threshold,) if low is None else (low, threshold)
    together = largest_scale(neuron, state_bits)
    limits["threshold" if together == largest_scale(threshold, state_bits) else "lower_bound"] = together
    limit = min(limits, key=lambda key: limits[key])
    return limits[limit], limit


def _lower_bound(low: float | None, scale: float, mode: Mode, state_bits: int) -> tuple[int, tuple[str, ...]]:
    smallest = -(2 ** (state_bits - 1))
    if low is None:
        return (int(np.rint(smallest * scale)) if mode == "sinabs" else smallest), ()
    rounded = int(np.rint(low * scale))
    if rounded == 0 and mode == "default":
        return -1, (f"lower bound {low:g} rounds to 0 and became -1, because a lower bound of 0 is a hardware bug",)
    if rounded == 0:
        return 0, (f"lower bound {low:g} rounds to 0, which is a hardware bug; mode 'default' makes it -1",)
    return rounded, ()


def _rounded(values: Floats, scale: float) -> Floats:
    return np.rint(values * scale)


def _finite(values: npt.ArrayLike, what: str, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise QuantizationError(
            f"Layer '{name}': {bad} of {array.size} {what} are not finite numbers. Train it again, or repair them."
        )
    return array


def _check_options(mode: Any, weight_bits: int, state_bits: int) -> None:
    if mode not in ("default", "sinabs"):
        raise QuantizationError(f"quantization is {mode!r}, it must be 'default' or 'sinabs'.")
    if not 2 <= weight_bits <= 8 or not 2 <= state_bits <= 16:
        raise QuantizationError(f"weight_bits is {weight_bits} (2 to 8 allowed), state_bits is {state_bits} (2 to 16 allowed).")


def _check_neuron(threshold: float, low: float | None, name: str) -> None:
    if not (np.isfinite(threshold) and threshold > 0):
        raise QuantizationError(f"Layer '{name}': the threshold is {threshold}, it must be a finite number above 0.")
    if low is not None and not (np.isfinite(low) and low <= 0):
        raise QuantizationError(f"Layer '{name}': the lower bound is {low}, it must be finite and at most 0 (None: no bound).")


def _any_positive(w: Floats, b: Floats | None) -> bool:
    return bool((w > 0).any() or (b is not None and (b > 0).any()))


def _check_alive(w: Floats, b: Floats | None, name: str) -> None:
    if not _any_positive(w, b):
        raise QuantizationError(
            f"Layer '{name}' cannot fire: it was dead before quantisation, none of its {w.size} weights and "
            f"{0 if b is None else b.size} biases is above 0. Train it again, or take it out."
        )


def _check_fires(w: Floats, b: Floats | None, threshold: int, name: str, why: str) -> None:
    if threshold < 1:
        raise QuantizationError(
            f"Layer '{name}' cannot be quantised: its threshold rounds to {threshold}, at least 1 is needed ({why}). "
            "Make the largest value smaller or the threshold larger, e.g. by weight normalisation with calibration=."
        )
    if not _any_positive(w, b):
        raise QuantizationError(
            f"Layer '{name}' cannot fire any more: no weight or bias above 0 is left after rounding ({why}). "
            "Make the value that limits the scale smaller (clip outliers, or rescale the layer with calibration=)."
        )
