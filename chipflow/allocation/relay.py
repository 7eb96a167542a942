"""A layer that copies spikes: what a source with too many readers may be given, at the price of a core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chipflow.ir.plan import LayerShape, Link, NetworkShape

SENSOR = ""


def relays_needed(readers: int, destinations: int) -> int:
    """Copies in a row, each of which feeds as many readers as are left to it beside the next copy."""
    return max(0, -(-(readers - destinations) // (destinations - 1))) if destinations > 1 else 0


def with_relays(network: NetworkShape, source: str, count: int) -> NetworkShape:
    """The network in which so many layers pass the source's spikes on, unchanged: convolutions of one pixel with the identity's weights.

    Args:
        network: with a source of too many readers.
        source: the layer; "" for the sensor.
        count: how many copies; their names are the source's with ".copy" behind, and a number from the second on.
    """
    layers = {layer.name: layer for layer in network.layers}
    if source == SENSOR:
        shape = layers[network.sensor_targets[0]].input_shape
        links = [Link(target) for target in network.sensor_targets]
        kept, copies = _chain("sensor", shape, links, count)
        ordered = (*copies, *network.layers)
        return replace(network, layers=ordered, sensor_targets=tuple(link.target for link in kept))
    layer = layers[source]
    kept, copies = _chain(source, layer.output_shape, layer.links, count)
    at = network.layers.index(layer)
    changed = replace(layer, links=tuple(kept))
    return replace(network, layers=(*network.layers[:at], changed, *copies, *network.layers[at + 1 :]))


def _chain(name: str, shape: tuple[int, int, int], links: Sequence[Link], count: int) -> tuple[list[Link], list[LayerShape]]:
    """The links that stay with the source, the first copy among them, and the copies with the rest."""
    names = [f"{name}.copy{number if number > 1 else ''}" for number in range(1, count + 1)]
    each = -(-(len(links) - 1) // (count + 1))
    groups = [list(links[i * each : (i + 1) * each]) for i in range(count)] + [list(links[count * each :])]
    for i, copy in enumerate(names):
        groups[i].append(Link(copy))
    return groups[0], [LayerShape(copy, shape, shape[0], 1, links=tuple(groups[i + 1])) for i, copy in enumerate(names)]
