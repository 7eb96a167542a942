"""Layers of neurons forward and backward, and a network in training, beside other libraries: time and memory.

The same input and gradient for all, one thread, in turn. Only sinabs has the same neurons, and is what the targets are about; its outputs and
gradients are compared. Libraries that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from benchmarks import peak, snn_memory, snn_rows
from benchmarks.measure import four_of_five, machine, milliseconds, one_thread, show, timed
from benchmarks.snn_peers import KINDS, LIBRARIES, OURS, Kind, installed, named

if TYPE_CHECKING:
    from torch import Tensor

LAYER_TARGET, ROWS_TARGET = 10.0, 3.0
SHAPE = (8, 100, 32, 16, 16)
TURN = 5
"""Steps of training in a turn: with one, each network would find the caches full of what the other left there."""

COLUMNS = ["", "first run s", "ms, median", "four of five", "ratio", "four of five"]
Cells = Mapping[str, Sequence[str]]
"""More cells of a table, by the name in the first one."""


@dataclass
class Timed:
    """What is timed: in the first run, and in all that count, in seconds."""

    act: Callable[[], object]
    first_s: float
    seconds: list[float] = field(default_factory=list[float])

    def ratios(self, other: Timed) -> list[float]:
        """How many times the other's time this one's is, in each round."""
        return [mine / theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Compile, time the layers, time the network, measure memory."""
    options = _options(arguments)
    one_thread()
    others = [library.name for library in LIBRARIES if library.name != OURS and find_spec(library.name)]
    print(machine("numpy", "numba", "torch", *others), flush=True)
    if options.cold:
        report_first_runs(options.cold)
    _, missing = installed("IAF", [1, 1, 1])
    for name, reason in missing.items():
        print(f"{name} is left out: {reason}\n")
    for kind in KINDS:
        time_layers(kind, options.shape, options.rounds)
    _explain()
    trainers = {name: make(options.batch) for name, make in snn_rows.TRAINERS.items() if name not in missing}
    time_rows(trainers, options.batch, options.rounds)
    if options.processes:
        names = [library.name for library in LIBRARIES if library.name not in missing]
        snn_memory.report(names, options.shape, options.batch, options.processes)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="how often each layer runs, and how many turns each network has")
    parser.add_argument("--shape", type=int, nargs="+", default=list(SHAPE), help="of the layer: batch, time, neurons ...")
    parser.add_argument("--batch", type=int, default=64, help="images in a step of training")
    parser.add_argument("--cold", type=int, default=1, help="how often the kernels are compiled, some seconds each time")
    parser.add_argument("--processes", type=int, default=3, help="in which each memory is measured; 0 leaves memory out")
    return parser.parse_args(arguments)


def report_first_runs(times: int) -> None:
    """What compiling takes, of which nothing is in the tables."""
    with tempfile.TemporaryDirectory() as folder:
        cold = [peak.in_fresh_process(first_run, os.path.join(folder, str(i))) for i in range(times)]
        warm = peak.in_fresh_process(first_run, os.path.join(folder, "0"))
    print(
        f"The first pass of chipflow in a process takes {statistics.median(cold):.1f} s where its kernels are compiled, as after an "
        f"installation, and {warm:.1f} s where they are kept.\n",
        flush=True,
    )


def first_run(cache: str) -> float:
    """Seconds of the first forward and backward pass in a process, with the kernels kept in a folder."""
    os.environ["NUMBA_CACHE_DIR"] = cache
    one_thread()
    return timed(named(OURS).layer("IAF", [1, 2, 1]).act)[0]


def time_layers(kind: Kind, shape: Sequence[int], rounds: int) -> None:
    """All libraries in turn on the same input and gradient; sinabs beside chipflow value by value."""
    layers, _ = installed(kind, shape)
    sides: dict[str, Timed] = {}
    results: dict[str, tuple[Tensor, Tensor]] = {}
    for name, layer in layers.items():
        first_s, results[name] = timed(layer.once)
        sides[name] = Timed(layer.act, first_s)
    more = {name: [f"{output.mean().item():.3f}"] for name, (output, _) in results.items()}
    if "sinabs" in results:
        pairs = zip(results[OURS], results["sinabs"], strict=True)
        more["sinabs"] += [difference(ours, theirs) for ours, theirs in pairs]
    results.clear()
    interleave(sides, rounds)
    title = f"{kind} on {list(shape)}, forward and backward, float32, {rounds} rounds, one thread"
    _show(title, sides, ["spikes / step", "outputs differ by", "gradients by"], more)
    judge(kind, sides, LAYER_TARGET)


def time_rows(trainers: Mapping[str, snn_rows.Trainer], batch: int, rounds: int) -> None:
    """Steps of training from the same weights, on the same batches; what the first step found is compared."""
    batches = [snn_rows.make_batch(batch, seed) for seed in range(TURN)]
    sides: dict[str, Timed] = {}
    losses: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    for name, trainer in trainers.items():
        first_s, loss = timed(lambda trainer=trainer: trainer.step(*batches[0]))
        losses[name], gradients[name] = loss, trainer.gradients()
        sides[name] = Timed(lambda trainer=trainer: [trainer.step(*one) for one in batches], first_s)
    more = {}
    if "sinabs" in sides:
        more["sinabs"] = [difference(found[OURS], found["sinabs"]) for found in (losses, gradients)]
    interleave(sides, rounds)
    for side in sides.values():
        side.seconds = [taken / TURN for taken in side.seconds]
    sizes = "-".join(map(str, snn_rows.SIZES))
    title = f"network {sizes}, {snn_rows.STEPS} time steps, batch of {batch}: {snn_memory.TRAINING}, {rounds} turns of {TURN}, one thread"
    _show(title, sides, ["losses differ by", "gradients by"], more)
    judge(snn_memory.TRAINING, sides, ROWS_TARGET)


def interleave(sides: Mapping[str, Timed], rounds: int) -> None:
    """All in turn, round by round, so that what else the machine does hits all alike."""
    for _ in range(rounds):
        for side in sides.values():
            side.seconds.append(timed(side.act)[0])


def difference(ours: Tensor, theirs: Tensor) -> str:
    """The largest absolute difference, and the largest value that it may be seen beside."""
    return f"{(ours - theirs).abs().max().item():.0e} of {theirs.abs().max().item():.3g}"


def _show(title: str, sides: Mapping[str, Timed], columns: Sequence[str], more: Cells) -> None:
    """Times and ratios to chipflow's, and further columns, empty where `more` has nothing for them."""
    rows: list[list[str]] = []
    for name, side in sides.items():
        ratios, cells = side.ratios(sides[OURS]), more.get(name, [])
        times = [f"{side.first_s:.2f}", *milliseconds(side.seconds), f"{statistics.median(ratios):.1f}", four_of_five(ratios)]
        rows.append([name, *times, *cells, *[""] * (len(columns) - len(cells))])
    show(title, [*COLUMNS, *columns], rows)


def judge(what: str, sides: Mapping[str, Timed], target: float) -> None:
    """Whether sinabs takes at least `target` times as long as chipflow."""
    if "sinabs" not in sides:
        print(f"{what}: no sinabs to compare with; target {target:g} is not judged\n")
        return
    ratios = sides["sinabs"].ratios(sides[OURS])
    median = statistics.median(ratios)
    print(
        f"{what}: sinabs takes {median:.1f} times as long as chipflow (four of five: {four_of_five(ratios)}); "
        f"target {target:g}: {'met' if median >= target else 'missed'}\n",
        flush=True,
    )


def _explain() -> None:
    print("What the others compute instead, which is less work or more:")
    for library in LIBRARIES:
        if library.differs:
            print(f"- {library.name}: {library.differs}")
    print(flush=True)


if __name__ == "__main__":
    main()
