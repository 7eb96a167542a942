"""The error for a network without a placement: its report, and the message made from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from chipflow.allocation.competing import Crowd, smallest_crowd
from chipflow.allocation.demand import capacity
from chipflow.allocation.fan_out import spares
from chipflow.allocation.headline import headline
from chipflow.allocation.lever_words import words_of
from chipflow.allocation.levers import find_levers
from chipflow.allocation.limits import limits_broken
from chipflow.allocation.message import message
from chipflow.allocation.problem import Problem
from chipflow.allocation.reasons import why_not_split
from chipflow.allocation.report import (
    Competing,
    CoreKind,
    FanOut,
    Fit,
    LayerNeed,
    LimitBroken,
    MappingReport,
    Pin,
    StopReason,
)
from chipflow.allocation.whole import wholes_of
from chipflow.errors import MappingError
from hwconfig.chip import ChipSpec
from hwconfig.memory import KINDS, MemoryNeed

Kinds = dict[MemoryNeed, tuple[int, ...]]
FITS_BUDGET = 50_000
"""Layers times kinds of cores up to which the report has all of them."""


def mapping_error(problem: Problem, stop: StopReason, other_chips: Sequence[ChipSpec]) -> MappingError:
    """The error, with all that is known about why and what would help."""
    report = explain(problem, stop, other_chips)
    return MappingError(message(report), report)


def explain(problem: Problem, stop: StopReason, other_chips: Sequence[ChipSpec] = ()) -> MappingReport:
    """The report on a problem for which the search ended without a placement."""
    kinds = _kinds(problem.chip)
    crowd = smallest_crowd(problem, wholes_of(problem))
    unsplit = tuple(why_not_split(problem))
    limits, fan_out = tuple(_limits(problem)), tuple(_fan_out(problem))
    first = [*(limit.layer for limit in limits), *(one.layer for one in unsplit), *_names(problem, crowd)]
    levers, together = find_levers(problem, first, other_chips)
    large = len(problem.names) * len(kinds) > FITS_BUDGET
    report = MappingReport(
        headline="",
        chip=problem.chip.name,
        stop=stop,
        kinds=tuple(CoreKind(cores=cores, capacity=words_of(memories)) for memories, cores in kinds.items()),
        layers=tuple(_need(problem, row, kinds, {*first} if large else None) for row in range(len(problem.names))),
        limits=limits,
        fan_out=fan_out,
        competing=_competing(problem, crowd),
        unsplit=unsplit,
        pins=tuple(Pin(layer=layer, cores=cores) for layer, cores in problem.pins.items() if _involved(problem, crowd, layer)),
        levers=levers,
        together=together,
    )
    return report.model_copy(update={"headline": headline(report)})


def _kinds(chip: ChipSpec) -> Kinds:
    found: dict[MemoryNeed, list[int]] = {}
    for core in chip.cores:
        found.setdefault(capacity(core), []).append(core.id)
    return {memories: tuple(cores) for memories, cores in found.items()}


def _need(problem: Problem, row: int, kinds: Kinds, only: Collection[str] | None) -> LayerNeed:
    layer, demand = problem.network.layers[row], problem.demands[row]
    fits = [
        Fit(kind=i, overflow=_overflow(demand.need, memories), most_features=demand.most[problem.column_of[cores[0]]])
        for i, (memories, cores) in enumerate(kinds.items())
        if only is None or layer.name in only
    ]
    return LayerNeed(
        layer=layer.name,
        input_shape=layer.input_shape,
        output_shape=layer.output_shape,
        need=words_of(demand.need),
        cores=demand.cores,
        fits=tuple(fits),
    )


def _overflow(need: MemoryNeed, memories: MemoryNeed) -> dict[str, int]:
    missing = {kind: getattr(need, kind) - getattr(memories, kind) for kind in KINDS}
    return {kind: words for kind, words in missing.items() if words > 0}


def _limits(problem: Problem) -> Iterator[LimitBroken]:
    for layer, broken in limits_broken(problem):
        yield LimitBroken(
            rule=broken.rule,
            layer=layer,
            problem=broken.problem,
            fix=broken.fix,
            found=broken.needed,
            allowed=broken.available,
            unit=broken.unit,
        )


def _fan_out(problem: Problem) -> Iterator[FanOut]:
    most = problem.chip.limits.destinations
    for (source, links), spare in zip(problem.links, spares(problem), strict=True):
        if spare.count < 0:
            yield FanOut(source=source, targets=tuple(links), needed=most - spare.count, allowed=most)


def _competing(problem: Problem, crowd: Crowd | None) -> Competing | None:
    if crowd is None:
        return None
    ids = problem.chip.core_ids
    return Competing(layers=_names(problem, crowd), cores=tuple(ids[column] for column in crowd.columns), smallest=crowd.smallest)


def _names(problem: Problem, crowd: Crowd | None) -> tuple[str, ...]:
    return () if crowd is None else tuple(problem.names[row] for row in crowd.rows)


def _involved(problem: Problem, crowd: Crowd | None, layer: str) -> bool:
    """Pins of competing layers, or to a core that such a layer could use, or that does not hold the layer."""
    cores = [problem.chip.core_ids[column] for column in crowd.columns] if crowd else []
    wanted = {core for name in _names(problem, crowd) for core in problem.demands[problem.row_of[name]].cores}
    pinned = problem.pins[layer]
    return layer in _names(problem, crowd) or not wanted.union(cores).isdisjoint(pinned)
