"""Scale rules and rounding: one scale per layer for weights, biases, threshold and lower bound.

For a tensor a and b bits, ``range(a, b)`` is the largest scale at which a still fits: (2^(b-1) - 1) / max(a) when
|min(a)| <= |max(a)| * 2^(b-1) / (2^(b-1) - 1), else 2^(b-1) / |min(a)|. The scale of a layer is the smallest of these over
its tensors; all are multiplied by it in float64 and rounded half to even.

mode "sinabs" is what sinabs does, faults included: biases get 8 bits, a missing lower bound enters as -32768 and forces the
scale to 1 at most. mode "default" gives biases the bits of the state, and a missing lower bound is the smallest state and has
no part in the scale; a lower bound that would round to 0 becomes -1 (a lower bound of 0 is a documented hardware bug); and above the
threshold there is room for the largest weight or bias, so that a neuron that is about to fire does not meet the end of its range.
All-zero tensors do not limit the scale in any mode. mode "search" looks for a better scale than the default one, at which
large weights may end at the range's end (`chipflow.quantization.search`).
"""

from chipflow.quantization.layer import quantize_layer
from chipflow.quantization.records import Agreement, Blame, Disagreement, LayerScale, Limit, Mode, QuantizedLayer, Tensor
from chipflow.quantization.scales import largest_scale
from chipflow.quantization.search import Measure

__all__ = [
    "Agreement",
    "Blame",
    "Disagreement",
    "LayerScale",
    "Limit",
    "Measure",
    "Mode",
    "QuantizedLayer",
    "Tensor",
    "largest_scale",
    "quantize_layer",
]
