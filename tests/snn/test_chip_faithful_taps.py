"""The tables of a core against the definition, written down in plain loops."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chipflow.snn.chip.taps import Geometry, taps_of


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def geometries(draw):
    geometry = Geometry(
        input_shape=(draw(st.integers(1, 2)), *draw(pairs(1, 9))),
        features=draw(st.integers(1, 3)),
        pool=draw(pairs(1, 3)),
        kernel=draw(pairs(1, 5)),
        stride=draw(pairs(1, 4)),
        padding=draw(pairs(0, 3)),
    )
    return geometry if min(*geometry.pooled_shape, *geometry.output_shape) > 0 else draw(geometries())


@settings(deadline=None, max_examples=150)
@given(geometries())
def test_an_event_touches_the_neurons_of_the_definition_with_their_weights(geometry):
    taps, size = taps_of(geometry), geometry.features * geometry.input_shape[0] * geometry.kernel[0] * geometry.kernel[1]
    numbers = np.arange(size).reshape(geometry.features, geometry.input_shape[0], *geometry.kernel)
    weights = taps.arranged(numbers)
    places = np.argsort(taps.places)
    for position in range(int(np.prod(geometry.input_shape))):
        wanted = touched(geometry, position, numbers)
        found = walked(taps, position, weights)
        assert {int(places[neuron]): weight for neuron, weight in wanted.items()} == found
        assert taps.fan_out[position] == len(wanted)


def touched(geometry, position, numbers):
    """Neuron in the order (feature, y, x) -> weight."""
    c, y, x = np.unravel_index(position, geometry.input_shape)
    y, x = y // geometry.pool[0], x // geometry.pool[1]
    features, height, width = geometry.output_shape
    found = {}
    if y >= geometry.pooled_shape[1] or x >= geometry.pooled_shape[2]:
        return found
    for oy in range(height):
        for ox in range(width):
            ky = y + geometry.padding[0] - oy * geometry.stride[0]
            kx = x + geometry.padding[1] - ox * geometry.stride[1]
            if 0 <= ky < geometry.kernel[0] and 0 <= kx < geometry.kernel[1]:
                found |= {(f * height + oy) * width + ox: int(numbers[f, c, ky, kx]) for f in range(features)}
    return found


def walked(taps, position, weights):
    """Neuron in the kernels' order -> weight, as the kernels go."""
    first, at, rows, extent = (int(value) for value in taps.arrivals[position])
    found = {}
    for row in range(rows):
        found |= {first + row * taps.row + j: int(weights[at - row * taps.row_weights + j]) for j in range(extent)}
    return found
