"""What each layer needs of each memory, and how many of its features each core could hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chipflow.ir.plan import LayerShape
from hwconfig.chip import ChipSpec, CoreSpec
from hwconfig.memory import MemoryNeed, memory_need, most_features


@dataclass(frozen=True)
class Demand:
    """A layer's need, and what the cores have for it.

    Attributes:
        layer: its name.
        need: words of each memory.
        most: for each core of the chip, in its order, the most features of this layer that it could hold; at most all of them.
        cores: ids of the cores that hold the whole layer.
    """

    layer: str
    need: MemoryNeed
    most: tuple[int, ...]
    cores: tuple[int, ...]


def demands_of(layers: Sequence[LayerShape], chip: ChipSpec, known: dict[LayerShape, Demand]) -> tuple[Demand, ...]:
    """What each layer asks of this chip; `known` has those that were worked out before, and takes the new ones."""
    if any(layer not in known for layer in layers):
        memories = [capacity(core) for core in chip.cores]
        kinds = {kind: i for i, kind in enumerate(dict.fromkeys(memories))}
        kind_of, ids, sizes = [kinds[kind] for kind in memories], chip.core_ids, list(kinds)
        known.update((layer, _demand(layer, ids, sizes, kind_of)) for layer in layers if layer not in known)
    return tuple(known[layer] for layer in layers)


def _demand(layer: LayerShape, core_ids: tuple[int, ...], kinds: Sequence[MemoryNeed], kind_of: Sequence[int]) -> Demand:
    by_kind = most_on(layer, kinds)
    most = tuple(by_kind[kind] for kind in kind_of)
    whole = tuple(core for core, count in zip(core_ids, most, strict=True) if count >= layer.features > 0)
    return Demand(layer.name, layer_need(layer), most, whole)


def layer_need(layer: LayerShape) -> MemoryNeed:
    """Words of each memory for one layer; none of them where it has no neurons."""
    if not has_neurons(layer):
        return MemoryNeed(0, 0, 0)
    return memory_need(layer.input_shape, layer.output_shape, layer.kernel_size, has_bias=layer.has_bias)


def most_on(layer: LayerShape, kinds: Sequence[MemoryNeed]) -> list[int]:
    """For each size of memories, the most features of the layer that they hold."""
    if not has_neurons(layer):
        return [0] * len(kinds)
    _, height, width = layer.output_shape
    sizes = layer.input_shape[0], height, width, layer.kernel_size
    return [min(most_features(kind, *sizes, has_bias=layer.has_bias), layer.features) for kind in kinds]


def has_neurons(layer: LayerShape) -> bool:
    """Whether all its sizes are positive, as the formulas of memory want them; otherwise the limits say what is wrong."""
    sizes = (*layer.input_shape, layer.kernel_size, *layer.stride)
    return min(sizes) >= 1 and min(layer.output_shape) >= 1


def capacity(core: CoreSpec) -> MemoryNeed:
    """A core's memories, in words."""
    return MemoryNeed(core.kernel_words, core.neuron_words, core.bias_words)
