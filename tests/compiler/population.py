"""Random chains of layers, legal and illegal, and what an enumeration of all placements says of them.

The enumeration shares nothing with the compiler: formulas and limits are written down once more, from the vendor's documents.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from math import ceil, log2
from random import Random

import torch
from torch import nn

from hwconfig import ChipSpec, get_chip, synthetic_chip


@dataclass(frozen=True)
class Layer:
    """A convolution, or (kernel 0) a linear layer on all of the map; then ReLU, then a sum of `pool` x `pool` pixels."""

    features: int
    kernel: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pool: int = 1
    bias: bool = False


@dataclass(frozen=True)
class Case:
    """A network, a chip, and whether layers may be split."""

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    chip: ChipSpec
    split: bool


MOST_WEIGHTS = 1 << 20  # of a linear layer: more would only take time and memory
CHIPS = ("speck2f", "dynapcnn", "speck2cmini")


def random_case(seed: int) -> Case:
    """The same for the same seed. About half of them fit."""
    rng = Random(seed)
    size = rng.choice([4, 8, 12, 16, 20, 28, 32, 34, 64, 64, 128])
    size = 130 if rng.random() < 0.02 else size
    shape = (rng.choice([1, 2, 2, 3, 16]), size, size)
    layers: list[Layer] = []
    large = rng.random() < 0.45  # few layers that single cores may not hold
    while not layers or (len(layers) < (rng.choice([1, 2, 3]) if large else rng.choice([1, 2, 3, 4, 6, 9, 11])) and size >= 3):
        odd = rng.random() < 0.04
        kernel = rng.choice([k for k in (1, 2, 3, 3, 3, 5, 7, 17 if odd else 3) if k <= size])
        padding = rng.choice([0, 0, 1, 1, 2, 8 if odd else 1]) if kernel > 1 else 0
        stride = rng.choice([1, 1, 1, 2, 2, 3 if odd else 2, 4])
        out = (size + 2 * padding - kernel) // stride + 1
        pool = rng.choice([p for p in (1, 1, 1, 2, 4) if p <= out])
        features = rng.choice([1, 2, 4, 6, 8, 8, 16, 16, 24, 32, 48, 64]) * (4 if large else 1)
        layers.append(Layer(features, kernel, (stride, stride), (padding, padding), pool, rng.random() < 0.2))
        size = out // pool
    features = rng.choice([2, 10, 10, 64, 500])
    if rng.random() < 0.5 and features * layers[-1].features * size * size < MOST_WEIGHTS:
        layers = [*layers[:-1], replace(layers[-1], pool=layers[-1].pool), Layer(features, 0, bias=rng.random() < 0.2)]
    else:
        layers[-1] = replace(layers[-1], pool=1)
    words = [1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14]
    own = [(rng.choice(words), rng.choice(words), rng.choice([0, 64])) for _ in range(rng.randint(1, 6))]
    chip = synthetic_chip(own) if rng.random() < 0.35 else get_chip(rng.choice(CHIPS))
    return Case(shape, tuple(layers), chip, rng.random() < 0.5)


def model(case: Case) -> nn.Sequential:
    """Layers are named `layer0`, `layer1`, ...; all weights are above 0, so that no layer is dead."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    shape = case.input_shape
    for i, layer in enumerate(case.layers):
        if layer.kernel:
            modules[f"layer{i}"] = nn.Conv2d(shape[0], layer.features, layer.kernel, layer.stride, layer.padding, bias=layer.bias)
        else:
            modules[f"flat{i}"] = nn.Flatten()
            modules[f"layer{i}"] = nn.Linear(shape[0] * shape[1] * shape[2], layer.features, bias=layer.bias)
        modules[f"relu{i}"] = nn.ReLU()
        if layer.pool > 1:
            modules[f"pool{i}"] = nn.AvgPool2d(layer.pool)
        shape = shapes(case)[i + 1]
    made = nn.Sequential(modules)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.abs_().add_(1e-3)
    return made


def shapes(case: Case) -> list[tuple[int, int, int]]:
    """What enters each layer, and what leaves the last, after pooling."""
    found = [case.input_shape]
    for layer in case.layers:
        _, (height, width) = neurons(found[-1], layer)
        found.append((layer.features, height // layer.pool, width // layer.pool))
    return found


def neurons(shape: tuple[int, int, int], layer: Layer) -> tuple[int, tuple[int, int]]:
    """The kernel's side and the neuron map."""
    if not layer.kernel:
        return shape[1], (1, 1)
    height, width = (
        (side + 2 * pad - layer.kernel) // step + 1
        for side, pad, step in zip(shape[1:], layer.padding, layer.stride, strict=True)
    )
    return layer.kernel, (height, width)


def is_legal(case: Case) -> bool:
    """Whether every layer is within the limits of any core."""
    entering = shapes(case)
    for i, layer in enumerate(case.layers):
        kernel, (height, width) = neurons(entering[i], layer)
        stride, padding = (layer.stride, layer.padding) if layer.kernel else ((1, 1), (0, 0))
        limits = (
            kernel <= 16, 1 <= height <= 64, 1 <= width <= 64, max(entering[i][1:]) <= 128, max(entering[i][0], layer.features) <= 1024,
            set(stride) <= {1, 2, 4, 8}, max(padding) <= 7, layer.pool in (1, 2, 4),
        )  # fmt: skip
        if not all(limits):
            return False
    return True


def words(shape: tuple[int, int, int], layer: Layer, features: int) -> tuple[int, int, int]:
    """Kernel, neuron and bias words of so many of a layer's features."""
    kernel, (height, width) = neurons(shape, layer)
    up = lambda value: 2 ** ceil(log2(value))  # noqa: E731
    return shape[0] * up(kernel * kernel) * up(features), features * up(height) * up(width), features if layer.bias else 0


def has_placement(case: Case) -> bool:
    """By trying every way to give each layer a core, or several that together hold its features."""
    if not is_legal(case):
        return False
    entering, chip = shapes(case), case.chip
    cores = {core.id: (core.kernel_words, core.neuron_words, core.bias_words) for core in chip.cores}

    def most(i: int, core: int) -> int:
        layer = case.layers[i]
        fitting = [
            n
            for n in range(1, layer.features + 1)
            if all(a <= b for a, b in zip(words(entering[i], layer, n), cores[core], strict=True))
        ]
        return max(fitting, default=0)

    room = [{core: most(i, core) for core in cores} for i in range(len(case.layers))]

    @cache
    def rest(i: int, free: tuple[int, ...]) -> bool:
        if i == len(case.layers):
            return True
        parts = 1 if not case.split else len(free) if i == 0 else min(2, len(free))  # whoever feeds a layer has two destinations
        return any(
            sum(room[i][core] for core in chosen) >= case.layers[i].features
            and all(room[i][core] for core in chosen)
            and rest(i + 1, tuple(core for core in free if core not in chosen))
            for count in range(1, parts + 1)
            for chosen in combinations(free, count)
        )

    return rest(0, tuple(cores))
