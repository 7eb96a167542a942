"""A report as a text that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill

from chipflow.allocation.lever_words import cores_in_words
from chipflow.allocation.report import Fit, LayerNeed, Lever, MappingReport
from chipflow.tables import table

MEMORIES = ("kernel", "neuron", "bias")
WIDTH = 100
ROWS, KINDS_SHOWN, LEVERS_SHOWN, CORES_NAMED = 20, 5, 10, 4
"""Layers, kinds of cores and levers that the text shows, and cores that a column names; the report has all."""


def message(report: MappingReport) -> str:
    """Headline, table, who competes, and what helps."""
    return "\n".join([report.headline, *_limits(report), "", _table(report), *_why(report), *_levers(report)])


def _limits(report: MappingReport) -> Iterator[str]:
    for broken in report.limits:
        subject = repr(broken.layer) if broken.layer else "the sensor"
        yield _wrapped(f"[{broken.rule}] {subject}: {broken.problem}; {broken.fix}", "  ")


def _table(report: MappingReport) -> str:
    kinds = report.kinds[:KINDS_SHOWN]
    shown = _shown(report)
    sizes = [kind.capacity.model_dump() for kind in kinds]
    memories = [memory for memory in MEMORIES if any(getattr(layer.need, memory) for layer in shown)]
    have = [[f"{memory} of a core", *[""] * len(memories), *(f"{size[memory]:,}" for size in sizes)] for memory in memories]
    need = [
        [layer.layer, *(f"{getattr(layer.need, memory):,}" for memory in memories), *_cells(layer, len(kinds))] for layer in shown
    ]
    left = [
        *([f"{len(report.layers) - len(shown)} more layers"] if len(shown) < len(report.layers) else []),
        *([f"{len(report.kinds) - KINDS_SHOWN} more kinds of cores"] if len(report.kinds) > KINDS_SHOWN else []),
    ]
    note = f"\n  (not shown: {', '.join(left)}; the error's report has all)" if left else ""
    header = ["words", *memories, *(_cores(kind.cores) for kind in kinds)]
    return table("", header, [*have, *need]).strip("\n") + note


def _cells(layer: LayerNeed, kinds: int) -> list[str]:
    return [_cell(layer, fit) for fit in layer.fits[:kinds]] or [""] * kinds


def _cores(cores: tuple[int, ...]) -> str:
    return cores_in_words(cores) if len(cores) <= CORES_NAMED else f"{len(cores)} cores"


def _cell(layer: LayerNeed, fit: Fit) -> str:
    if not fit.overflow and fit.most_features:
        return "fits"
    missing = [f"{memory} +{words:,}" for memory, words in fit.overflow.items()]
    return "\n".join([*missing, f"holds {fit.most_features} of {layer.output_shape[0]}"])


def _shown(report: MappingReport) -> Sequence[LayerNeed]:
    """The layers that matter first, in the order of the network, if there are too many."""
    if len(report.layers) <= ROWS:
        return report.layers
    competing = report.competing.layers if report.competing else ()
    matter = {*competing, *(one.layer for one in report.unsplit), *(broken.layer for broken in report.limits)}
    return [layer for layer in report.layers if layer.layer in matter][:ROWS] or report.layers[:ROWS]


def _why(report: MappingReport) -> Iterator[str]:
    competing = report.competing
    if competing and len(competing.layers) > 1:
        names = ", ".join(map(repr, competing.layers[:ROWS])) + (" ..." if len(competing.layers) > ROWS else "")
        few = "only one core holds" if len(competing.cores) == 1 else f"only {len(competing.cores)} cores hold"
        yield f"\n{len(competing.layers)} layers, but {few} any of them ({cores_in_words(competing.cores)}):"
        yield _wrapped(names, "  ")
    if report.pins:
        yield "\npins that are involved:"
    for pin in report.pins:
        yield f"  {pin.layer!r} is pinned to {cores_in_words(pin.cores)}"
    if report.unsplit:
        yield "\nwhy splitting did not help:"
        yield from (_wrapped(f"{one.layer!r}: {one.reason}", "  ") for one in report.unsplit[:ROWS])
    if report.stop == "budget spent":
        yield "\nthe search for splits spent its budget: there may be a placement; raise the budget to look further"


def _levers(report: MappingReport) -> Iterator[str]:
    enough = [lever for lever in report.levers if lever.sufficient]
    if enough:
        yield "\nany one of these is enough (tried):"
        yield from _numbered(enough)
        return
    if report.together:
        yield "\nthese are enough together, one after the other (tried):"
        yield from _numbered(report.together)
    elif report.levers:
        yield "\nnothing that was tried is enough alone; these come nearer:"
        yield from _numbered(report.levers)
    else:
        spare = len(report.layers) - sum(len(kind.cores) for kind in report.kinds)
        fewer = f"{spare} layers fewer" if spare > 1 else "one layer fewer" if spare == 1 else "fewer or smaller layers"
        way_out = "let fewer layers read the same one" if report.fan_out else f"use {fewer}, or another chip"
        yield f"\nno single change that was tried helps: {way_out}"


def _numbered(levers: Sequence[Lever]) -> Iterator[str]:
    for number, lever in enumerate(levers[:LEVERS_SHOWN], 1):
        yield f"  {number:2}. {lever.words}"
        if lever.effect:
            yield _wrapped(lever.effect, "      ")
    if len(levers) > LEVERS_SHOWN:
        yield f"  ... and {len(levers) - LEVERS_SHOWN} more, in the error's report"


def _wrapped(text: str, indent: str) -> str:
    return fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
