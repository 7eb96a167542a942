"""Parts of layers: consecutive features, and the core that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """What one core gets of a layer.

    Attributes:
        layer: the user's layer.
        features: how many of its features.
        first_feature: of the layer, that the part's feature 0 is.
        core: id of the core.
        name: the layer's name, with the features behind it where the layer is split: "conv1[0:16]".
    """

    layer: str
    features: int
    first_feature: int
    core: int
    name: str


def whole(layer: str, features: int, core: int) -> Part:
    """A layer that is not split."""
    return Part(layer, features, 0, core, layer)


def split(
    layer: str, features: int, cores: Sequence[int], most: Sequence[int], *, ordered: bool, least_last: int
) -> tuple[Part, ...]:
    """A layer over several cores, its features as equally as the cores allow.

    Args:
        layer: its name.
        features: all of its features.
        cores: ids of the cores; in this order, unless the last part has to be larger than the last core allows.
        most: the most features that each core could hold; enough together.
        ordered: whether the order of the cores is the user's.
        least_last: features of the last part at least, so that its destinations' feature shifts stay within the chip's limit.
    """
    order = list(range(len(cores)))
    if least_last > most[order[-1]] and not ordered:
        order.append(order.pop(max(order, key=lambda i: most[i])))
    sizes = balanced(features, [most[i] for i in order], least_last)
    return tuple(_parts(layer, sizes, [cores[i] for i in order]))


def _parts(layer: str, sizes: Sequence[int], cores: Sequence[int]) -> Iterator[Part]:
    first = 0
    for size, core in zip(sizes, cores, strict=True):
        yield Part(layer, size, first, core, f"{layer}[{first}:{first + size}]")
        first += size


def balanced(features: int, most: Sequence[int], least_last: int = 0) -> list[int]:
    """As equal sizes as these capacities allow, with at least so many in the last part."""
    sizes = _equal(features, most)
    if sizes[-1] < least_last:
        sizes = [*_equal(features - least_last, most[:-1]), least_last]
    return sizes


def _equal(features: int, most: Sequence[int]) -> list[int]:
    """From the smallest capacity on, each takes its share of what is left; among equals the first ones take one more."""
    sizes = [0] * len(most)
    left = features
    order = sorted(range(len(most)), key=lambda i: (most[i], -i))
    for taken, i in enumerate(order):
        sizes[i] = min(most[i], left // (len(order) - taken))
        left -= sizes[i]
    return sizes
