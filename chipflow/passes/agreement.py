"""A network's versions on recordings, side by side, and how far their spikes agree with the float version's.

All versions are computed as `chipflow.ir.interpret` does, time step by time step, which is how the float network was trained and what
a recording [time, ...] determines; the chip decides at each event, in an order that a raster does not have. Since both sides follow the same
rule, what differs is due to rounding only. A version's layer reads what the version's layers before it gave, as on the chip, and is compared with
the float network: a layer's choice can make up for the errors before it, and the last layer's figure is the whole network's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from chipflow.ir.graph import Graph
from chipflow.ir.interpret import Values, evaluate
from chipflow.ir.nodes import Conv2d, Iaf, Input
from chipflow.quantization import Disagreement

Maps = list[Values]
"""Values of a node, one array [time, ...] for each recording."""
Layer = tuple[Conv2d, Iaf]
Version = Callable[[Layer, Maps, Maps], Layer]
"""A float layer, its input in this version, and the float network's spikes -> the layer in this version."""


@dataclass(frozen=True)
class Tally:
    """One layer in one version: spikes of the float network, how far its own are from these, and features at the extremes."""

    spikes: int
    found: Disagreement
    silent_features: tuple[int, ...]
    busy_features: tuple[int, ...]


@dataclass
class Lane:
    """One version on its way. `values` has the nodes that something still reads, and outputs."""

    version: Version
    values: dict[str, Maps]
    tallies: dict[str, Tally] = field(default_factory=dict[str, Tally])


def weighted_layers(graph: Graph) -> dict[str, Layer]:
    """Convolutions that one layer of neurons reads, and nothing else, with these neurons; by the convolution's name."""
    layers: dict[str, Layer] = {}
    for node in graph.nodes:
        targets = [graph[name] for name in graph.targets(node.name)]
        if isinstance(node, Conv2d) and len(targets) == 1 and isinstance(targets[0], Iaf):
            layers[node.name] = node, targets[0]
    return layers


def run_beside(graph: Graph, recordings: Sequence[Mapping[str, Values]], versions: Sequence[Version]) -> list[Lane]:
    """Each version's tallies by convolution, and under `values` its outputs; the float network's lane comes first.

    Args:
        graph: in floats.
        recordings: rasters by the name of the input.
        versions: what else to run.
    """
    given = {node.name: [recording[node.name] for recording in recordings] for node in graph.inputs}
    lanes = [Lane(version, dict(given)) for version in (_float, *versions)]
    layers = weighted_layers(graph)
    convs = {neuron.name: conv for conv, neuron in layers.values()}
    unread = Counter(source for source, _ in graph.edges) + Counter(graph.outputs)
    for node in graph.nodes:
        if isinstance(node, Input) or node.name in layers:
            continue  # a convolution is computed together with its neurons
        conv = convs.get(node.name)
        sources = graph.sources(conv.name if conv else node.name)
        for lane in lanes:
            if conv:
                _run_layer(lane, lanes[0], layers[conv.name], sources[0])
            else:
                inputs = zip(*(lane.values[source] for source in sources), strict=True)
                lane.values[node.name] = [evaluate(node, *maps) for maps in inputs]
        _forget(sources, unread, lanes)
    return lanes


def displacement(maps: Maps, wanted: Maps) -> int:
    """How far spikes are displaced, see `chipflow.quantization.Disagreement`."""
    return sum(_displacement(a, b) for a, b in zip(maps, wanted, strict=True))


def displacement_of(layer: Layer, inputs: Maps, wanted: Maps, enough: float) -> int:
    """The same for a layer's spikes on these inputs; ends once it is known to be `enough` or more."""
    total = 0
    for x, spikes in zip(inputs, wanted, strict=True):
        total += _displacement(_spikes(layer, x), spikes)
        if total >= enough:
            break
    return total


def _float(layer: Layer, inputs: Maps, wanted: Maps) -> Layer:
    return layer


def _run_layer(lane: Lane, floats: Lane, layer: Layer, source: str) -> None:
    conv, neuron = layer
    inputs = lane.values[source]
    chosen = lane.version(layer, inputs, floats.values.get(neuron.name, []))
    lane.values[neuron.name] = [_spikes(chosen, x) for x in inputs]
    lane.tallies[conv.name] = _tally(lane.values[neuron.name], floats.values[neuron.name])


def _spikes(layer: Layer, x: Values) -> Values:
    conv, neuron = layer
    return evaluate(neuron, evaluate(conv, x))


def _displacement(a: Values, b: Values) -> int:
    ahead = np.zeros(a.shape[1:])
    total = 0.0
    for now, wanted in zip(a, b, strict=True):
        ahead += now - wanted
        total += np.abs(ahead).sum()
    return int(total)


def _disagreement(maps: Maps, wanted: Maps) -> Disagreement:
    differences = [a - b for a, b in zip(maps, wanted, strict=True)]
    return Disagreement(
        differing=int(sum(np.abs(d).sum() for d in differences)),
        miscounted=int(sum(np.abs(d.sum(0)).sum() for d in differences)),
        displacement=displacement(maps, wanted),
    )


def _tally(maps: Maps, wanted: Maps) -> Tally:
    counts = np.sum([spikes.sum((0, 2, 3)) for spikes in maps], axis=0)
    always = np.all([(spikes > 0).all(0) for spikes in maps], axis=0)
    return Tally(
        spikes=int(sum(spikes.sum() for spikes in wanted)),
        found=_disagreement(maps, wanted),
        silent_features=_where(counts == 0),
        busy_features=_where(always.any((1, 2))),
    )


def _where(flags: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(flags))


def _forget(sources: Sequence[str], unread: Counter[str], lanes: Sequence[Lane]) -> None:
    """Frees the values that nothing reads any more."""
    for source in sources:
        unread[source] -= 1
        if not unread[source]:
            for lane in lanes:
                del lane.values[source]
