"""Peak memory of runs over long recordings, beside the recording itself: whether a network of many cores keeps copies of its stream.

Each number is from a fresh process. This one imports nothing large: the peak of a process begins with what its parent holds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.measure import give_up, machine, show

MEBIBYTE = 1 << 20
COUNTING_BLOCK = 1 if sys.platform == "darwin" else 1024  # bytes that ru_maxrss counts in


@dataclass(frozen=True)
class Peak:
    """The most that a process held, and what its array of events takes of it, in bytes; events that arrived at all cores."""

    highest: int
    array: int
    arrived: int


@dataclass(frozen=True)
class Measured:
    """A chain and its recording, without the run and with it."""

    cores: int
    events: int
    before: Peak
    after: Peak

    @property
    def more(self) -> int:
        """Bytes that the run takes beside the array and all that is there before it."""
        return self.after.highest - self.before.highest


def main(arguments: Sequence[str] | None = None) -> None:
    """For each chain and recording a process that runs it, and one that does everything else."""
    options = _options(arguments)
    if find_spec("resource") is None:
        give_up("the peak of a process is not known on this system: Python has no module resource here")
    print(machine("numpy", "numba"), flush=True)
    _in_fresh_process(1, 1, True)  # compiles the kernels where they are not kept yet, which takes more memory than any run
    measured = [_measure(cores, round(1e6 * millions)) for cores in options.cores for millions in options.millions]
    header = [
        "cores",
        "events",
        "events at cores",
        "array, MiB",
        "without the run",
        "with it",
        "more",
        "bytes / event",
        "array's",
    ]
    show("peak memory in MiB, fresh processes, no core monitored", header, [_row(one) for one in measured])
    print(f"{verdict(measured)}\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 5, 20], help="events, in millions")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 5, 9], help="lengths of the chain")
    return parser.parse_args(arguments)


def _measure(cores: int, events: int) -> Measured:
    before, after = (_in_fresh_process(cores, events, whole) for whole in (False, True))
    return Measured(cores, events, before, after)


def _in_fresh_process(cores: int, events: int, whole: bool) -> Peak:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak, cores, events, whole).result()


def peak(cores: int, events: int, whole: bool) -> Peak:
    """Of this process, when it has run a chain over a recording, or only over its first event: all else that a run needs is there then."""
    import resource

    from benchmarks.synthetic import Layer, chain, stream
    from chipflow.emulator import Emulator

    layer = Layer(kernel=1)  # the fewest operations per event
    emulator, recording = Emulator(chain([layer] * cores)), stream(layer, events)
    result = emulator.run(recording if whole else recording[:1])
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * COUNTING_BLOCK
    return Peak(highest, recording.nbytes, sum(core.events_in for core in result.counters.values()))


def _row(one: Measured) -> list[str]:
    sizes = (one.after.array, one.before.highest, one.after.highest, one.more)
    each = [f"{one.more / one.events:.1f}", f"{one.after.array / one.events:.1f}"]
    return [str(one.cores), f"{one.events:,}", f"{one.after.arrived:,}", *(f"{size / MEBIBYTE:.1f}" for size in sizes), *each]


def verdict(measured: Sequence[Measured]) -> str:
    """What the longest recording needs in the shortest and in the longest chain: a copy for each core would be an array for each."""
    events = max(one.events for one in measured)
    longest = sorted((one for one in measured if one.events == events), key=lambda one: one.cores)
    few, many = longest[0], longest[-1]
    text = f"A run of {events:,} events takes {few.more / events:.1f} bytes per event beside the array in a chain of {few.cores}"
    if many.cores == few.cores:
        return f"{text}."
    each = (many.more - few.more) / (many.cores - few.cores) / events
    found = "no copy of the stream per core" if each < few.after.array / events / 2 else "as much as copies of the stream"
    return f"{text}, {many.more / events:.1f} in one of {many.cores}: {found}."


if __name__ == "__main__":
    main()
