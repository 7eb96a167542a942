"""What is recorded of a quantised layer: errors, health of its features, and the number that set the scale."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chipflow.quantization import Agreement, Blame, Disagreement, LayerScale, quantize_layer

numbers = st.floats(-50, 50, width=32).filter(lambda v: v == 0 or abs(v) > 1e-3)


def record(weights, biases=None, threshold=1.0, low=-1.0, **options):
    return quantize_layer(weights, biases, threshold, low, **options).record


def test_an_outlier_is_blamed():
    weights = np.full((4, 2, 3, 3), 0.25)
    weights[2, 1, 0, 2] = 2.0
    assert record(weights).blame == Blame("weights", (2, 1, 0, 2), 2.0, 127 / 2, 127 / 0.25)
    weights[2, 1, 0, 2] = -2.0
    assert record(weights).blame == Blame("weights", (2, 1, 0, 2), -2.0, 128 / 2, 127 / 0.25)


def test_no_outlier():
    """Two equally large weights: without one, the other limits."""
    blame = record([[2.0, 0.5], [0.25, 2.0]]).blame
    assert (blame.index, blame.scale_without) == ((0, 0), blame.scale)


def test_biases_threshold_and_lower_bound_are_blamed():
    assert record([[1.0], [1.0]], [0.0, -1e4]).blame == Blame("biases", (1,), -1e4, 32768 / 1e4, 127.0)
    assert record([[1.0]], [10.0], mode="sinabs").blame == Blame("biases", (0,), 10.0, 12.7, 127.0)
    assert record([[1.0]], None, 1e4).blame == Blame("threshold", (), 1e4, 32767 / (1e4 + 1), 127.0)
    assert record([[1.0]], None, 10.0, -1e4).blame == Blame("lower_bound", (), -1e4, 32768 / 1e4, 127.0)
    assert record([[1.0]], None, 10.0, None, mode="sinabs").blame == Blame("lower_bound", (), -32768.0, 1.0, 127.0)


@given(
    st.lists(numbers, min_size=1, max_size=9).filter(lambda w: max(w) > 0.5),
    st.none() | numbers,
    st.sampled_from(["default", "sinabs"]),
)
def test_without_the_blamed_number_the_scale_is_as_told(weights, bias, mode):
    layer = (np.array([weights]), None if bias is None else np.array([bias]), 1.0, -1.0)
    made = record(*layer, mode=mode)
    assert made.blame.scale == made.scale
    assert made.blame.tensor == made.limited_by
    assert made.blame.scale_without >= made.scale
    if made.blame.tensor not in ("weights", "biases"):
        return
    changed = layer[made.blame.tensor == "biases"].copy()
    assert changed[made.blame.index] == made.blame.value
    changed[made.blame.index] = 0
    rest = (changed, layer[1]) if made.blame.tensor == "weights" else (layer[0], changed)
    if any(part is not None and (part > 0.5).any() for part in rest):
        assert record(*rest, 1.0, -1.0, mode=mode).scale == made.blame.scale_without


def test_dead_and_always_firing_features():
    made = record([[1.0, -1.0], [-1.0, 0.0], [0.001, -1.0], [-1.0, -1.0]], [0.0, 0.0, 0.0, 2.0])
    assert made.dead_features == (1, 2)  # the weight of feature 2 rounds to 0
    assert made.always_firing == (3,)
    assert record([[1.0]]).always_firing == ()


def test_errors():
    made = record([[127.0, 0.5, 1.4, -0.2, 0.0]], None, 9.6, -9.6)
    assert made.max_rounding_error == pytest.approx(0.5)
    exact = np.array([127, 0, 1, 0, 0]) / 10 - np.array([127.0, 0.5, 1.4, -0.2, 0.0]) / 9.6
    assert made.max_ratio_error == pytest.approx(abs(exact).max())
    assert made.rms_ratio_error == pytest.approx(np.sqrt((exact**2).mean()))


def test_effective_bits():
    evenly = np.linspace(-1, 1, 2001)[None]
    assert record(evenly).effective_bits == pytest.approx(8, abs=0.02)
    coarse = np.append(evenly / 32, 1.0)[None]
    assert record(coarse).effective_bits == pytest.approx(np.log2(9), abs=0.1)  # within -4..4, but for one
    assert record([[0.0]], [1.0]).effective_bits == 0


def full_record():
    found = Disagreement(5, 3, 20)
    agreement = Agreement(2, 100, 7, found, None, (1,), ())
    made = record([[3.0, 0.1], [0.2, -1.0]], [0.5, 5.0], 1.0, 0.0, mode="search")
    return LayerScale(**{**vars(made), "agreement": agreement})


@pytest.mark.parametrize("made", [record([[1.0]]), record([[1.0]], None, 10.0, None, mode="sinabs"), full_record()])
def test_json_and_back(made):
    text = json.dumps(asdict(made), allow_nan=False)
    assert TypeAdapter(LayerScale).validate_json(text, strict=True) == made


def test_records_of_older_files_are_read():
    text = '{"scale": 1.5, "limited_by": "weights", "max_rounding_error": 0.1, "zeroed": 0, "weights": 4, "notes": ["a"]}'
    made = TypeAdapter(LayerScale).validate_json(text, strict=True)
    assert (made.scale, made.notes, made.blame, made.agreement) == (1.5, ("a",), None, None)


def test_nothing_but_plain_types():
    """Numpy's scalars would not be written."""

    def leaves(value):
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, tuple) else [value]

    assert {type(leaf) for leaf in leaves(asdict(full_record()))} <= {int, float, str, type(None)}
