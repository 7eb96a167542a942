"""Scales and rounding against an independent implementation of the formula, and the network that was on the real chip."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipflow.errors import QuantizationError
from chipflow.quantization import largest_scale, quantize_layer

DATA = Path(os.environ.get("CHIPFLOW_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
numbers = st.floats(-50, 50, width=32).filter(lambda v: v == 0 or abs(v) > 1e-3)


def exact_range(values, bits):
    """The formula in exact fractions; None when it sets no limit."""
    low, high = Fraction(min(values)), Fraction(max(values))
    most = 2 ** (bits - 1)
    if low == high == 0:
        return None
    if abs(low) <= abs(high) * Fraction(most, most - 1):
        return abs(Fraction(most - 1) / high)
    return Fraction(most) / abs(low)


def exact_scale(weights, biases, threshold, low, mode):
    missing = -32768.0 if mode == "sinabs" else 0.0
    step = 0.0 if mode == "sinabs" else max(0.0, *weights, *(biases or []))
    neuron = [threshold + step, missing if low is None else low]
    ranges = [exact_range(weights, 8), exact_range(neuron, 16)]
    if biases is not None:
        ranges.append(exact_range(biases, 8 if mode == "sinabs" else 16))
    return float(min(r for r in ranges if r is not None))


@given(st.lists(numbers, min_size=1, max_size=9), st.sampled_from([8, 16]))
def test_largest_scale(values, bits):
    expected = exact_range(values, bits)
    assert largest_scale(values, bits) == pytest.approx(float("inf") if expected is None else float(expected), rel=1e-12)


@given(
    st.lists(numbers, min_size=1, max_size=9),
    st.none() | st.lists(numbers, min_size=1, max_size=4),
    st.floats(0.0625, 100, width=32),
    st.none() | st.floats(-100, -0.0625, width=32),
    st.sampled_from(["default", "sinabs"]),
)
def test_equal_to_the_formula(weights, biases, threshold, low, mode):
    scale = exact_scale(weights, biases, threshold, low, mode)
    positive = np.rint(np.array([*weights, *(biases or [])]) * scale) > 0
    if not positive.any() or np.rint(threshold * scale) < 1:
        with pytest.raises(QuantizationError, match="conv1"):
            quantize_layer(weights, biases, threshold, low, mode=mode, name="conv1")
        return
    layer = quantize_layer(weights, biases, threshold, low, mode=mode, name="conv1")
    assert layer.record.scale == pytest.approx(scale, rel=1e-12)
    used = layer.record.scale
    assert layer.weights.dtype == np.int8
    assert layer.weights.tolist() == np.rint(np.array(weights) * used).tolist()
    if biases is not None:
        assert layer.biases.dtype == np.int16
        assert layer.biases.tolist() == np.rint(np.array(biases) * used).tolist()
    assert layer.threshold == round(threshold * used)
    if low is None:
        assert layer.lower_bound == (round(-32768 * used) if mode == "sinabs" else -32768)
    else:
        assert layer.lower_bound == (round(low * used) or (-1 if mode == "default" else 0))


def test_silicon_network():
    path = DATA / "silicon" / "layer0_weights.npy"
    if not path.exists():
        pytest.skip(f"no recordings of the real chip at {path.parent}")
    weights = np.load(path)
    for mode in ("default", "sinabs"):
        layer = quantize_layer(weights, np.zeros(16), 1.0, -1.0, mode=mode)
        assert layer.record.scale == pytest.approx(71.537, abs=5e-4)
        assert (layer.threshold, layer.lower_bound, layer.record.limited_by) == (72, -72, "weights")
        assert layer.weights.shape == (16, 2, 5, 5)


def test_record():
    layer = quantize_layer([127.0, 0.5, 1.4, -0.2, 0.0], None, 10.0, -10.0)
    assert layer.weights.tolist() == [127, 0, 1, 0, 0]
    assert layer.biases is None
    record = layer.record
    assert (record.scale, record.zeroed, record.weights, record.notes) == (1.0, 2, 5, ())
    assert record.max_rounding_error == pytest.approx(0.5)


def test_rounding_is_half_to_even():
    assert quantize_layer([127.0, 0.5, 1.5, 2.5, -0.5, -1.5], None, 10.0, -10.0).weights.tolist() == [127, 0, 2, 2, 0, -2]


def test_a_missing_lower_bound():
    ours, theirs = (quantize_layer([0.5, 1.0], None, 1.0, None, mode=mode) for mode in ("default", "sinabs"))
    assert (ours.record.scale, ours.record.limited_by, ours.lower_bound) == (127.0, "weights", -32768)
    assert (theirs.record.scale, theirs.record.limited_by, theirs.lower_bound) == (1.0, "lower_bound", -32768)


def test_biases_have_16_bits():
    ours, theirs = (quantize_layer([1.0], [10.0], 1.0, -1.0, mode=mode) for mode in ("default", "sinabs"))
    assert (ours.biases.tolist(), ours.record.limited_by) == ([1270], "weights")
    assert (theirs.biases.tolist(), theirs.record.limited_by) == ([127], "biases")


def test_all_zero_tensors():
    assert quantize_layer([1.0], [0.0], 1.0, -1.0).biases.tolist() == [0]
    assert quantize_layer([1.0], [0.0], 1.0, -1.0, mode="sinabs").threshold == 127
    layer = quantize_layer(np.zeros((1, 1, 3, 3)), [0.5], 1.0, -1.0)
    assert layer.weights.tolist() == np.zeros((1, 1, 3, 3)).tolist()
    assert layer.biases[0] > 0
    assert layer.record.limited_by == "threshold"


def test_a_lower_bound_that_rounds_to_zero():
    for low in (0.0, -0.001):
        layer = quantize_layer([1.0], None, 1.0, low)
        assert layer.lower_bound == -1
        assert "hardware bug" in layer.record.notes[0]
        theirs = quantize_layer([1.0], None, 1.0, low, mode="sinabs")
        assert theirs.lower_bound == 0
        assert theirs.record.notes


@pytest.mark.parametrize(
    ("weights", "biases", "threshold", "low", "says"),
    [
        ([-1.0, 0.0], None, 1.0, -1.0, "dead before quantisation"),
        ([0.0], [0.0], 1.0, -1.0, "dead before quantisation"),
        ([1e-4, -100.0], None, 100.0, -1.0, "limited by its largest weight"),
        ([1000.0], None, 1.0, -1.0, "threshold rounds to 0"),
        ([1e-4], None, 1000.0, -1.0, "limited by its threshold"),
        ([1e-4], None, 1.0, -1e6, "limited by its lower bound"),
        ([float("nan")], None, 1.0, -1.0, "not finite"),
        ([1.0], [float("inf")], 1.0, -1.0, "1 of 1 biases"),
        ([1.0], None, 0.0, -1.0, "threshold is 0"),
        ([1.0], None, 1.0, 0.5, "lower bound is 0.5"),
    ],
)
def test_layers_that_cannot_work_are_refused_by_name(weights, biases, threshold, low, says):
    with pytest.raises(QuantizationError, match=rf"'features\.3'.*{says}"):
        quantize_layer(weights, biases, threshold, low, name="features.3")


@pytest.mark.parametrize("wrong", [{"mode": "other"}, {"weight_bits": 9}, {"state_bits": 32}])
def test_wrong_options(wrong):
    with pytest.raises(QuantizationError, match=next(iter(wrong)).replace("mode", "quantization")):
        quantize_layer([1.0], None, 1.0, -1.0, **wrong)


def test_the_same_call_gives_the_same_bytes():
    weights = np.random.default_rng(0).normal(size=(4, 2, 3, 3))
    one, other = (quantize_layer(weights, None, 1.0, -1.0) for _ in range(2))
    assert one.weights.tobytes() == other.weights.tobytes()
    assert one.record == other.record


def test_a_neuron_about_to_fire_stays_within_its_bits():
    """Its weights are so small against the threshold that the threshold sets the scale."""
    layer = quantize_layer([[0.0035, 0.003]], None, 1.0, -1.0)
    assert layer.threshold - 1 + int(layer.weights.max()) <= 32767
    layer = quantize_layer([[0.002]], [0.3], 1.0, -1.0)
    assert layer.threshold - 1 + int(layer.biases.max()) <= 32767
    assert quantize_layer([[0.0035, 0.003]], None, 1.0, -1.0, mode="sinabs").threshold == 32767
