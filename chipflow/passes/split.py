"""A layer in parts, along its features, for several cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chipflow.ir.plan import LayerPlan, Link, NetworkPlan

Range = tuple[str, int, int]
"""Name, first feature and number of features of a part."""


@dataclass(frozen=True)
class Split:
    """Each part computes what its features of the whole layer compute, event by event; sources then send to all parts.

    Attributes:
        parts: layer -> its parts, in the order of the features; a layer that is not named stays whole.
    """

    parts: Mapping[str, Sequence[Range]]

    def __call__(self, plan: NetworkPlan) -> NetworkPlan:
        """The plan with the parts in the places of their layers."""
        layers = tuple(self._part(layer, *part) for layer in plan.layers for part in self._of(layer))
        names = {layer.name: tuple(name for name, _, _ in self._of(layer)) for layer in plan.layers}
        entries = {given: _all(names, readers) for given, readers in plan.entries.items()}
        sensor = plan.sensor and replace(plan.sensor, targets=_all(names, plan.sensor.targets))
        return replace(plan, layers=layers, entries=entries, sensor=sensor)

    def _of(self, layer: LayerPlan) -> Sequence[Range]:
        return self.parts.get(layer.name, [(layer.name, 0, layer.shape.features)])

    def _part(self, layer: LayerPlan, name: str, first: int, count: int) -> LayerPlan:
        mine = slice(first, first + count)
        biases = None if layer.biases is None else layer.biases[mine]
        shape = replace(
            layer.shape,
            name=name,
            features=count,
            has_bias=biases is not None and bool(biases.any()),
            links=tuple(moved for link in layer.shape.links for moved in self._links(link, first)),
        )
        return replace(layer, shape=shape, weights=layer.weights[mine], biases=biases, first_feature=layer.first_feature + first)

    def _links(self, link: Link, first: int) -> list[Link]:
        """To every part of the target, shifted to where the part's features begin."""
        return [
            replace(link, target=name, shift=link.shift + first)
            for name, _, _ in self.parts.get(link.target, [(link.target, 0, 0)])
        ]


def _all(names: Mapping[str, tuple[str, ...]], layers: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for layer in layers for name in names[layer])
