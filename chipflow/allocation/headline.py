"""The first line: what is in the way, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from chipflow.allocation.lever_words import cores_in_words
from chipflow.allocation.report import LayerNeed, LimitBroken, MappingReport

NAMED = 6
"""Names that a sentence holds."""


def headline(report: MappingReport) -> str:
    """The headline of a report that has everything else."""
    if report.limits:
        return _limits(report.limits, report.chip)
    if report.fan_out:
        worst = report.fan_out[0]
        source = repr(worst.source) if worst.source else "the sensor"
        return f"{source} needs {worst.needed} destinations, {report.chip} has {worst.allowed}: its targets are {_listed(worst.targets)}"
    hopeless = {one.layer for one in report.unsplit if one.hopeless} or {one.layer for one in report.unsplit}
    alone = [layer for layer in report.layers if layer.layer in hopeless]
    if alone:
        return _alone(report, alone)
    competing = report.competing
    if competing is None:
        return f"the search for a placement on {report.chip} spent its budget without finding one"
    if len(report.layers) > sum(len(kind.cores) for kind in report.kinds):
        return f"the network takes {len(report.layers)} cores, {report.chip} has {sum(len(kind.cores) for kind in report.kinds)}"
    cores = f"{len(competing.cores)} core{'' if len(competing.cores) == 1 else 's'}"
    names = _listed(competing.layers)
    return f"{len(competing.layers)} layers compete for {cores} of {report.chip}: {names} fit {_only(competing.cores)}{_pins(report)}"


def _limits(limits: Sequence[LimitBroken], chip: str) -> str:
    first = limits[0]
    subject = f"layer {first.layer!r}" if first.layer else "the sensor"
    more = f" (and {len(limits) - 1} more limits)" if len(limits) > 2 else " (and one more limit)" if len(limits) == 2 else ""
    return f"{subject} is beyond what {chip} allows: {first.problem}{more}"


def _alone(report: MappingReport, alone: Sequence[LayerNeed]) -> str:
    pins = {pin.layer: pin.cores for pin in report.pins}
    first = alone[0]
    if len(alone) == 1 and first.layer in pins:
        return f"layer {first.layer!r} does not fit {cores_in_words(pins[first.layer])} of {report.chip}, to which it is pinned"
    if len(alone) > 1:
        return f"{len(alone)} layers fit no core of {report.chip}: {_listed([layer.layer for layer in alone])}"
    nearest = min(first.fits, key=lambda fit: sum(fit.overflow.values()))
    have = report.kinds[nearest.kind]
    missing = " and ".join(
        f"{getattr(first.need, memory):,} words of {memory} memory, of {getattr(have.capacity, memory):,}"
        for memory in nearest.overflow
    )
    nearby = f" on {cores_in_words(have.cores)}" if len(report.kinds) > 1 else ""
    return f"layer {first.layer!r} fits no core of {report.chip}: it needs {missing}{nearby}"


def _only(cores: tuple[int, ...]) -> str:
    return f"only {cores_in_words(cores)}" if cores else "no core"


def _pins(report: MappingReport) -> str:
    named = [f"{pin.layer!r} is pinned to {cores_in_words(pin.cores)}" for pin in report.pins]
    return f" ({'; '.join(named)})" if named else ""


def _listed(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names[:NAMED]]
    return ", ".join(shown) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
