"""Small multiples of how time grows: what was measured, beside what it would be if it went by synaptic operations alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

BLUE, RED, GREY = "#0072b2", "#d55e00", "#888888"  # told apart by the colour-blind, too
COLUMNS = 3
MOST_PLAIN, MOST_TICKS = 1000, 12  # values below are written out at the axis, as many of them as fit


@dataclass(frozen=True)
class Curve:
    """One series; those with the same axis share a panel.

    Attributes:
        values: where along the axis.
        seconds: of each value, all measurements.
        synops, events: of each value, synaptic operations and events at all cores.
    """

    name: str
    axis: str
    log: bool
    values: Sequence[float]
    seconds: Sequence[Sequence[float]]
    synops: Sequence[int]
    events: Sequence[int]

    @property
    def medians(self) -> Any:
        """Seconds."""
        return np.array([statistics.median(taken) for taken in self.seconds])


def plot(curves: Sequence[Curve], path: Path) -> None:
    """Write the file, or say why not: the tables do without it."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        print(f"no plot: {error.name} is not installed (make bench, or pip install -e '.[bench]')\n")
        return
    axes = list(dict.fromkeys(curve.axis for curve in curves))
    rows = -(-(len(axes) + 1) // COLUMNS)
    with matplotlib.rc_context({"svg.hashsalt": "chipflow", "font.size": 9, "axes.grid": True, "grid.color": "#dddddd"}):
        figure = Figure(figsize=(3.6 * COLUMNS, 3.0 * rows), layout="constrained")
        panels = figure.subplots(rows, COLUMNS).ravel()
        for panel, axis in zip(panels, axes, strict=False):
            _time(panel, [curve for curve in curves if curve.axis == axis])
        _cost(panels[len(axes)], [curve for curve in curves if _varies(curve)])
        for panel in panels[len(axes) + 1 :]:
            panel.remove()
        figure.suptitle("emulator, one thread: medians, and the range of four of five runs")
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=120, metadata=metadata)
    print(f"wrote {path}\n")


def _time(panel: Any, curves: Sequence[Curve]) -> None:
    """Measured times against what is varied."""
    for curve, colour in zip(curves, (BLUE, RED), strict=False):
        milliseconds = 1e3 * curve.medians
        tenths = [1e3 * np.quantile(taken, (0.1, 0.9)) for taken in curve.seconds]
        spread = [[m - low, high - m] for m, (low, high) in zip(milliseconds, tenths, strict=True)]
        label = curve.name if len(curves) > 1 else "measured"
        panel.errorbar(curve.values, milliseconds, np.transpose(spread), color=colour, marker="o", ms=4, lw=1.2, label=label)
        by_synops = np.array(curve.synops) * milliseconds[-1] / curve.synops[-1]
        label = "if by synaptic operations alone" if curve is curves[-1] else None
        panel.plot(curve.values, by_synops, color=GREY, ls="--", lw=1, label=label)
    if curves[0].log:
        panel.set(xscale="log", yscale="log")
    else:
        panel.set_ylim(0, 1.4 * panel.get_ylim()[1])  # room for the legend
    if curves[0].values[-1] < MOST_PLAIN:
        shown = _apart(curves[0].values, curves[0].log)
        panel.set_xticks(shown, [f"{value:g}" for value in shown])
        panel.set_xticks([], minor=True)
    panel.set(xlabel=curves[0].axis, ylabel="time of a run (ms)")
    panel.legend(frameon=False, fontsize=8)


def _apart(values: Sequence[float], log: bool) -> list[float]:
    """Those of the values whose numbers do not run into one another."""
    places = np.log(values) if log else np.array(values)
    shown = [0]
    for i, place in enumerate(places):
        if place - places[shown[-1]] > (places[-1] - places[0]) / MOST_TICKS:
            shown.append(i)
    return [values[i] for i in shown]


def _varies(curve: Curve) -> bool:
    """Whether an event brings more operations at one value than at another."""
    each = np.array(curve.synops) / curve.events
    return each.max() > 2 * each.min()


def _cost(panel: Any, curves: Sequence[Curve]) -> None:
    """What an operation costs against how many an event brings."""
    for curve, colour, marker in zip(curves, (BLUE, RED), "o^", strict=False):
        synops = np.array(curve.synops)
        panel.plot(
            synops / curve.events, 1e9 * curve.medians / synops, color=colour, marker=marker, ms=4, lw=1.2, label=curve.name
        )
    panel.set(xscale="log", yscale="log", xlabel="synaptic operations per event", ylabel="time of an operation (ns)")
    panel.legend(frameon=False, fontsize=8)
