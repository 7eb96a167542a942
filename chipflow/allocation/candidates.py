"""Changes that could help, before any of them is tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chipflow.allocation.apply import Value
from chipflow.allocation.demand import capacity, layer_need
from chipflow.allocation.edits import sources_of
from chipflow.allocation.fan_out import spares
from chipflow.allocation.problem import Problem
from chipflow.allocation.relay import relays_needed
from chipflow.allocation.report import LeverKind
from chipflow.ir.plan import LayerShape
from hwconfig.chip import ChipSpec, Limits


@dataclass(frozen=True)
class Candidate:
    """A change of one kind to one layer.

    Attributes:
        kind: see `Lever`.
        layer: its name, "" where it is not about one.
        values: to choose from, the smallest change first.
        monotone: whether a value helps wherever one before it does.
    """

    kind: LeverKind
    layer: str
    values: Sequence[Value] = (None,)
    monotone: bool = False


def around(problem: Problem, chips: Sequence[ChipSpec]) -> Iterator[Candidate]:
    """Changes to what was asked for, not to the network."""
    if not problem.split:
        yield Candidate("split", "")
    for layer in problem.pins:
        yield Candidate("unpin", layer)
    pinned = {core for cores in problem.pins.values() for core in cores}
    for chip in chips:
        if chip.name != problem.chip.name and pinned.issubset(chip.core_ids):
            yield Candidate("chip", "", (chip.name,))


def inside(problem: Problem, first: Sequence[str]) -> Iterator[Candidate]:
    """Changes to the network, those to the named layers first."""
    for spare in spares(problem):
        if spare.count < 0:
            most = problem.chip.limits.destinations
            copies = relays_needed(most - spare.count, most)
            yield from [Candidate("relay", spare.source, (copies,))] if copies else []
    layers = problem.network.layers
    named = [layer for layer in layers if layer.name in first]
    for layer in (*named, *(layer for layer in layers if layer.name not in first)):
        yield from _of_layer(problem, layer)


def _of_layer(problem: Problem, layer: LayerShape) -> Iterator[Candidate]:
    limits = problem.chip.limits
    if layer.users_features > 1:
        yield Candidate("features", layer.name, range(layer.users_features - 1, 0, -1), monotone=True)
    if layer.has_bias and any(capacity(core).bias < layer_need(layer).bias for core in problem.chip.cores):
        yield Candidate("bias", layer.name)
    if not layer.whole_map:
        yield from _of_convolution(layer, limits)
    sources = sources_of(problem.network, layer.name)
    poolings = {source.links[i].pooling for source, i in sources}
    if not sources and not layer.whole_map and max(layer.input_shape[1:]) > limits.input_size:
        height, width = (min(side, limits.input_size) for side in layer.input_shape[1:])
        yield Candidate("crop", layer.name, ((height, width),))
    if len(problem.names) > len(problem.chip.cores):
        yield Candidate("leave_out", layer.name)
    if len(poolings) == 1:
        other = _other_pooling(poolings.pop(), limits.poolings)
        if other is not None:
            yield Candidate("pooling", layer.name, (other,))


def _of_convolution(layer: LayerShape, limits: Limits) -> Iterator[Candidate]:
    kernels = [size for size in range(layer.kernel_size - 1, 0, -1) if size <= limits.kernel_size and _same_rule(layer, size)]
    if kernels:
        yield Candidate("kernel", layer.name, kernels)
    padding = tuple(min(max(pad, 0), limits.padding) for pad in layer.padding)
    if padding != layer.padding:
        yield Candidate("padding", layer.name, ((padding[0], padding[1]),))
    stride = [_next_stride(step, limits.strides) for step in layer.stride]
    if any(step not in limits.strides for step in layer.stride):
        stride = [step if step in limits.strides else other for step, other in zip(layer.stride, stride, strict=True)]
    y, x = stride
    if y is not None and x is not None and (y, x) != layer.stride:
        yield Candidate("stride", layer.name, ((y, x),))


def _same_rule(layer: LayerShape, size: int) -> bool:
    """A kernel that is padded by half keeps its map: an odd one then stays odd."""
    padded = all(pad and pad == layer.kernel_size // 2 for pad in layer.padding)
    return not padded or size % 2 == layer.kernel_size % 2


def _next_stride(step: int, strides: Sequence[int]) -> int | None:
    """The next larger legal one; for one beyond all of them the largest."""
    larger = [other for other in sorted(strides) if other > step]
    return larger[0] if larger else None if step in strides else max(strides)


def _other_pooling(pooling: int, allowed: Sequence[int]) -> int | None:
    """One step more; for one that the chip does not have, the largest below it."""
    if pooling in allowed:
        return 2 * pooling if 2 * pooling in allowed else None
    return max((other for other in allowed if other < pooling), default=None)
