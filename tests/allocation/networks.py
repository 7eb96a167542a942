"""Small random networks and chips, seeded: shapes fit together, memories are such that some fit and some do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chipflow.ir.plan import READOUT, LayerShape, Link, NetworkShape
from hwconfig import ChipSpec, get_chip, synthetic_chip


def link(*targets: str, pooling: int = 1, shift: int = 0) -> tuple[Link, ...]:
    return tuple(Link(target, pooling, shift) for target in targets)


def mnist() -> NetworkShape:
    """The network of sinabs' documentation, as it lies on a Speck."""
    return NetworkShape(
        (
            LayerShape("conv1", (1, 28, 28), 20, 5, links=link("conv2", pooling=2)),
            LayerShape("conv2", (20, 12, 12), 32, 5, links=link("conv3", pooling=2)),
            LayerShape("conv3", (32, 4, 4), 128, 3, links=link("fc1", pooling=2)),
            LayerShape("fc1", (128, 1, 1), 500, 1, links=link("fc2"), whole_map=True),
            LayerShape("fc2", (500, 1, 1), 10, 1, whole_map=True),
        )
    )


def chain(*layers: LayerShape) -> NetworkShape:
    """Each layer feeds the next, by its first link's pooling where it has one."""
    following = [layer.name for layer in layers[1:]]
    linked = [
        replace(layer, links=link(target, pooling=layer.links[0].pooling if layer.links else 1))
        for layer, target in zip(layers, following, strict=False)
    ]
    return NetworkShape((*linked, layers[-1]))


@dataclass
class Builder:
    """Adds layers whose shapes follow from those they read."""

    rng: np.random.Generator
    layers: dict[str, LayerShape]
    most_features: int

    def add(self, sources: list[str], *, concatenated: bool, last: bool) -> None:
        name = f"layer{len(self.layers)}"
        pooling = int(self.rng.choice([1, 2])) if sources and min(self._map(source)[0] for source in sources) >= 4 else 1
        shift = 0
        for source in sources:
            shape = self.layers[source]
            self.layers[source] = replace(shape, links=(*shape.links, Link(name, pooling, shift)))
            shift += shape.features if concatenated else 0
        features = shift or self.layers[sources[0]].features
        side = self._map(sources[0])[0] // pooling
        self.layers[name] = self._layer(name, (features, side, side), last)

    def _map(self, name: str) -> tuple[int, int]:
        return self.layers[name].output_shape[1:]

    def _layer(self, name: str, input_shape: tuple[int, int, int], last: bool) -> LayerShape:
        side = input_shape[1]
        features = int(self.rng.integers(1, self.most_features + 1))
        if last and self.rng.random() < 0.5:
            return LayerShape(name, input_shape, features, side, has_bias=bool(self.rng.random() < 0.3), whole_map=True)
        kernel = int(self.rng.choice([1, 3]))
        padding = kernel // 2
        return LayerShape(name, input_shape, features, kernel, (1, 1), (padding, padding), has_bias=bool(self.rng.random() < 0.3))


def random_network(rng: np.random.Generator, most_layers: int = 4, most_features: int = 6) -> NetworkShape:
    """A chain with branches that end, are added, or are concatenated."""
    count = int(rng.integers(1, most_layers + 1))
    side = int(rng.choice([2, 4, 8]))
    build = Builder(rng, {}, most_features)
    build.layers["layer0"] = build._layer("layer0", (int(rng.integers(1, 4)), side, side), False)
    for i in range(1, count):
        names = list(build.layers)
        sources = [names[int(rng.integers(max(len(names) - 2, 0), len(names)))]]
        alike = [name for name in names if build._map(name) == build._map(sources[0]) and name != sources[0]]
        concatenated = bool(rng.random() < 0.5)
        if not concatenated:
            alike = [name for name in alike if build.layers[name].features == build.layers[sources[0]].features]
        if alike and rng.random() < 0.4:
            sources = sorted([sources[0], alike[0]])
        build.add(sources, concatenated=concatenated, last=i == count - 1)
    layers = list(build.layers.values())
    if rng.random() < 0.2:
        layers[-1] = replace(layers[-1], links=(Link(READOUT),))
    sensor = ("layer0",) if rng.random() < 0.3 else ()
    return NetworkShape(tuple(layers), sensor)


def random_chip(rng: np.random.Generator, most_cores: int = 6) -> ChipSpec:
    """A few cores of at most three kinds, small enough to be too small for some layers."""
    kinds = [
        (int(2 ** rng.integers(4, 11)), int(2 ** rng.integers(4, 9)), int(rng.choice([0, 2, 8])))
        for _ in range(int(rng.integers(1, 4)))
    ]
    cores = [kinds[int(rng.integers(len(kinds)))] for _ in range(int(rng.integers(2, most_cores + 1)))]
    limits = {"destinations": int(rng.integers(1, 5)), "feature_shift": int(rng.choice([3, 8, 100]))}
    chip = synthetic_chip(cores, limits=limits)
    ratings = [int(rng.choice([30, 100, 7])) for _ in cores]
    rated = tuple(core.model_copy(update={"synops_per_second": rate}) for core, rate in zip(chip.cores, ratings, strict=True))
    parallel = tuple(core for core in chip.core_ids if rng.random() < 0.2)
    return chip.model_copy(update={"cores": rated, "parallel_cores": parallel})


def random_case(seed: int) -> tuple[NetworkShape, ChipSpec]:
    rng = np.random.default_rng(seed)
    return random_network(rng), random_chip(rng)


SPECK = get_chip("speck2f")
