"""Words of memory that a layer takes on a core, and the addresses of its neurons.

The formulas are those of the datasheet (3.2.4.1) and of sinabs' `DynapcnnLayer.memory_summary`:
the number of kernel positions, the number of features and each side of the map are rounded up to powers of two.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwconfig.errors import AddressError

KINDS = ("kernel", "neuron", "bias")
Position = tuple[int, int, int]


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


def most_features(memories: MemoryNeed, input_features: int, height: int, width: int, kernel_size: int, *, has_bias: bool) -> int:
    """Of a convolution to maps of `height` x `width`: the most features out for which `memory_need` stays within the memories.

    Need grows with the features, so that every number up to this one fits; 0: not even one does.
    """
    rows = memories.kernel // kernel_words(input_features, 1, kernel_size)  # features, if their number is a power of two
    by_kernel = 1 << (rows.bit_length() - 1) if rows else 0
    by_neuron = memories.neuron // neuron_words(1, height, width)
    return min(by_kernel, by_neuron, memories.bias) if has_bias else min(by_kernel, by_neuron)


def neuron_address(position: Position, shape: Position, address_bits: int) -> int:
    """The address by which the state of one neuron is read and written.

    Feature in the lowest bits, then x, then y, each field as wide as its size rounded up to a power of two (sinabs,
    `calculate_neuron_address`).

    An open question: sinabs moves y up by the width of the *y* field, where that of the x field would be expected. Both agree
    on maps whose sides round to the same power of two, and only those were ever tested in public. On higher maps sinabs'
    rule leaves gaps, and is followed; on wider ones, of more than one row, two neurons would share an address, and none is
    given.

    Args:
        position: (feature, y, x) of the neuron.
        shape: (features, y, x) of the neuron map, before pooling.
        address_bits: `chip.limits.neuron_address_bits`.

    Raises:
        AddressError: the position lies outside the map; the map needs more bits, or is wider than high (see above).
    """
    feature_bits, y_shift = _address_fields(shape, address_bits)
    if not all(0 <= index < size for index, size in zip(position, shape, strict=True)):
        raise AddressError(f"neuron (feature, y, x) = {position} lies outside the map {shape}")
    feature, y, x = position
    return y << y_shift | x << feature_bits | feature


def neuron_position(address: int, shape: Position, address_bits: int) -> Position:
    """(feature, y, x) of the neuron at an address: the inverse of `neuron_address`.

    Raises:
        AddressError: no neuron of the map has this address, or the map has no addresses (see `neuron_address`).
    """
    feature_bits, y_shift = _address_fields(shape, address_bits)
    y, rest = divmod(address, 1 << y_shift)
    x, feature = divmod(rest, 1 << feature_bits)
    if not all(0 <= index < size for index, size in zip((feature, y, x), shape, strict=True)):
        raise AddressError(f"address {address} belongs to no neuron of the map {shape} (features, y, x)")
    return feature, y, x


def _address_fields(shape: Position, address_bits: int) -> tuple[int, int]:
    """By how many bits x and y are moved up."""
    if min(shape) < 1:
        raise AddressError(f"a map has at least one feature and one pixel per axis, found {shape} (features, y, x)")
    feature_bits, y_bits, x_bits = map(ceil_log2, shape)
    y_shift = feature_bits + max(x_bits, y_bits)  # the width of y, by sinabs; in a single row y is 0 whatever it is moved by
    needed = y_shift + y_bits
    if needed > address_bits:
        raise AddressError(
            f"the map {shape} (features, y, x) needs {needed} address bits, there are {address_bits}: use fewer features or a smaller map"
        )
    if x_bits > y_bits and shape[1] > 1:
        raise AddressError(
            f"the map {shape} (features, y, x) is wider than high: the addresses of its neurons are not public, and the rule of "
            "sinabs would give two neurons the same one; read the states from the emulator, or transpose the map"
        )
    return feature_bits, y_shift
