"""How the time of a run grows with events, features, kernel size, zero weights and cores, and whether with synaptic operations alone."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.growth_plot import Curve, plot
from benchmarks.measure import ROOT, machine, milliseconds, show, timed
from benchmarks.synthetic import Layer, chain, network, stream
from chipflow.emulator import Emulator
from chipflow.events import EventArray, RunResult
from chipflow.events.result import CoreCounters
from hwconfig import ChipConfig

BASE = Layer()
WIDE = replace(BASE, features=64)  # where a share of one in a hundred is still some weights per event
TOLERANCE = 0.25  # the error of a straight line up to which growth is called linear
LITTLE = 0.1  # share of the shortest time from which a fixed part is worth a word
OF_A_RUN = "what a run takes without events, as a copy of the states to go back to, and the result"
OF_INPUT = "to check the input and take it in, however many cores follow"
OF_EVENTS = "to find what each event touches, and one step in each row of neurons, however short"


@dataclass
class Point:
    """A network and its stream, and what was measured so far."""

    value: float
    emulator: Emulator
    events: EventArray
    seconds: list[float] = field(default_factory=list[float])
    counters: dict[int, CoreCounters] = field(default_factory=dict[int, CoreCounters])

    def run(self) -> None:
        """One run from a reset, right after one that does not count: what ran before it left the caches full of other things."""
        self._once()
        taken, result = timed(self._once)
        self.seconds.append(taken)
        self.counters = dict(result.counters)

    def _once(self) -> RunResult:
        self.emulator.reset()
        return self.emulator.run(self.events)

    def total(self, counter: str) -> int:
        """Of all cores."""
        return sum(getattr(core, counter) for core in self.counters.values())

    @property
    def median(self) -> float:
        """Seconds of a run."""
        return statistics.median(self.seconds)

    @property
    def each(self) -> float:
        """Seconds per synaptic operation."""
        return self.median / self.total("synops")


@dataclass(frozen=True)
class Sweep:
    """Points that differ in one thing.

    Attributes:
        axis: what that is, with its unit.
        fixed: what goes into the part of the time that does not grow with the operations.
        log: whether the values are spread over decades.
    """

    name: str
    axis: str
    points: list[Point]
    fixed: str = OF_A_RUN
    log: bool = True


@dataclass(frozen=True)
class Line:
    """Time as a fixed part and a part for each synaptic operation, in seconds; `off`: the largest relative error."""

    fixed: float
    each: float
    off: float


def main(arguments: Sequence[str] | None = None) -> None:
    """All points in turn, so that what else the machine does hits all alike; then a table and a sentence for each sweep."""
    options = _options(arguments)
    print(machine("numpy", "numba"), flush=True)
    sweeps = make_sweeps(options.events)
    for _ in range(options.rounds):
        for sweep in sweeps:
            for point in sweep.points:
                point.run()
    for sweep in sweeps:
        show(f"{sweep.name}: median of {options.rounds} runs, one thread", HEADER, [_row(point) for point in sweep.points])
        print(f"{verdict(sweep)}\n", flush=True)
    print(f"{_merging(*sweeps[-2:])}\n")
    plot([_curve(sweep) for sweep in sweeps], options.plot)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs per point")
    parser.add_argument("--events", type=int, default=50_000, help="input events, where their number is not what varies")
    parser.add_argument("--plot", type=Path, default=ROOT / "benchmarks" / "growth.svg", help="svg, png or pdf to write")
    return parser.parse_args(arguments)


def make_sweeps(events: int) -> list[Sweep]:
    """Ready to run; with so many events where their number is not what varies."""

    def points(values: Iterable[int], config: Callable[[int], ChipConfig]) -> list[Point]:
        return [_point(value, config(value), events) for value in values]

    numbers = [events * step // 500 or 1 for step in (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)]
    features = points((2**i for i in range(10)), lambda n: chain([replace(BASE, features=n)]))
    kernels = points(range(1, 16, 2), lambda size: chain([replace(BASE, kernel=size)]))
    zeros = points((0, 25, 50, 75, 90, 95, 99), lambda percent: chain([replace(WIDE, zeros=percent / 100)]))
    cores = points(range(1, 10), lambda n: chain([BASE] * n))
    merging = points(range(3, 10, 2), residual)
    return [
        Sweep("input events", "input events", [_point(n, chain([BASE]), n) for n in numbers]),
        Sweep("features", "output features", features, OF_EVENTS),
        Sweep("kernel size", "kernel size (taps on a side)", kernels, OF_EVENTS),
        Sweep("zero weights", "weights that are zero (%)", zeros, log=False),
        Sweep("cores in a chain", "cores", cores, OF_INPUT, log=False),
        Sweep("cores where streams merge", "cores", merging, OF_INPUT, log=False),
    ]


def residual(cores: int) -> ChipConfig:
    """Blocks of two cores with a way around the first of them: from the third core on, every second one gets two streams."""
    layers = [replace(BASE, sources=2 if i and i % 2 == 0 else 1) for i in range(cores)]
    reach = {i: (i + 1, i + 2) if i % 2 == 0 else (i + 1,) for i in range(cores)}
    return network(layers, {i: [core for core in targets if core < cores] for i, targets in reach.items()})


def _point(value: float, config: ChipConfig, events: int) -> Point:
    """The kernels are compiled and the memory is there when it returns."""
    point = Point(value, Emulator(config), stream(BASE, events))
    point.emulator.run(point.events[:1])
    return point


HEADER = [
    "",
    "ms",
    "four of five",
    "events at cores",
    "synaptic operations",
    "with a non-zero weight",
    "spikes",
    "ns / operation",
]


def _row(point: Point) -> list[str]:
    counted = [f"{point.total(name):,}" for name in ("events_in", "synops", "updates", "spikes")]
    return [f"{point.value:,g}", *milliseconds(point.seconds, digits=2), *counted, f"{1e9 * point.each:.3f}"]


def fitted(synops: Sequence[float], seconds: Sequence[float]) -> Line:
    """The line with the least relative errors, squared; neither part can be negative."""
    x, y = np.asarray(synops, float), np.asarray(seconds, float)
    fixed, each = np.linalg.lstsq(np.stack([1 / y, x / y], axis=1), np.ones(len(y)), rcond=None)[0]
    if fixed < 0:
        fixed, each = 0.0, (x / y).sum() / ((x / y) ** 2).sum()
    return Line(float(fixed), float(each), float(np.abs((fixed + each * x) / y - 1).max()))


def verdict(sweep: Sweep) -> str:
    """Whether the time grows with the synaptic operations alone, and if not, why."""
    synops = [point.total("synops") for point in sweep.points]
    seconds = [point.median for point in sweep.points]
    if max(synops) == min(synops):
        return _unmoved(sweep)
    line = fitted(synops, seconds)
    fixed = f"{1e3 * line.fixed:.2f} ms + " if line.fixed else ""
    parts = f"{sweep.name}: {fixed}{1e9 * line.each:.3f} ns per synaptic operation, off by {line.off:.0%} at most"
    if line.off > TOLERANCE:
        return f"{parts}: not linear in synaptic operations."
    if line.fixed < LITTLE * min(seconds):
        return f"{parts}: linear in synaptic operations."
    return f"{parts}: linear in synaptic operations but for a fixed part: {sweep.fixed}."


def _unmoved(sweep: Sweep) -> str:
    """For points that differ in how many of their operations have a non-zero weight."""
    seconds = [point.median for point in sweep.points]
    share = sweep.points[-1].total("updates") / sweep.points[-1].total("synops")
    change = max(seconds) / min(seconds) - 1
    same = (
        f"{sweep.name}: equally many synaptic operations, of which {share:.0%} in the end have a non-zero weight, in times that "
    )
    if change > TOLERANCE:
        return f"{same}differ by {change:.0%}: not by synaptic operations alone."
    return f"{same}differ by {change:.0%}: linear in synaptic operations; a weight of zero costs as much as any, as rows are updated whole."


def _merging(in_chain: Sweep, merging: Sweep) -> str:
    cost = merging.points[-1].each / in_chain.points[-1].each
    why = (
        " In front of a merge spikes are passed on one at a time, to keep the order of the chip." if cost > 1 + TOLERANCE else ""
    )
    return f"An operation in the largest network with merging streams takes {cost:.1f} times that in the longest chain.{why}"


def _curve(sweep: Sweep) -> Curve:
    """What of a sweep is drawn."""
    points = sweep.points
    synops = [point.total("synops") for point in points]
    return Curve(
        name=sweep.name,
        axis=sweep.axis,
        log=sweep.log,
        values=[point.value for point in points],
        seconds=[point.seconds for point in points],
        synops=synops,
        events=[point.total("events_in") for point in points],
    )


if __name__ == "__main__":
    main()
