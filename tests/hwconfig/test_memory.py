"""Words of memory against the worked examples and against sinabs; addresses both ways."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwconfig import AddressError, CoreSpec, Dimensions, get_chip, neuron_address, neuron_position
from hwconfig.memory import memory_need
from tests.processes import python

BITS = get_chip("speck2f").limits.neuron_address_bits

# The worked examples of the hardware facts, section 1.4, computed from the datasheet's formulas.
CASES = [
    ((16, 64, 64), (32, 64, 64), 3, 8192, 131072, []),
    ((1, 28, 28), (20, 24, 24), 5, 1024, 20480, [0, 1, 2, 3, 4]),
    ((20, 12, 12), (32, 8, 8), 5, 20480, 2048, [3, 4, 5, 6]),
    ((32, 4, 4), (128, 2, 2), 3, 65536, 512, [5, 6]),
    ((128, 1, 1), (500, 1, 1), 1, 65536, 500, [5, 6]),
    ((500, 1, 1), (10, 1, 1), 1, 8000, 10, list(range(9))),
    ((2, 34, 34), (8, 34, 34), 3, 256, 32768, [0, 1, 2, 3, 4]),
    ((8, 17, 17), (16, 17, 17), 3, 2048, 16384, list(range(9))),
    ((16, 8, 8), (16, 4, 4), 3, 4096, 256, list(range(9))),
    ((16, 4, 4), (10, 1, 1), 4, 4096, 10, list(range(9))),
]


@pytest.mark.parametrize(("shape_in", "shape_out", "kernel", "kernel_words", "neuron_words", "cores"), CASES)
def test_worked_examples(shape_in, shape_out, kernel, kernel_words, neuron_words, cores):
    need = memory_need(shape_in, shape_out, kernel, has_bias=False)
    assert (need.kernel, need.neuron, need.bias) == (kernel_words, neuron_words, 0)

    def fits(core: CoreSpec) -> bool:
        return need.kernel <= core.kernel_words and need.neuron <= core.neuron_words

    assert [core.id for core in get_chip("speck2f").cores if fits(core)] == cores


def test_a_bias_takes_a_word_per_feature():
    assert memory_need((1, 5, 5), (7, 3, 3), 3, has_bias=True).bias == 7


# --- beside sinabs ---

SINABS = """
import json, sys
from unittest.mock import MagicMock
for chip in ("", ".speck2e", ".speck2f"):  # stand-ins of the vendor's modules, which no test may import
    sys.modules["samna" + chip] = sys.modules["samna" + chip + ".configuration"] = MagicMock()
sys.modules["samnagui"] = MagicMock()
from torch import nn
from sinabs.layers import IAFSqueeze
from sinabs.backend.dynapcnn.dynapcnn_layer import DynapcnnLayer
answers = []
for (channels, height, width), features, kernel, stride, padding, bias in json.load(sys.stdin):
    conv = nn.Conv2d(channels, features, kernel, tuple(stride), tuple(padding), bias=bias)
    layer = DynapcnnLayer(conv, IAFSqueeze(batch_size=1), (channels, height, width), [], discretize=False)
    answers.append({kind: int(words) for kind, words in layer.memory_summary().items()})
print(json.dumps(answers))
"""


def random_layers(count: int) -> list[tuple]:
    rng = np.random.default_rng(0)
    layers = []
    while len(layers) < count:
        shape = tuple(int(rng.integers(1, most)) for most in (70, 129, 129))
        kernel = int(rng.integers(1, min(17, *(size + 1 for size in shape[1:]))))
        stride, padding = [int(s) for s in rng.choice([1, 2, 4, 8], 2)], [int(p) for p in rng.integers(0, 8, 2)]
        layers.append((shape, int(rng.integers(1, 130)), kernel, stride, padding, bool(rng.integers(2))))
    return layers


@pytest.mark.slow
def test_words_are_those_of_sinabs_on_random_layers():
    """The library's own `DynapcnnLayer.memory_summary`, in a process where the vendor's module is a stand-in."""
    layers = random_layers(300)
    done = python(SINABS, stdin=json.dumps(layers))
    assert done.returncode == 0, done.stderr
    for (shape, features, kernel, stride, padding, bias), words in zip(layers, json.loads(done.stdout), strict=True):
        size = Dimensions(kernel_size=kernel, stride=stride, padding=padding, input_shape=shape, output_shape=(features, 1, 1))
        need = memory_need(shape, (features, *size.expected_map()), kernel, has_bias=bias)
        assert {"kernel": need.kernel, "neuron": need.neuron, "bias": need.bias} == words


# --- addresses ---


def test_the_addresses_of_the_vendors_notebook():
    """A map of one feature and 2 x 2 pixels: (x, y) -> address."""
    addresses = {(x, y): neuron_address((0, y, x), (1, 2, 2), BITS) for x in (0, 1) for y in (0, 1)}
    assert addresses == {(0, 0): 0, (0, 1): 2, (1, 0): 1, (1, 1): 3}


@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 20), st.integers(1, 20)))
def test_every_neuron_has_an_address_of_its_own_or_the_map_has_none(shape):
    neurons = list(itertools.product(*map(range, shape)))[:2000]
    try:
        addresses = [neuron_address(neuron, shape, BITS) for neuron in neurons]
    except AddressError as error:
        assert "wider than high" in str(error)
        assert (shape[2] - 1).bit_length() > (shape[1] - 1).bit_length() > 0
        return
    assert len(set(addresses)) == len(addresses)
    assert [neuron_position(address, shape, BITS) for address in addresses] == neurons


def test_a_single_row_is_addressed_whatever_its_width():
    addresses = [neuron_address((f, 0, x), (3, 1, 8), BITS) for x in range(8) for f in range(3)]
    assert addresses == [x << 2 | f for x in range(8) for f in range(3)]
    assert [neuron_position(address, (3, 1, 8), BITS) for address in addresses] == [(f, 0, x) for x in range(8) for f in range(3)]


def test_feature_then_x_then_y():
    assert neuron_address((3, 5, 6), (4, 8, 8), BITS) == 5 << (2 + 3) | 6 << 2 | 3


@pytest.mark.parametrize(
    ("position", "shape", "words"),
    [
        ((4, 0, 0), (4, 8, 8), "outside the map"),
        ((0, -1, 0), (4, 8, 8), "outside the map"),
        ((0, 0, 0), (4, 4, 8), "wider than high"),
        ((0, 0, 0), (1024, 64, 64), "needs 22 address bits, there are 18"),
        ((0, 0, 0), (64, 128, 2), "needs 20 address bits"),
        ((0, 0, 0), (0, 4, 4), "at least one"),
    ],
)
def test_neurons_without_an_address(position, shape, words):
    with pytest.raises(AddressError, match=words):
        neuron_address(position, shape, BITS)


@pytest.mark.parametrize("address", [3, 4 << 5, -1])
def test_addresses_without_a_neuron(address):
    with pytest.raises(AddressError, match=r"belongs to no neuron of the map \(3, 4, 4\)"):
        neuron_position(address, (3, 4, 4), BITS)
