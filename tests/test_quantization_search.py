"""mode "search": ranges hold, never worse than the default by its own criterion, and outliers no longer make a layer coarse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipflow.errors import QuantizationError
from chipflow.quantization import quantize_layer

numbers = st.floats(-50, 50, width=32).filter(lambda v: v == 0 or abs(v) > 1e-3)
layers = st.tuples(
    st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=4),
    st.none() | numbers,
    st.floats(0.0625, 100, width=32),
    st.none() | st.floats(-100, 0, width=32),
)


def given_layer(parts):
    weights, bias, threshold, low = parts
    return np.array(weights), None if bias is None else np.full(len(weights), bias), threshold, low


def expected_step_error(layer, integer):
    """The formula, feature by feature, in plain Python."""
    weights, biases, threshold, low = layer
    squares = []
    for f, row in enumerate(weights):
        errors = [int(n) / integer.threshold - w / threshold for n, w in zip(integer.weights[f], row, strict=True)]
        bias = 0 if biases is None else int(integer.biases[f]) / integer.threshold - biases[f] / threshold
        squares.append(sum(e * e for e in errors) / 4 + (sum(errors) / 2 + bias) ** 2)
    bound = 0 if low is None else integer.lower_bound / integer.threshold - low / threshold
    return (sum(squares) / len(squares) + bound**2) ** 0.5


@given(layers)
def test_never_worse_than_the_default_and_within_the_widths(parts):
    layer = given_layer(parts)
    try:
        default = quantize_layer(*layer)
    except QuantizationError:
        default = None
    try:
        found = quantize_layer(*layer, mode="search")
    except QuantizationError:
        assert default is None
        return
    assert found.record.step_error == pytest.approx(expected_step_error(layer, found), rel=1e-9, abs=1e-12)
    assert default is None or found.record.step_error <= default.record.step_error + 1e-9
    assert 1 <= found.threshold <= 32767
    assert -32768 <= found.lower_bound <= -1
    exact = np.rint(layer[0] * found.record.scale)
    np.testing.assert_array_equal(found.weights, np.clip(exact, -128, 127))
    assert found.record.saturated == np.count_nonzero((exact < -128) | (exact > 127))
    if layer[1] is not None:
        np.testing.assert_array_equal(found.biases, np.rint(layer[1] * found.record.scale))


@given(layers, st.integers(2, 8), st.integers(4, 16))
def test_narrower_chips(parts, weight_bits, state_bits):
    try:
        found = quantize_layer(*given_layer(parts), mode="search", weight_bits=weight_bits, state_bits=state_bits)
    except QuantizationError:
        return
    most = 2 ** (state_bits - 1)
    assert abs(found.weights.astype(int) + 0.5).max() < 2 ** (weight_bits - 1)
    assert found.threshold < most
    assert found.lower_bound >= -most
    assert found.biases is None or abs(found.biases.astype(int) + 0.5).max() < most


@given(layers, st.integers(0, 5))
def test_never_worse_by_any_measure(parts, seed):
    """A measure of its own, which also ends early."""
    layer = given_layer(parts)

    def measure(quantized, enough):
        value = float(np.random.default_rng([seed, quantized.threshold]).integers(100))
        return value if value < enough else enough

    try:
        default = measure(quantize_layer(*layer), 1000)
    except QuantizationError:
        return
    assert measure(quantize_layer(*layer, mode="search", measure=measure), 1000) <= default


def test_the_threshold_is_whole():
    """At 1.27 / 0.9 the threshold would round from 89.6 to 90."""
    layer = ([[0.9, 0.5, -0.3]], None, 0.635, -0.635)
    default, found = quantize_layer(*layer), quantize_layer(*layer, mode="search")
    assert default.threshold == 90
    assert found.record.scale * 0.635 == pytest.approx(found.threshold, rel=1e-12)
    assert found.record.step_error < default.record.step_error


def test_the_default_scale_stays_where_nothing_is_better():
    layer = ([[127.0, 64.0]], None, 100.0, -100.0)
    default, found = quantize_layer(*layer), quantize_layer(*layer, mode="search")
    assert found.record == default.record
    assert found.record.limited_by == "weights"


def wide_layer():
    return np.random.default_rng(0).normal(size=(128, 600)), None, 20.0, -20.0


def test_a_few_of_many_weights_are_clipped():
    default, found = quantize_layer(*wide_layer()), quantize_layer(*wide_layer(), mode="search")
    assert (default.record.saturated, found.record.limited_by) == (0, "search")
    assert 1 <= found.record.saturated <= 20
    assert found.record.step_error < 0.95 * default.record.step_error
    assert {found.weights.min(), found.weights.max()} == {-128, 127}


def test_the_search_finds_a_scale_where_the_default_has_none():
    layer = ([[1000.0, *[0.5] * 9]], None, 1.0, -1.0)
    with pytest.raises(QuantizationError, match=r'threshold rounds to 0.*1000 at \(0, 0\).*quantization="search"'):
        quantize_layer(*layer)
    found = quantize_layer(*layer, mode="search")
    assert found.threshold >= 1
    assert found.record.saturated == 1


@pytest.mark.parametrize("weights", [[[1000.0]], [[-1.0]], [[float("nan")]]])
def test_what_no_scale_can_save_is_refused(weights):
    with pytest.raises(QuantizationError, match=r"Layer 'features\.3'") as error:
        quantize_layer(weights, None, 1.0, -1.0, mode="search", name="features.3")
    assert "search" not in str(error.value)


def test_clipping_is_advised_only_where_it_can_help():
    with pytest.raises(QuantizationError) as error:
        quantize_layer([[0.1]], [1e5], 0.1, -0.1)
    assert "largest bias 100000 at (0,); without it 1270" in str(error.value)
    assert "search" not in str(error.value)


def test_the_same_search_gives_the_same_bytes():
    one, other = (quantize_layer(*wide_layer(), mode="search") for _ in range(2))
    assert one.weights.tobytes() == other.weights.tobytes()
    assert one.record == other.record
