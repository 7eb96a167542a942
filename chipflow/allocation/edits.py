"""Changes to layers, and what follows from them for all layers behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

from chipflow.ir.plan import LayerShape, Link, NetworkShape

Source = tuple[LayerShape, int]
"""A layer before the change, and the index of one of its links."""


def sources_of(network: NetworkShape, target: str) -> list[Source]:
    """The links into a layer."""
    return [(layer, i) for layer in network.layers for i, link in enumerate(layer.links) if link.target == target]


def _all_sources(network: NetworkShape) -> dict[str, list[Source]]:
    """The links into every layer that has any."""
    found: dict[str, list[Source]] = {}
    for layer in network.layers:
        for i, link in enumerate(layer.links):
            found.setdefault(link.target, []).append((layer, i))
    return found


def with_layers(network: NetworkShape, changed: Mapping[str, LayerShape]) -> NetworkShape | None:
    """The network with these layers in the places of those of their names, and with the shapes that follow for all behind them.

    Maps shrink or grow with those that are pooled into them; of concatenated layers, those that come later move up; a fully connected layer
    sees the whole of the new map. None where layers that are added would differ in size.
    """
    new = {layer.name: changed.get(layer.name, layer) for layer in network.layers}
    into = _all_sources(network)
    for reader in network.layers:
        sources = into.get(reader.name, [])
        if not sources:
            continue
        sizes = {_pooled(new[source.name], new[source.name].links[i]) for source, i in sources}
        spans = _moved(sources, new)
        if len(sizes) > 1 or spans is None:
            return None
        for (source, i), shift in zip(sources, spans, strict=True):
            new[source.name] = _with_link(new[source.name], i, replace(new[source.name].links[i], shift=shift))
        grown = max(shift + new[s.name].features for (s, _), shift in zip(sources, spans, strict=True)) - max(
            s.links[i].shift + s.features for s, i in sources
        )
        new[reader.name] = _seeing(new[reader.name], reader, (reader.input_shape[0] + grown, *sizes.pop()))
    return replace(network, layers=tuple(new[layer.name] for layer in network.layers))


def _pooled(source: LayerShape, link: Link) -> tuple[int, int]:
    _, height, width = source.output_shape
    return height // max(link.pooling, 1), width // max(link.pooling, 1)


def _moved(sources: list[Source], new: Mapping[str, LayerShape]) -> list[int] | None:
    """The new shift of each link into one layer: spans of features keep their order and their gaps."""
    spans: dict[tuple[int, int], set[int]] = {}
    for source, i in sources:
        start = source.links[i].shift
        spans.setdefault((start, start + source.features), set()).add(new[source.name].features)
    same = all(widths == {end - start} for (start, end), widths in spans.items())
    ordered = sorted(spans)
    apart = all(before[1] <= after[0] for before, after in pairwise(ordered))
    if not same and (not apart or any(len(widths) > 1 for widths in spans.values())):
        return None
    starts, moved = {}, 0
    for start, end in ordered:
        starts[start, end] = start + moved
        moved += next(iter(spans[start, end])) - (end - start)
    return [starts[s.links[i].shift, s.links[i].shift + s.features] for s, i in sources]


def _with_link(layer: LayerShape, index: int, link: Link) -> LayerShape:
    return replace(layer, links=(*layer.links[:index], link, *layer.links[index + 1 :]))


def _seeing(layer: LayerShape, before: LayerShape, input_shape: tuple[int, int, int]) -> LayerShape:
    """The layer behind a new input; `before` is as it was before any change."""
    if not before.whole_map or input_shape[1:] == before.input_shape[1:] or min(input_shape) < 1:
        return replace(layer, input_shape=input_shape)
    size = max(input_shape[1:])
    axes = [_axis(side, size, step) for side, step in zip(input_shape[1:], layer.stride, strict=True)]
    padding, stride = (axes[0][0], axes[1][0]), (axes[0][1], axes[1][1])
    return replace(layer, input_shape=input_shape, kernel_size=size, padding=padding, stride=stride)


def _axis(side: int, size: int, stride: int) -> tuple[int, int]:
    """Padding and stride of one axis with which a kernel of this size gives one pixel."""
    padding = (size - side + 1) // 2
    return padding, stride if side + 2 * padding == size else max(stride, 2)


def added_with(network: NetworkShape, name: str) -> tuple[str, ...]:
    """The layers that must have as many features as this one, as their spikes are added to its; itself among them."""
    group = {name: None}
    for member in (waiting := [name]):
        for layer in network.layers:
            for link in layer.links:
                other = _span_of(network, member, link.target)
                if layer.name not in group and (link.shift, link.shift + layer.features) in other:
                    group[layer.name] = None
                    waiting.append(layer.name)
    return tuple(layer.name for layer in network.layers if layer.name in group)


def _span_of(network: NetworkShape, name: str, target: str) -> list[tuple[int, int]]:
    """The features of a reader that a layer sends to."""
    if not target:
        return []
    return [
        (source.links[i].shift, source.links[i].shift + source.features)
        for source, i in sources_of(network, target)
        if source.name == name
    ]


def each(network: NetworkShape, names: tuple[str, ...], change: Callable[[LayerShape], LayerShape]) -> dict[str, LayerShape]:
    """The named layers, changed."""
    return {layer.name: change(layer) for layer in network.layers if layer.name in names}
