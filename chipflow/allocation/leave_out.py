"""A network without one of its layers: what a user with more layers than cores may try."""

from __future__ import annotations

from dataclasses import replace

from chipflow.allocation.edits import sources_of, with_layers
from chipflow.ir.plan import LayerShape, Link, NetworkShape


def without_layer(network: NetworkShape, name: str) -> NetworkShape | None:
    """The network in which the layer that reads this one reads what it read; None unless it is a link of a chain.

    The pooling of both ways is multiplied; the reader's kernel stays, except where it follows the map.
    """
    layers = {layer.name: layer for layer in network.layers}
    layer, sources = layers[name], sources_of(network, name)
    if len(layer.links) != 1 or len(sources) != 1 or name in network.sensor_targets:
        return None
    (link,), ((source, index),) = layer.links, sources
    if link.target not in layers or len(sources_of(network, link.target)) > 1:
        return None
    reader = layers[link.target]
    joined = Link(reader.name, source.links[index].pooling * link.pooling)
    layers[source.name] = replace(source, links=(*source.links[:index], joined, *source.links[index + 1 :]))
    layers[reader.name] = _reading(reader, source)
    del layers[name]
    return with_layers(replace(network, layers=tuple(layers.values())), {})


def _reading(reader: LayerShape, source: LayerShape) -> LayerShape:
    """The reader of as many features as the source has; its map follows."""
    return replace(reader, input_shape=(source.features, *reader.input_shape[1:]))
