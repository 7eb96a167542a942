"""A comparison as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import fill

from chipflow.report.attribution import Attribution, Estimate
from chipflow.report.comparison import Comparison, StagePair
from chipflow.report.statistics import CONFIDENCE
from chipflow.tables import table, terminal_width

CAUSE_WORDS = {
    "rounding": "rounding to integers",
    "order": "order: deciding at each event",
    "clamp": "clamping at each event",
    "one_spike": "one spike for an event",
    "leak": "biases at clock ticks",
}
MOST_LISTED = 10  # recordings, by name
SHARES = (
    "share: what switching the cause on changes, mean over all orders in which causes can be switched on. Shares and rest add up to the whole. "
    "A share is negative where a cause takes back what others do, and the shares of these may then exceed the whole. Intervals come from "
    "resampling the recordings; those of decisions are too narrow where few differ."
)
COLUMNS = ["layer and cause", "alone", "in this order", f"share [{CONFIDENCE:.0%}]", "of all"]


def comparison_text(comparison: Comparison) -> str:
    """All tables, then sentences."""
    parts = [_stages(comparison), _spikes(comparison), *map(_pair, comparison.pairs), *_attributions(comparison)]
    lines = [] if comparison.prospects is None else comparison.prospects.lines()
    return "\n".join([*parts, *map(_filled, [*lines, *(f"note: {note}" for note in comparison.notes)])])


def _filled(sentences: str) -> str:
    """In lines that the terminal need not break."""
    return fill(sentences, terminal_width(), break_long_words=False, break_on_hyphens=False)


def _stages(comparison: Comparison) -> str:
    header = ["stage", f"accuracy [{CONFIDENCE:.0%}]", "ties"]
    rows = [[stage.name, str(stage.accuracy or ""), str(stage.ties)] for stage in comparison.stages]
    title = f"{counted(len(comparison.recordings))}, time steps of {comparison.time_step_us:,} us"
    words = [f"{stage.name}: {stage.how}" for stage in comparison.stages]
    return "\n".join([table(title, header, rows), *words, f"the layer that decides: {comparison.output}", ""])


def _spikes(comparison: Comparison) -> str:
    stages = [stage for stage in comparison.stages if stage.spikes]
    rows = [[layer, *(number(stage.spikes[layer]) for stage in stages)] for layer in stages[-1].spikes]
    return table("spikes, means over recordings", ["layer", *(stage.name for stage in stages)], rows) + "\n"


def _pair(pair: StagePair) -> str:
    header = ["layer", "neurons", "equal counts", "spikes that differ", "spikes more", "cosine"]
    rows = [
        [a.layer, f"{a.neurons:,}", f"{a.equal:.1%}", number(a.differing), number(a.more, "+"), f"{a.cosine:.5f}"]
        for a in pair.layers
    ]
    title = f"from {pair.first} to {pair.second}"
    found = [table(title, header, rows)] if rows else [f"{title}:"]
    return "\n".join([*found, *map(_filled, [_decided(pair), *_first_difference(pair)]), ""])


def _decided(pair: StagePair) -> str:
    names = pair.decided_otherwise
    if not names:
        return "decided otherwise: none"
    listed = ", ".join(names[:MOST_LISTED]) + (f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else "")
    right = "" if pair.p_value is None else f", of these {pair.lost} lost and {pair.gained} gained (p = {pair.p_value:.2g})"
    return f"decided otherwise: {len(names):,}{right}: {listed}"


def _first_difference(pair: StagePair) -> list[str]:
    return [f"first difference: recording {pair.first_differing}, {pair.first_difference}"] if pair.first_difference else []


def _attributions(comparison: Comparison) -> Iterator[str]:
    since = f"{comparison.base} to emulated chip"
    yield _attribution(f"{since}: spikes that differ, means over recordings", comparison.differing)
    yield _attribution(f"{since}: spikes more, means over recordings", comparison.more)
    decided = {"decisions": comparison.decisions} | ({} if comparison.accuracy is None else {"accuracy": comparison.accuracy})
    yield _attribution(f"{since}: decisions that differ, accuracy; of 100 recordings", decided)
    yield _filled(SHARES) + "\n"


def _attribution(title: str, measures: Mapping[str, Attribution]) -> str:
    rows = [row for name, found in measures.items() for row in _rows(name, found)]
    return table(title, COLUMNS, rows) + "\n"


def _rows(name: str, found: Attribution) -> Iterator[list[str]]:
    yield [name, "", "", estimate(found.whole), ""]
    for cause in found.causes:
        alone, step = number(cause.alone.value, "+"), number(cause.step.value, "+")
        yield [f"   {CAUSE_WORDS[cause.cause]}", alone, step, estimate(cause.share), _percent(cause.share, found)]
    yield ["   unexplained rest", "", "", estimate(found.rest), _percent(found.rest, found)]


def _percent(part: Estimate, found: Attribution) -> str:
    """Nothing where the whole may be 0."""
    return f"{round(100 * part.value / found.whole.value)}%" if found.whole.low * found.whole.high > 0 else ""


def estimate(found: Estimate) -> str:
    """Value and interval."""
    return f"{number(found.value, '+')} [{number(found.low, '+')}, {number(found.high, '+')}]"


def counted(recordings: int) -> str:
    """Their number in words."""
    return f"{recordings:,} recording{'' if recordings == 1 else 's'}"


def number(value: float, sign: str = "") -> str:
    """Three figures or more; a zero has no sign."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:{sign},.{digits}f}" if round(value, 2) else "0"
