"""What a layer on a core costs, by objective: tables of exact integers, the more important first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import lcm, prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chipflow.ir.plan import LayerShape
from hwconfig.chip import ChipSpec

Objective = Literal["memory", "speed"]
OBJECTIVES: tuple[Objective, ...] = ("memory", "speed")
Table = npt.NDArray[Any]
"""[layer, core], int64; Python's integers where 64 bits are too few."""

WORD = np.iinfo(np.int64)
MOST = int(WORD.max) // 4  # sums of two costs and a stand-in for infinity stay within the word


def cost_terms(
    layers: Sequence[LayerShape], chip: ChipSpec, objective: Objective, synops: Mapping[str, int]
) -> tuple[Table, ...]:
    """The tables whose sums over a placement are compared one after the other.

    "memory": whether a layer that another one feeds lies on a core with parallel computing, which is meant for input layers; then the
    words of the core's memories, so that large memories stay free. "speed": before these, the time that the layer's synaptic
    operations take at the core's rating, in units that make it whole; a part of a split layer counts as the whole layer.
    """
    fed = {link.target for layer in layers for link in layer.links}
    hidden = np.array([layer.name in fed for layer in layers], bool)
    parallel = np.array([core.id in chip.parallel_cores for core in chip.cores], bool)
    words = np.array([core.kernel_words + core.neuron_words + core.bias_words for core in chip.cores], np.int64)
    by_memory = (np.outer(hidden, parallel).astype(np.int64), np.tile(words, (len(layers), 1)))
    return by_memory if objective == "memory" else (_seconds(layers, chip, synops), *by_memory)


def _seconds(layers: Sequence[LayerShape], chip: ChipSpec, synops: Mapping[str, int]) -> Table:
    ratings = [core.synops_per_second for core in chip.cores]
    unit = lcm(*ratings)
    operations = [synops.get(layer.name, operations_of(layer)) for layer in layers]
    return _smallest_type(np.outer(np.array(operations, object), np.array([unit // rating for rating in ratings], object)))


def operations_of(layer: LayerShape) -> int:
    """Multiply-accumulates of the layer if every input pixel had one event: what counts where no recording says more."""
    return prod(max(size, 0) for size in layer.output_shape) * layer.input_shape[0] * layer.kernel_size**2


def combined(terms: Sequence[Table]) -> Table:
    """One table whose sums, over layers that take cores of their own, compare as the sums of the terms do, one after the other."""
    total = terms[0]
    for term in terms[1:]:
        bound = 1 + most_sum(term)
        wide = most_sum(total) * bound + bound >= MOST
        total = _smallest_type((total.astype(object) if wide else total) * bound + term)
    return total


def most_sum(table: Table) -> int:
    """No sum over different cores is larger."""
    return sum(int(most) for most in table.max(axis=0)) if table.size else 0


def _smallest_type(table: Table) -> Table:
    return table.astype(np.int64) if most_sum(table) < MOST else table.astype(object)
