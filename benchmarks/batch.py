"""Recordings per second of `chipflow.emulator.run_batch` with more and more workers, beside one recording after the other."""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np

from benchmarks.measure import machine, milliseconds, show, timed
from benchmarks.nmnist_vs_sinabs import labelled_recordings
from benchmarks.synthetic import Layer, chain, stream
from chipflow.emulator import Emulator, run_batch
from chipflow.events import EventArray, RunResult, rebase_time
from tests.emulator.silicon import data_path

SYNTHETIC = Layer(size=34)  # a chain of five of them does about as much per event as the network for N-MNIST
SYNTHETIC_CORES, SYNTHETIC_EVENTS = 5, 4_000


@dataclass
class Way:
    """A way to run all recordings; what its runs took, of which the first does not count; and what the last one found."""

    name: str
    run: Callable[[], list[RunResult]]
    seconds: list[float] = field(default_factory=list[float])
    results: list[RunResult] = field(default_factory=list[RunResult])

    def once(self) -> None:
        """All recordings."""
        taken, self.results = timed(self.run)
        self.seconds.append(taken)

    @property
    def counted(self) -> list[float]:
        """Seconds without those of the first run."""
        return self.seconds[1:]


def main(arguments: Sequence[str] | None = None) -> None:
    """All ways in turn, after a round that does not count; then whether all found the same."""
    options = _options(arguments)
    print(machine("numpy", "numba"), flush=True)
    name, emulator, recordings = _work(options.recordings)
    ways = [Way("one after the other", lambda: _one_by_one(emulator, recordings))]
    for workers in range(1, options.workers + 1):
        ways.append(Way(f"run_batch, workers={workers}", lambda n=workers: run_batch(emulator, recordings, workers=n)))
    for _ in range(1 + options.rounds):
        for way in ways:
            way.once()
    rows = [_row(way, ways[0]) for way in ways]
    title = f"{len(recordings)} recordings, {name}: medians of {options.rounds}"
    show(title, ["", "ms for all", "four of five", "recordings / s", "speed-up", "results"], rows)
    if any(row[-1] != "equal" for row in rows):
        raise SystemExit("run_batch found other than single runs: this is a fault of the emulator, please report it")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100, help="how many of the 100 test recordings")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way runs all of them")
    parser.add_argument("--workers", type=int, default=_processors(), help="most workers")
    return parser.parse_args(arguments)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(count: int) -> tuple[str, Emulator, list[EventArray]]:
    """The network that ran on a Speck2f and real recordings; where they are missing, with the reason printed, made up ones."""
    network, folder = data_path("silicon") / "cnn_sinabs.nir", data_path("nmnist_small")
    missing = [str(needed) for needed in (network, folder / "test100.txt") if not needed.is_file()]
    missing += [] if find_spec("nir") else ["the package nir"]
    if missing:
        print(f"made up recordings instead of N-MNIST: no {', no '.join(missing)} (CHIPFLOW_DATA names the folder of the data)")
        config, events = chain([SYNTHETIC] * SYNTHETIC_CORES), stream(SYNTHETIC, count * SYNTHETIC_EVENTS)
        return "made up, a chain of cores", Emulator(config), [rebase_time(part) for part in np.split(events, count)]
    import chipflow
    from tests.nmnist import INPUT_SHAPE, nmnist_network

    program = chipflow.compile(nmnist_network(network), "speck2f", INPUT_SHAPE, quantization="sinabs")
    emulator = Emulator(program.config, entries=program.entries, slow_clock_period_us=program.slow_clock_period_us)
    return "N-MNIST", emulator, labelled_recordings(folder, count)[1]


def _one_by_one(emulator: Emulator, recordings: Sequence[EventArray]) -> list[RunResult]:
    results: list[RunResult] = []
    for recording in recordings:
        emulator.reset()
        results.append(emulator.run(recording))
    return results


def _row(way: Way, single: Way) -> list[str]:
    seconds = statistics.median(way.counted)
    speed_up = statistics.median(single.counted) / seconds
    same = all(equal(one, other) for one, other in zip(way.results, single.results, strict=True))
    rates = [f"{len(way.results) / seconds:.0f}", f"{speed_up:.2f}"]
    return [way.name, *milliseconds(way.counted), *rates, "equal" if same else "not equal"]


def equal(one: RunResult, other: RunResult) -> bool:
    """Whether two runs reported the same events, counters, states and load."""
    states = [np.array_equal(one.states[core], other.states[core]) for core in other.states]
    facts = [(run.counters, run.accounting, run.load, run.duration, list(run.states)) for run in (one, other)]
    return np.array_equal(one.events, other.events) and all(states) and facts[0] == facts[1]


if __name__ == "__main__":
    main()
