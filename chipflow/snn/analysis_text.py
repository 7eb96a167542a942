"""An analysis in words: two tables, and what they say."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from chipflow.snn.synops import DEFINITION
from chipflow.tables import table

if TYPE_CHECKING:
    from chipflow.snn.analysis import Analysis, LayerSynops
    from chipflow.snn.firing import FiringRates

WIDTH = 110  # characters in a line of a note


def summary_of(analysis: Analysis) -> str:
    """The tables, and under each one what its words mean."""
    tables = [
        (_synops_table(analysis), _synops_notes(analysis)),
        (_firing_table(analysis), _firing_notes(analysis)),
    ]
    return "\n\n".join("\n".join([text, *(fill(note, WIDTH) for note in notes)]) for text, notes in tables)


def _synops_table(analysis: Analysis) -> str:
    total = analysis.total
    rows = [_synops_row(layer, total.total) for layer in (*analysis.layers.values(), total)]
    return table("synaptic operations", ["layer", "per sample", "per time step", "per second", "share"], rows)


def _synops_row(layer: LayerSynops, total: float) -> list[str]:
    mark = " *" if layer.analog else ""
    share = f"{100 * layer.total / total:.1f} %" if total else "-"
    return [layer.name + mark, *(_short(value) for value in (layer.per_sample, layer.per_step, layer.per_second)), share]


def _synops_notes(analysis: Analysis) -> list[str]:
    steps = analysis.steps / analysis.samples
    notes = [f"{analysis.samples:,} samples of {steps:,.6g} time steps of {analysis.dt_us:,g} us. {DEFINITION}"]
    if analysis.total.analog:
        notes.append(
            "* The input was no whole number of spikes: a constant current, or what an average pool that is no module has divided. "
            "Such values count by their size, 0.3 as 0.3 spikes."
        )
    if analysis.not_counted:
        notes.append(f"Not counted, although they have weights: {', '.join(analysis.not_counted)}.")
    return notes


def _firing_table(analysis: Analysis) -> str:
    header = ["layer", "neurons", "spikes per step", "spikes per second", "never fired", "saturated", "steps with several spikes"]
    return table("firing of each layer's neurons (means)", header, [_firing_row(rates) for rates in analysis.neurons.values()])


def _firing_row(rates: FiringRates) -> list[str]:
    shares = [_count_of(int(which.sum()), rates.neurons) for which in (rates.dead, rates.saturated)]
    several = f"{100 * float(rates.several.mean()):.2f} %"
    return [rates.name, f"{rates.neurons:,}", f"{rates.rate:.4f}", f"{rates.rate_hz:,.1f}", *shares, several]


def _firing_notes(analysis: Analysis) -> list[str]:
    return [
        f"Saturated neurons fired in at least {100 * analysis.saturated_at:g} % of the time steps. A neuron of the chip fires at most once for each event "
        "that reaches it: where steps with several spikes are common, the chip may do something else."
    ]


def _count_of(count: int, of: int) -> str:
    return f"{count:,} ({100 * count / of:.1f} %)"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:,.1f}"
