"""Why splitting did not help."""

from __future__ import annotations

from collections.abc import Iterator

from chipflow.allocation.bounds import Bounds, bounds_of
from chipflow.allocation.demand import has_neurons
from chipflow.allocation.fan_out import Spare, spares
from chipflow.allocation.lever_words import cores_in_words
from chipflow.allocation.limits import limits_broken
from chipflow.allocation.problem import Problem
from chipflow.allocation.report import Unsplit
from hwconfig.memory import memory_need


def why_not_split(problem: Problem) -> Iterator[Unsplit]:
    """For each layer that fits no core, or not those that it is pinned to."""
    bounds = bounds_of(problem)
    for row, layer in enumerate(problem.network.layers):
        if not problem.whole[row].any() and has_neurons(layer):
            yield Unsplit(layer=layer.name, reason=_reason(problem, bounds, row), hopeless=row in bounds.hopeless)


def _reason(problem: Problem, bounds: Bounds, row: int) -> str:
    layer, most = problem.network.layers[row], problem.most[row]
    pinned, fewest = problem.pins.get(layer.name, ()), bounds.fewest[row]
    if pinned:
        return _pinned(problem, row, pinned)
    if not most.any():
        one = memory_need(layer.input_shape, (1, *layer.output_shape[1:]), layer.kernel_size, has_bias=layer.has_bias)
        return f"a single feature is already too large: {one.kernel:,} kernel, {one.neuron:,} neuron, {one.bias:,} bias words"
    if int(most.sum()) < layer.features:
        return f"all cores of the chip together hold {int(most.sum())} of its {layer.features} features"
    if fewest is None:
        return f"its parts would shift features by more than {problem.chip.limits.feature_shift}, the chip's limit"
    if not problem.split:
        return f"splitting was not allowed; it takes at least {fewest} parts"
    if fewest > bounds.limit[row]:
        return _fan_out(problem, row, fewest)
    cores = len(problem.chip.cores)
    if limits_broken(problem):
        return f"it could be split into {fewest} parts, once the limits are met"
    if bounds.hopeless:
        return f"it could be split into {fewest} parts, but another layer is in the way"
    if bounds.needed > cores:
        return f"not enough cores: it takes at least {fewest} parts, and the network then {bounds.needed} of {cores} cores"
    return f"not enough cores: it takes at least {fewest} parts, which other layers leave no cores for"


def _pinned(problem: Problem, row: int, pinned: tuple[int, ...]) -> str:
    held = [int(problem.most[row, problem.column_of[core]]) for core in pinned]
    holds = ", ".join(f"core {core} holds {count}" for core, count in zip(pinned, held, strict=True))
    return f"it is pinned to {cores_in_words(pinned)}; of its {int(problem.features[row])} features {holds}"


def _fan_out(problem: Problem, row: int, fewest: int) -> str:
    feeding = [spare for spare in spares(problem) if row in spare.each]
    if not feeding:
        return f"it takes at least {fewest} parts, but has {int(problem.features[row])} features"
    tightest = min(feeding, key=lambda spare: spare.count // spare.each[row])
    most = problem.chip.limits.destinations
    others = most - tightest.count - tightest.each[row]
    other = f", of which {others} go elsewhere" if others else ""
    each = f" {tightest.each[row]} for each part" if tightest.each[row] > 1 else " one for each part"
    return f"it takes at least {fewest} parts, and {_source(tightest)} has {most} destinations{other}, but would need{each}"


def _source(spare: Spare) -> str:
    return f"its source {spare.source!r}" if spare.source else "the sensor"
