"""One layer's floats to integers, with the record of what became of them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from chipflow.quantization.floats import Bits, FloatLayer, Floats, check_mode, float_layer
from chipflow.quantization.integers import Integers, check_fires, features, integers_at, per_feature, ratio_errors, step_error
from chipflow.quantization.records import Blame, LayerScale, Limit, Mode, QuantizedLayer, Tensor
from chipflow.quantization.scales import blame
from chipflow.quantization.search import Measure, search

_WORDS: dict[Tensor, str] = {
    "weights": "largest weight",
    "biases": "largest bias",
    "threshold": "threshold",
    "lower_bound": "lower bound",
}


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
    measure: Measure | None = None,
) -> QuantizedLayer:
    """Quantise one layer.

    Args:
        weights: any shape; the first axis is features.
        biases: any shape, or None.
        threshold: above 0.
        lower_bound: of the state, at most 0; None if there is none.
        mode: "default", "sinabs", or "search".
        weight_bits: bits of a weight, at most 8.
        state_bits: bits of a state, threshold and (except in mode "sinabs") bias, at most 16.
        name: the layer's name, for errors.
        measure: what mode "search" makes small, see `chipflow.quantization.search`; by default the error of
            a time step.

    Raises:
        QuantizationError: if a value is not finite or out of range, or if the layer could not fire.
    """
    check_mode(mode)
    bits = Bits(weight_bits, state_bits)
    layer = float_layer(name, weights, biases, threshold, lower_bound)
    limit = blame(layer, mode, bits)
    if mode != "search":
        return _at(layer, limit.scale, mode, bits, limit)
    scale = search(
        layer, limit.scale, bits, measure and (lambda scale, enough: measure(_at(layer, scale, mode, bits, limit), enough))
    )
    return _at(layer, scale, mode, bits, limit)


def _at(layer: FloatLayer, scale: float, mode: Mode, bits: Bits, limit: Blame) -> QuantizedLayer:
    ints = integers_at(layer, scale, mode, bits)
    why = f"scale {limit.scale:.6g}, limited by its {_WORDS[limit.tensor]}{_place(limit)}"
    check_fires(layer, ints, why, clipping_may_help=limit.tensor == "weights" and mode != "search")
    biases = None if ints.biases is None else ints.biases.astype(np.int16)
    record = _record(layer, scale, ints, limit)
    return QuantizedLayer(ints.weights.astype(np.int8), biases, ints.threshold, ints.lower_bound, record)


def _place(limit: Blame) -> str:
    if not limit.index:
        return f" {limit.value:g}"
    return f" {limit.value:g} at {limit.index}; without it {limit.scale_without:.6g}"


def _record(layer: FloatLayer, scale: float, ints: Integers, limit: Blame) -> LayerScale:
    w = layer.weights
    largest, rms = ratio_errors(layer, ints)
    limited_by: Limit = limit.tensor if scale == limit.scale else "search"
    return LayerScale(
        scale=scale,
        limited_by=limited_by,
        max_rounding_error=float(np.abs(ints.weights / scale - w).max()) if w.size else 0.0,
        zeroed=int(np.count_nonzero((ints.weights == 0) & (w != 0))),
        weights=int(w.size),
        notes=ints.notes,
        saturated=ints.saturated,
        max_ratio_error=largest,
        rms_ratio_error=rms,
        step_error=step_error(layer, ints),
        effective_bits=_effective_bits(ints.weights[w != 0]),
        dead_features=_where(~_alive(layer, ints)),
        always_firing=() if ints.biases is None else _where(per_feature(ints.biases, layer) >= ints.threshold),
        blame=limit,
    )


def _effective_bits(ints: Floats) -> float:
    return math.log2(1 + 4 * float(np.abs(ints).mean())) if ints.size else 0.0


def _alive(layer: FloatLayer, ints: Integers) -> npt.NDArray[np.bool_]:
    """Whether a feature has a weight or bias above 0."""
    positive = np.any(ints.weights.reshape(features(layer), -1) > 0, axis=1)
    return positive if ints.biases is None else np.logical_or(positive, per_feature(ints.biases, layer) > 0)


def _where(flags: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(flags))
