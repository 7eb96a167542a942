"""What a lever does to a network, and to what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from chipflow.allocation.edits import added_with, each, sources_of, with_layers
from chipflow.allocation.leave_out import without_layer
from chipflow.allocation.problem import Problem
from chipflow.allocation.relay import with_relays
from chipflow.allocation.report import Lever, LeverKind
from chipflow.errors import MappingError
from chipflow.ir.plan import LayerShape, NetworkShape
from hwconfig.chip import ChipSpec

Value = int | tuple[int, int] | str | None


def apply_lever(network: NetworkShape, lever: Lever) -> NetworkShape:
    """The network with a lever's change made, all shapes behind it as they then are.

    "split", "unpin" and "chip" are no changes to the network, which is returned as it is.

    Raises:
        MappingError: the network has no such layer, or the change does not fit it: layers that are added would differ in size.
    """
    if lever.layer and lever.layer not in (layer.name for layer in network.layers):
        raise MappingError(f"there is no layer {lever.layer!r} to change")
    changed = changed_network(network, lever.kind, lever.layer, lever.value)
    if changed is None:
        raise MappingError(f"not for this network: {lever.words}; layers that are added would differ in size")
    return changed


def changed_network(network: NetworkShape, kind: LeverKind, layer: str, value: Value) -> NetworkShape | None:
    """As `apply_lever`, None where the change does not fit."""
    if kind in ("split", "unpin", "chip"):
        return network
    if kind == "leave_out":
        return without_layer(network, layer)
    if kind == "relay":
        return with_relays(network, layer, cast("int", value))
    return with_layers(network, _changes(network, kind, layer, value))


def _changes(network: NetworkShape, kind: LeverKind, name: str, value: Value) -> Mapping[str, LayerShape]:
    if kind == "pooling":
        pooling = cast("int", value)
        readers = tuple(source.name for source, _ in sources_of(network, name))
        return each(network, readers, lambda layer: _pooling(layer, name, pooling))
    if kind == "features":
        return each(
            network,
            added_with(network, name),
            lambda layer: replace(layer, features=(cast("int", value) - 1) * layer.feature_step + 1),
        )
    if kind == "kernel":
        return each(network, (name,), lambda layer: with_kernel(layer, cast("int", value)))
    if kind == "bias":
        return each(network, (name,), lambda layer: replace(layer, has_bias=False))
    pair = cast("tuple[int, int]", value)
    if kind == "crop":
        return each(network, (name,), lambda layer: replace(layer, input_shape=(layer.input_shape[0], *pair)))
    return each(network, (name,), lambda layer: replace(layer, **{kind: pair}))


def _pooling(layer: LayerShape, target: str, pooling: int) -> LayerShape:
    return replace(layer, links=tuple(replace(link, pooling=pooling) if link.target == target else link for link in layer.links))


def with_kernel(layer: LayerShape, size: int) -> LayerShape:
    """Another kernel, padded by the same rule: half of it where that is what it was, otherwise the same padding."""
    padding = [size // 2 if pad == layer.kernel_size // 2 else pad for pad in layer.padding]
    return replace(layer, kernel_size=size, padding=(padding[0], padding[1]))


def changed_problem(problem: Problem, kind: LeverKind, layer: str, value: Value, chips: Mapping[str, ChipSpec]) -> Problem | None:
    """What is to be placed once the lever is used; None where it cannot be."""
    if kind == "split":
        return replace(problem, split=True, base=problem)
    if kind == "unpin":
        return replace(problem, pins={name: cores for name, cores in problem.pins.items() if name != layer})
    if kind == "chip":
        return replace(problem, chip=chips[cast("str", value)])
    network = changed_network(problem.network, kind, layer, value)
    if network is None:
        return None
    if kind == "leave_out":
        return replace(problem, network=network, pins={name: cores for name, cores in problem.pins.items() if name != layer})
    if kind == "relay":
        return replace(problem, network=network)
    return replace(problem, network=network, base=problem)
