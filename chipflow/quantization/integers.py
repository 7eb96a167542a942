"""A layer's integers at a scale, and how far their ratios to the threshold are from the floats'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipflow.errors import QuantizationError
from chipflow.quantization.floats import Bits, FloatLayer, Floats, any_positive
from chipflow.quantization.records import Mode


@dataclass(frozen=True, eq=False)
class Integers:
    """Whole numbers, arrays as floats in the shapes of the layer; `saturated` weights were beyond the range."""

    weights: Floats
    biases: Floats | None
    threshold: int
    lower_bound: int
    saturated: int
    notes: tuple[str, ...]

    @property
    def can_fire(self) -> bool:
        """Whether a neuron could ever reach its threshold, which must be above 0."""
        return self.threshold >= 1 and any_positive(self.weights, self.biases)


def integers_at(layer: FloatLayer, scale: float, mode: Mode, bits: Bits) -> Integers:
    """Everything times the scale, rounded half to even; weights beyond the range become its end."""
    weights = np.rint(layer.weights * scale)
    low, high = -(2.0 ** (bits.weight - 1)), 2.0 ** (bits.weight - 1) - 1
    clipped = np.clip(weights, low, high)
    biases = None if layer.biases is None else np.rint(layer.biases * scale)
    lower_bound, notes = _lower_bound(layer.lower_bound, scale, mode, bits)
    saturated = int(np.count_nonzero(clipped != weights))
    return Integers(clipped, biases, int(np.rint(layer.threshold * scale)), lower_bound, saturated, notes)


def ratio_errors(layer: FloatLayer, ints: Integers) -> tuple[float, float]:
    """Largest and root mean square of integer weight / integer threshold - weight / threshold."""
    errors = _weight_errors(layer, ints).ravel()
    return (float(np.abs(errors).max()), float(np.sqrt(errors @ errors / errors.size))) if errors.size else (0.0, 0.0)


def step_error(layer: FloatLayer, ints: Integers) -> float:
    """Root mean square error of what a neuron adds up in one time step, in thresholds, if each input spikes with probability 1/2.

    With Δ(a) = integer a / integer threshold - float a / float threshold, sums over a feature's weights w, b its bias, and the mean over
    features, this is

        sqrt(mean(sum Δ(w)² / 4 + (sum Δ(w) / 2 + Δ(b))²) + Δ(lower bound)²)

    The first term is what inputs scatter; the second what they have in common, such as a threshold that was rounded up, which adds up
    over time where the first averages out. A layer without lower bound has no third.
    """
    weights = _weight_errors(layer, ints)
    common = weights.sum(1) / 2 + _bias_errors(layer, ints)
    bound = 0.0 if layer.lower_bound is None else _ratio_error(ints.lower_bound, ints, layer.lower_bound, layer)
    return float(np.sqrt(np.mean((weights**2).sum(1) / 4 + common**2) + bound**2))


def features(layer: FloatLayer) -> int:
    """Length of the first axis of the weights."""
    return len(np.atleast_1d(layer.weights))


def check_fires(layer: FloatLayer, ints: Integers, why: str, clipping_may_help: bool) -> None:
    """QuantizationError if the layer cannot fire with these integers; `why` says how they came about."""
    clip = 'clip outliers with quantization="search", or ' if clipping_may_help else ""
    if ints.threshold < 1:
        raise QuantizationError(
            f"Layer '{layer.name}' cannot be quantised: its threshold rounds to {ints.threshold}, at least 1 is needed ({why}). "
            f"Make the largest value smaller or the threshold larger: {clip}normalise the weights with calibration=."
        )
    if not ints.can_fire:
        raise QuantizationError(
            f"Layer '{layer.name}' cannot fire any more: no weight or bias above 0 is left after rounding ({why}). "
            f"Make the value that limits the scale smaller: {clip}rescale the layer with calibration=."
        )


def per_feature(values: Floats, layer: FloatLayer) -> Floats:
    """One for each feature, repeated or cut where there are more or fewer."""
    return np.resize(values, features(layer))


def _weight_errors(layer: FloatLayer, ints: Integers) -> Floats:
    errors = ints.weights / ints.threshold - layer.weights / layer.threshold
    return errors.reshape(features(layer), -1)


def _bias_errors(layer: FloatLayer, ints: Integers) -> Floats:
    if layer.biases is None or ints.biases is None:
        return np.zeros(features(layer))
    return per_feature(ints.biases / ints.threshold - layer.biases / layer.threshold, layer)


def _ratio_error(integer: int, ints: Integers, number: float, layer: FloatLayer) -> float:
    return integer / ints.threshold - number / layer.threshold


def _lower_bound(low: float | None, scale: float, mode: Mode, bits: Bits) -> tuple[int, tuple[str, ...]]:
    smallest = -(2 ** (bits.state - 1))
    if low is None:
        return (int(np.rint(smallest * scale)) if mode == "sinabs" else smallest), ()
    rounded = int(np.rint(low * scale))
    if rounded == 0 and mode != "sinabs":
        return -1, (f"lower bound {low:g} rounds to 0 and became -1, because a lower bound of 0 is a hardware bug",)
    if rounded == 0:
        return 0, (f"lower bound {low:g} rounds to 0, which is a hardware bug; mode 'default' makes it -1",)
    return rounded, ()
