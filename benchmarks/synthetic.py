"""Networks and streams of any size whose layers pass on about as many spikes as they get, so that only what is varied varies.

Weights are not negative, so that every event brings a core the same charge but for what falls beyond the edge of the map, and a spike
takes as much away: about one spike per event in every layer, however deep. States start anywhere below the threshold, so that this
holds from the first event on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chipflow.events import EVENT_DTYPE, EventArray
from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions, synthetic_chip

MANY_WORDS, MANY_FEATURES = 1 << 20, 1 << 11  # a chip with room for any of the layers
MOST_WEIGHT, MOST_THRESHOLD = 127, 30_000
BLOCK = 1 << 16


@dataclass(frozen=True)
class Layer:
    """A convolution with stride 1 and an odd kernel, from a square map to one of the same size.

    Attributes:
        zeros: share of the weights that are zero.
        sources: how many streams merge before it, each with as many events as the input.
    """

    channels: int = 16
    features: int = 16
    kernel: int = 3
    size: int = 32
    zeros: float = 0.0
    sources: int = 1

    @property
    def padding(self) -> int:
        """What keeps the size of the map."""
        return self.kernel // 2

    @property
    def inside(self) -> float:
        """Share of the taps that lie on the map, on average over all places of an event."""
        beyond = self.padding * (self.padding + 1) / (self.kernel * self.size)
        return (1 - beyond) ** 2


def chain(layers: Sequence[Layer]) -> ChipConfig:
    """One core after the other; the last one goes nowhere."""
    return network(layers, {i: [i + 1] for i in range(len(layers) - 1)})


def network(layers: Sequence[Layer], targets: Mapping[int, Sequence[int]]) -> ChipConfig:
    """A core for each layer, none of them monitored, as most cores inside of a network are.

    Args:
        targets: for each core, those that its spikes go to.
    """
    chip = synthetic_chip([(MANY_WORDS, MANY_WORDS, MANY_FEATURES)] * len(layers))
    return ChipConfig(chip=chip, cnn_layers={i: _core(layer, targets.get(i, ())) for i, layer in enumerate(layers)})


def stream(layer: Layer, count: int) -> EventArray:
    """Events anywhere on the layer's input, one in a microsecond; made piece by piece, to need no memory beside the array."""
    rng, events = np.random.default_rng(2), np.empty(count, EVENT_DTYPE)
    for at in range(0, count, BLOCK):
        block = events[at : at + BLOCK]
        for name, end in (("x", layer.size), ("y", layer.size), ("p", layer.channels)):
            block[name] = rng.integers(0, end, len(block))
        block["t"] = np.arange(at, at + len(block))
    return events


def _core(layer: Layer, targets: Sequence[int]) -> CoreConfig:
    rng = np.random.default_rng(1)
    taps = layer.kernel**2 * layer.features
    most = min(MOST_WEIGHT, 2 * MOST_THRESHOLD // (taps * layer.sources) - 1)
    weights = rng.integers(1, most, (layer.features, layer.channels, layer.kernel, layer.kernel), endpoint=True)
    weights[rng.random(weights.shape) < layer.zeros] = 0
    threshold = round(int(weights.sum()) / layer.channels * layer.inside * layer.sources)
    map_shape = (layer.features, layer.size, layer.size)
    return CoreConfig(
        dimensions=Dimensions(
            kernel_size=layer.kernel,
            padding=(layer.padding, layer.padding),
            input_shape=(layer.channels, layer.size, layer.size),
            output_shape=map_shape,
        ),
        weights=weights.astype(np.int8),
        neurons_initial_value=rng.integers(0, threshold, map_shape).astype(np.int16),
        threshold_high=threshold,
        threshold_low=-1,  # the highest that the chip allows; no weight is negative, so no state gets there
        destinations=[Destination(layer=target) for target in targets],
    )
