"""The largest scale at which a layer's numbers fit, and the number that allows no larger one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from chipflow.quantization.floats import Bits, FloatLayer, Floats
from chipflow.quantization.records import Blame, Mode, Tensor


def largest_scale(values: npt.ArrayLike, bits: int) -> float:
    """The largest scale at which `values` fit into signed integers of `bits` bits; infinite when all of them are zero."""
    low, high = _ends(np.asarray(values, dtype=np.float64))
    smallest, largest = 2.0 ** (bits - 1), 2.0 ** (bits - 1) - 1
    if low == 0.0 and high == 0.0:
        return float("inf")
    return smallest / abs(low) if _lower_end_limits(low, high, bits) else abs(largest / high)


def choose_scale(layer: FloatLayer, mode: Mode, bits: Bits) -> tuple[float, Tensor]:
    """The scale and what limits it; the first in the order weights, biases, threshold, lower bound when several do."""
    limits: dict[Tensor, float] = {"weights": largest_scale(layer.weights, bits.weight)}
    if layer.biases is not None:
        limits["biases"] = largest_scale(layer.biases, bits.weight if mode == "sinabs" else bits.state)
    low = _lower_bound(layer, mode, bits)
    if layer.biases is not None:
        limits["biases"] = min(limits["biases"], _room_for_biases(layer, mode, bits))
    top = _top(layer, mode)
    together = largest_scale((top,) if low is None else (low, top), bits.state)
    limits["threshold" if together == largest_scale(top, bits.state) else "lower_bound"] = together
    limit = min(limits, key=lambda key: limits[key])
    return limits[limit], limit


def blame(layer: FloatLayer, mode: Mode, bits: Bits) -> Blame:
    """The number that limits the scale, and what the scale would be with 0 in its place, which limits nothing."""
    scale, tensor = choose_scale(layer, mode, bits)
    index, value = _limiting(layer, tensor, mode, bits)
    return Blame(tensor, index, value, scale, choose_scale(_without(layer, tensor, index), mode, bits)[0])


def _limiting(layer: FloatLayer, tensor: Tensor, mode: Mode, bits: Bits) -> tuple[tuple[int, ...], float]:
    """Index and value of the number in the tensor that reaches the end of its range first."""
    if tensor == "threshold":
        return (), float(layer.threshold)
    if tensor == "lower_bound":
        return (), float(_lower_bound(layer, mode, bits) or 0.0)
    array = layer.weights if tensor == "weights" or layer.biases is None else layer.biases
    width = bits.weight if tensor == "weights" or mode == "sinabs" else bits.state
    lowest = _lower_end_limits(*_ends(array), width)
    if tensor == "biases" and _room_for_biases(layer, mode, bits) < largest_scale(array, width):
        lowest = False
    at = int(array.argmin() if lowest else array.argmax())
    return tuple(int(i) for i in np.unravel_index(at, array.shape)), float(array.flat[at])


def _without(layer: FloatLayer, tensor: Tensor, index: tuple[int, ...]) -> FloatLayer:
    """The layer with 0 in the place of one number."""
    if tensor == "threshold":
        return replace(layer, threshold=0.0)
    if tensor == "lower_bound":
        return replace(layer, lower_bound=0.0)
    array = layer.weights if tensor == "weights" or layer.biases is None else layer.biases
    rest = array.copy()
    rest[index] = 0.0
    return replace(layer, weights=rest) if tensor == "weights" else replace(layer, biases=rest)


def _ends(array: Floats) -> tuple[float, float]:
    return (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)


def _lower_end_limits(low: float, high: float, bits: int) -> bool:
    """Whether the smallest value reaches its end of the range first; that end is one further from 0."""
    smallest, largest = 2.0 ** (bits - 1), 2.0 ** (bits - 1) - 1
    return not abs(low) <= abs(high) * smallest / largest


def _top(layer: FloatLayer, mode: Mode) -> float:
    """The highest state: of a neuron just below its threshold, by its largest weight or a bias that is not above the threshold; for
    sinabs the threshold itself."""
    if mode == "sinabs":
        return layer.threshold
    bias = _largest_bias(layer)
    return layer.threshold + max(float(layer.weights.max(initial=0.0)), bias if bias <= layer.threshold else 0.0)


def _room_for_biases(layer: FloatLayer, mode: Mode, bits: Bits) -> float:
    """The largest scale at which a neuron just below its threshold has room for a bias above the threshold, which then is the limit."""
    bias = _largest_bias(layer)
    return float("inf") if mode == "sinabs" or bias <= layer.threshold else largest_scale(layer.threshold + bias, bits.state)


def _largest_bias(layer: FloatLayer) -> float:
    return 0.0 if layer.biases is None else float(layer.biases.max(initial=0.0))


def _lower_bound(layer: FloatLayer, mode: Mode, bits: Bits) -> float | None:
    if layer.lower_bound is None and mode == "sinabs":
        return -(2.0 ** (bits.state - 1))
    return layer.lower_bound
