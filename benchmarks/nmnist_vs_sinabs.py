"""The N-MNIST network that ran on a Speck2f: the emulator beside the torch simulation of sinabs, on the same recordings."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import give_up, machine, milliseconds, one_thread, show, timed
from chipflow.events import EventArray, RunResult, events_to_raster
from tests.emulator.silicon import data_path, read_nmnist

STEP_US = 1000
TARGET = 5.0


@dataclass
class Contestant:
    """One way to get from `size` recordings (fewer in the last batch) to predictions: `run(prepare(their numbers))`."""

    name: str
    size: int
    prepare: Callable[[Sequence[int]], Any]
    run: Callable[[Any], list[int]]
    warm_up_s: float = 0.0
    prepare_s: list[float] = field(default_factory=list[float])
    run_s: list[float] = field(default_factory=list[float])
    predictions: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def whole_s(self) -> list[float]:
        """From events to predictions, per recording."""
        return [a + b for a, b in zip(self.prepare_s, self.run_s, strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the data, warm up, compare, print."""
    options = _options(arguments)
    network, recordings = data_path("silicon") / "cnn_sinabs.nir", data_path("nmnist_small")
    for needed in (network, recordings / "test100.txt"):
        if not needed.is_file():
            give_up(f"{needed} is missing: set CHIPFLOW_DATA to the folder that holds silicon/ and nmnist_small/")
    _check_packages()
    one_thread()
    print(machine("numpy", "numba", "torch", "sinabs"), flush=True)
    labels, events = _recordings(recordings, options.recordings)
    results: dict[int, RunResult] = {}
    contestants = [_emulator(network, events, results), *(_sinabs(network, events, size) for size in sorted({1, *options.batch}))]
    for _ in range(options.rounds):
        _interleaved(contestants, len(events))
    _report(contestants, labels)
    _report_work(contestants[0], events, results)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100, help="how many of the 100 test recordings")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run")
    parser.add_argument("--batch", type=int, nargs="*", default=[8, 32], help="batch sizes for sinabs, beside 1")
    return parser.parse_args(arguments)


def _check_packages() -> None:
    try:
        import nir  # noqa: F401  # reads the network
        import sinabs  # noqa: F401  # the other side
    except ModuleNotFoundError as error:
        give_up(f"{error.name} is not installed: make bench, or pip install -e '.[dev,bench]'")


def _recordings(folder: Path, count: int) -> tuple[list[int], list[EventArray]]:
    table = np.loadtxt(folder / "test100.txt", dtype=int)[:count]
    return [int(label) for _, label in table], [read_nmnist(folder / f"{number}.bs2") for number, _ in table]


def _emulator(path: Path, events: list[EventArray], results: dict[int, RunResult]) -> Contestant:
    """The compiled program on the emulated device, by the public calls, with every check that a user gets."""
    import chipflow
    from tests.nmnist import INPUT_SHAPE, nmnist_network

    def compile() -> chipflow.Program:
        return chipflow.compile(nmnist_network(path), "speck2f", INPUT_SHAPE, quantization="sinabs")

    compile_s, program = timed(compile)
    device = chipflow.open_device("emulator:speck2f")
    print(f"chipflow.compile took {compile_s:.2f} s")

    def run(numbers: Sequence[int]) -> list[int]:
        for i in numbers:
            results[i] = device.run(program, events[i])
        return [results[i].prediction() for i in numbers]

    return _warmed_up(Contestant("chipflow emulator", 1, list, run), len(events))


def _sinabs(path: Path, events: list[EventArray], size: int) -> Contestant:
    """sinabs' own layers on frames of a millisecond; what makes frames of events is timed apart."""
    import torch

    from tests.nmnist import INPUT_SHAPE, nmnist_network

    @cache
    def model(batch: int) -> torch.nn.Module:
        from sinabs import layers

        return nmnist_network(path, lambda: layers.IAFSqueeze(batch_size=batch, min_v_mem=-1.0), layers.SumPool2d)

    def frames(numbers: Sequence[int]) -> torch.Tensor:
        """[batch, time, polarity, y, x]; shorter recordings end in empty steps, which change no spike without biases."""
        rasters = [events_to_raster(events[i], INPUT_SHAPE, STEP_US).astype(np.float32) for i in numbers]
        return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(raster) for raster in rasters], batch_first=True)

    def run(inputs: torch.Tensor) -> list[int]:
        network = model(len(inputs))
        for layer in network:
            if hasattr(layer, "reset_states"):
                layer.reset_states()
        with torch.no_grad():
            out = network(inputs.flatten(0, 1))
        return out.unflatten(0, inputs.shape[:2]).sum(1).argmax(1).tolist()

    return _warmed_up(Contestant(f"sinabs, batch of {size}", size, frames, run), len(events))


def _warmed_up(contestant: Contestant, count: int) -> Contestant:
    """Run once, and once more with the size of the last, smaller batch: each size is a network of its own to sinabs."""
    first, rest = contestant.prepare(range(min(contestant.size, count))), contestant.prepare(range(count % contestant.size or 1))
    contestant.warm_up_s = timed(lambda: contestant.run(first))[0]
    contestant.run(rest)
    return contestant


def _interleaved(contestants: list[Contestant], count: int) -> None:
    """One pass over the recordings, all contestants in turn, so that what else the machine does hits all alike."""
    for last in range(count):
        for contestant in contestants:
            full = (last + 1) % contestant.size == 0
            if full or last + 1 == count:
                _one_batch(contestant, range(last // contestant.size * contestant.size, last + 1))


def _one_batch(contestant: Contestant, numbers: Sequence[int]) -> None:
    prepare_s, inputs = timed(lambda: contestant.prepare(numbers))
    run_s, predictions = timed(lambda: contestant.run(inputs))
    contestant.prepare_s += [prepare_s / len(numbers)] * len(numbers)
    contestant.run_s += [run_s / len(numbers)] * len(numbers)
    contestant.predictions.update(zip(numbers, predictions, strict=True))


def _report(contestants: list[Contestant], labels: list[int]) -> None:
    emulator = contestants[0]
    columns = [
        "ms / sample",
        "four of five",
        "ms with frames",
        "ratio",
        "ratio with frames",
        "right",
        "as emulator",
        "first run s",
    ]
    rows = [_row(one, emulator, labels) for one in contestants]
    show(f"N-MNIST network, {len(labels)} recordings, medians, one thread", ["", *columns], rows)
    ratio = statistics.median(contestants[1].run_s) / statistics.median(emulator.run_s)
    verdict = "met" if ratio >= TARGET else "missed"
    print(f"{contestants[1].name} takes {ratio:.1f} times as long per sample as the emulator; target {TARGET:g}: {verdict}\n")


def _row(one: Contestant, emulator: Contestant, labels: list[int]) -> list[str]:
    """`ratio` is how many times the emulator's time it takes; `right` and `as emulator` count predictions."""
    base, run, whole = (statistics.median(seconds) for seconds in (emulator.run_s, one.run_s, one.whole_s))
    right = sum(one.predictions[i] == label for i, label in enumerate(labels))
    same = sum(one.predictions[i] == emulator.predictions[i] for i in range(len(labels)))
    times = [*milliseconds(one.run_s), f"{1e3 * whole:.1f}", f"{run / base:.2f}", f"{whole / base:.2f}"]
    return [one.name, *times, f"{right} of {len(labels)}", f"{same} of {len(labels)}", f"{one.warm_up_s:.2f}"]


def _report_work(emulator: Contestant, events: list[EventArray], results: dict[int, RunResult]) -> None:
    """Rates over the time of all runs, so that long recordings weigh more than in the median."""
    seconds = sum(emulator.run_s) * len(events) / len(emulator.run_s)
    counters = [core for result in results.values() for core in result.counters.values()]
    synops, updates, spikes = (sum(getattr(core, name) for core in counters) for name in ("synops", "updates", "spikes"))
    amounts = {
        "input events": sum(map(len, events)),
        "synaptic operations": synops,
        "of these with a non-zero weight": updates,
        "spikes": spikes,
    }
    rows = [[name, f"{n:,}", f"{n / len(events):,.0f}", f"{n / seconds / 1e6:,.3f}"] for name, n in amounts.items()]
    show("what the emulator did", ["", "all recordings", "per recording", "million / s"], rows)


if __name__ == "__main__":
    main()
