"""mode "search": the scale at which a layer's integers behave most like its floats.

What a neuron does depends on weights, biases and lower bound relative to its threshold only. For an integer threshold k and the
float one θ, the integers that come nearest to these ratios are the floats times k/θ, rounded. So every scale worth a try is k/θ
for a whole k, beside the default scale. Tried are the k from half the default scale up to the scale at which half of the weights
would saturate, or threshold, a bias or the lower bound no longer fit; where they are many, evenly on a logarithmic axis.

They are ranked by the error of a time step (`chipflow.quantization.integers.step_error`). With a measure, such as how far spikes are
displaced on recordings, the best by rank, some evenly from the whole range, and the default scale are measured. In both cases
the result is at most as bad as the default scale, which is always among the candidates, and the same for the same input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from chipflow.quantization.floats import Bits, FloatLayer
from chipflow.quantization.integers import integers_at, step_error
from chipflow.quantization.records import QuantizedLayer
from chipflow.quantization.scales import choose_scale, largest_scale

Measure = Callable[[QuantizedLayer, float], float]
"""How bad a quantised layer is; anything that is not below the second argument, once it is known not to be below it."""

MOST_CANDIDATES = 200  # beyond, neighbours differ by a percent or two, and so hardly in their errors
MEASURED_BEST, MEASURED_SPREAD = 6, 6
SAME = 10  # decimals of an error: what differs less is float noise


def search(layer: FloatLayer, default: float, bits: Bits, measure: Callable[[float, float], float] | None = None) -> float:
    """The best scale.

    Args:
        layer: the floats.
        default: the default mode's scale.
        bits: widths of the integers.
        measure: of a scale, as `Measure` of a layer; None: the error of a time step.
    """
    ranked = _ranked(layer, [default, *candidates(layer, default, bits)], bits)
    if measure is None or not ranked:
        return ranked[0] if ranked else default
    best, least = ranked[0], math.inf
    for scale in _shortlist(ranked, default):
        value = measure(scale, least)
        if value < least:
            best, least = scale, value
    return best


def candidates(layer: FloatLayer, default: float, bits: Bits) -> list[float]:
    """Scales at which the threshold is whole, ascending."""
    threshold = layer.threshold
    others, _ = choose_scale(replace(layer, weights=np.zeros(1)), "default", bits)
    sizes = np.abs(layer.weights[layer.weights != 0])
    half = largest_scale(np.median(sizes), bits.weight) if sizes.size else math.inf
    room = (2.0 ** (bits.state - 1) - 2.0 ** (bits.weight - 1)) / threshold  # above the threshold, for the largest weight
    low, high = max(1, math.ceil(default * threshold / 2)), math.floor(min(others, half, room) * threshold)
    if high - low < MOST_CANDIDATES:
        chosen = range(low, high + 1)
    else:
        chosen = np.unique(np.rint(np.geomspace(low, high, MOST_CANDIDATES))).tolist()
    return [k / threshold for k in chosen]


def _ranked(layer: FloatLayer, scales: list[float], bits: Bits) -> list[float]:
    """Those at which the layer can fire, best first; between equals the earlier."""
    found: list[tuple[float, int]] = []
    for i, scale in enumerate(scales):
        ints = integers_at(layer, scale, "search", bits)
        if ints.can_fire:
            found.append((round(step_error(layer, ints), SAME), i))
    return [scales[i] for _, i in sorted(found)]


def _shortlist(ranked: list[float], default: float) -> list[float]:
    """What is measured, best rank first."""
    spread = sorted(ranked)[:: max(1, len(ranked) // MEASURED_SPREAD)]
    chosen = {*ranked[:MEASURED_BEST], *spread, default}
    return [scale for scale in ranked if scale in chosen]
