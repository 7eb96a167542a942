"""Words of memory that a layer takes on a core.

The formulas are those of the datasheet (3.2.4.1) and of sinabs' `DynapcnnLayer.memory_summary`:
the number of kernel positions, the number of features and each side of the map are rounded up to powers of two.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("kernel", "neuron", "bias")


@dataclass(frozen=True)
class MemoryNeed:
    """Words of each memory; kernel words have 8 bits, neuron and bias words 16."""

    kernel: int
    neuron: int
    bias: int


def ceil_log2(value: int) -> int:
    """Smallest n with 2**n >= value, for value >= 1."""
    return (value - 1).bit_length()


def map_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Side of the neuron map of a convolution along one axis, rounded down; 0 or less means that nothing fits."""
    return (size + 2 * padding - kernel) // stride + 1


def kernel_words(features_in: int, features_out: int, kernel_size: int) -> int:
    """c * 2^(ceil log2(k * k) + ceil log2 f)."""
    return features_in << (ceil_log2(kernel_size * kernel_size) + ceil_log2(features_out))


def neuron_words(features: int, height: int, width: int) -> int:
    """f * 2^(ceil log2 height + ceil log2 width), of the map before pooling."""
    return features << (ceil_log2(height) + ceil_log2(width))


def memory_need(
    input_shape: tuple[int, int, int], output_shape: tuple[int, int, int], kernel_size: int, *, has_bias: bool
) -> MemoryNeed:
    """What a convolution from `input_shape` to `output_shape`, both (features, y, x), needs of each memory."""
    features_out, height, width = output_shape
    return MemoryNeed(
        kernel=kernel_words(input_shape[0], features_out, kernel_size),
        neuron=neuron_words(features_out, height, width),
        bias=features_out if has_bias else 0,
    )
