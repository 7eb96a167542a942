"""The N-MNIST network that ran on a Speck2f: the emulator beside the torch simulation of sinabs, on the same recordings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.contest import Contestant, interleaved, report, report_work, warmed_up
from benchmarks.measure import give_up, machine, one_thread, timed
from chipflow.events import EventArray, RunResult, events_to_raster
from tests.emulator.silicon import data_path, read_nmnist

STEP_US = 1000
TARGET = 30.0


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
    labels, events = labelled_recordings(recordings, options.recordings)
    results: dict[int, RunResult] = {}
    contestants = [_emulator(network, events, results), *(_sinabs(network, events, size) for size in sorted({1, *options.batch}))]
    interleaved(contestants, len(events), options.rounds)
    report("N-MNIST network", contestants, labels, TARGET)
    report_work(contestants[0], list(results.values()))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100, help="how many of the 100 test recordings")
    parser.add_argument("--rounds", type=int, default=5, help="how often each runs every recording")
    parser.add_argument("--batch", type=int, nargs="*", default=[], help="batch sizes for sinabs, beside 1")
    return parser.parse_args(arguments)


def _check_packages() -> None:
    try:
        import nir  # noqa: F401  # reads the network
        import sinabs  # noqa: F401  # the other side
    except ModuleNotFoundError as error:
        give_up(f"{error.name} is not installed: make bench, or pip install -e '.[dev,bench]'")


def labelled_recordings(folder: Path, count: int) -> tuple[list[int], list[EventArray]]:
    """Labels and events of the first of the test set."""
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

    return warmed_up(Contestant("chipflow emulator", 1, list, run), len(events))


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

    return warmed_up(Contestant(f"sinabs, batch of {size}", size, frames, run), len(events))


if __name__ == "__main__":
    main()
