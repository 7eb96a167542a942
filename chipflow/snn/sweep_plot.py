"""The picture of a sweep over time windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipflow.errors import ChipflowError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from chipflow.snn.sweep import WindowPoint, WindowSweep

BLUE = "#0072b2"
DECADE = 10
MOST_TICKS = 11
LABEL_WIDTH, LABEL_HEIGHT = 0.06, 0.06  # of the panel
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "chipflow",
    "font.size": 10,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
}


def plot(sweep: WindowSweep, path: str | Path | None, axes: Sequence[Axes] | None) -> Figure:
    """Draw both panels; see `WindowSweep.plot`."""
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise ChipflowError(f"plots need {error.name}, which is not installed: pip install 'chipflow[plot]'") from error
    if axes is not None and len(axes) != 2:
        raise ChipflowError(f"axes are {len(axes)}, expected 2: one against the window, one against synaptic operations.")
    with matplotlib.rc_context(STYLE):
        window, synops = axes if axes is not None else _two_panels(sweep.title)
        _against_window(window, sweep)
        _against_synops(synops, sweep)
        figure: Any = window.figure
        if path is not None:
            metadata = {"Date": None} if Path(path).suffix == ".svg" else None  # the same picture is the same file
            figure.savefig(path, dpi=150, metadata=metadata)
    return figure


def _two_panels(title: str) -> Any:
    """Without pyplot, which would want a display and keep every figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    figure.suptitle(title)
    return figure.subplots(1, 2, sharey=True)


def _against_window(panel: Any, sweep: WindowSweep) -> None:
    windows = [point.num_steps for point in sweep.points]
    panel.plot(windows, [point.accuracy for point in sweep.points], color=BLUE, marker="o", ms=5, lw=1.5)
    panel.set(xscale="log", xlabel="time window (steps)", ylabel="accuracy (%)")
    shown = _apart(windows)
    panel.set_xticks(shown, [str(window) for window in shown])
    panel.set_xticks([], minor=True)
    panel.margins(x=0.08, y=0.12)


def _apart(windows: Sequence[int]) -> list[int]:
    """Those of the ascending windows whose numbers do not run into one another at a logarithmic axis."""
    nearest = (windows[-1] / windows[0]) ** (1 / MOST_TICKS)
    shown = [windows[0]]
    for window in windows[1:]:
        if window > shown[-1] * nearest:
            shown.append(window)
    return shown


def _against_synops(panel: Any, sweep: WindowSweep) -> None:
    """Every point is written its window, which the line does not tell."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    synops = [point.synops for point in sweep.points]
    panel.plot(synops, [point.accuracy for point in sweep.points], color=BLUE, marker="o", ms=5, lw=1.5)
    panel.set(xlabel="synaptic operations per sample", ylabel="accuracy (%)")
    panel.set_title("numbers: time window (steps)", fontsize=8, loc="right")
    panel.margins(x=0.1, y=0.12)
    if min(synops) > 0 and max(synops) > DECADE * min(synops):
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_minor_formatter(NullFormatter())
    else:
        panel.set_xlim(0, 1.2 * max(*synops, DECADE))
    panel.xaxis.set_major_formatter(EngFormatter(sep=" "))
    panel.tick_params(labelleft=True)
    for first, last in _groups(panel, sweep):
        text = str(first.num_steps) if first is last else f"{first.num_steps} to {last.num_steps}"
        place = (first.synops, first.accuracy)
        panel.annotate(text, place, xytext=(5, -11), textcoords="offset points", fontsize=8)


def _groups(panel: Any, sweep: WindowSweep) -> list[tuple[WindowPoint, WindowPoint]]:
    """First and last of each run of points that lie too close together for labels of their own."""
    to_panel = panel.transScale + panel.transLimits
    groups: list[tuple[WindowPoint, WindowPoint]] = []
    for point in sweep.points:
        if groups:
            first = groups[-1][0]
            corners = to_panel.transform([(first.synops, first.accuracy), (point.synops, point.accuracy)])
            dx, dy = abs(corners[1] - corners[0])
            if dx < LABEL_WIDTH and dy < LABEL_HEIGHT:
                groups[-1] = (first, point)
                continue
        groups.append((point, point))
    return groups
