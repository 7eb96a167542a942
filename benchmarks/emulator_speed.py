"""Synaptic operations per second of single cores, beside a hand-written event loop where one is at hand."""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.measure import ROOT, machine, milliseconds, one_thread, show, timed
from chipflow.emulator import Emulator
from chipflow.events import EventArray, make_events
from chipflow.events.result import CoreCounters
from hwconfig import ChipConfig, CoreConfig, Dimensions, synthetic_chip

MANY_WORDS = 1 << 20
YARDSTICK = Path(os.environ.get("CHIPFLOW_YARDSTICK", ROOT.parent / "shared" / "yardstick")) / "run.py"
YARDSTICK_LINE = re.compile(r"(\d+) *-> *(\d+) features, kernel (\d+), (\d+)x\d+: *([\d.]+) G synops/s")


@dataclass(frozen=True)
class Layer:
    """A convolution with stride 1 on a square map, and how many random events it gets."""

    channels: int
    features: int
    kernel: int
    padding: int
    size: int
    events: int
    threshold: int

    @property
    def key(self) -> tuple[int, ...]:
        """What names the layer here and in the yardstick's output."""
        return self.channels, self.features, self.kernel, self.size


LAYERS = [
    Layer(2, 8, kernel=3, padding=1, size=64, events=200_000, threshold=300),
    Layer(16, 32, kernel=3, padding=1, size=32, events=200_000, threshold=300),
    Layer(64, 64, kernel=3, padding=1, size=16, events=100_000, threshold=1000),
    Layer(128, 512, kernel=1, padding=0, size=1, events=20_000, threshold=1000),
    Layer(1, 20, kernel=5, padding=0, size=28, events=200_000, threshold=300),
]


@dataclass
class Bench:
    """An emulator of one layer, its events, and what was measured so far."""

    layer: Layer
    emulator: Emulator
    stream: EventArray
    seconds: list[float] = field(default_factory=list[float])
    by_hand: list[float] = field(default_factory=list[float])
    counters: CoreCounters = field(default_factory=CoreCounters)

    def run(self) -> None:
        """One run from a reset."""
        self.emulator.reset()
        taken, result = timed(lambda: self.emulator.run(self.stream))
        self.seconds.append(taken)
        self.counters = result.counters[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Emulator and hand-written loop in turn, so that what else the machine does hits both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs per layer")
    options = parser.parse_args(arguments)
    one_thread()
    print(machine("numpy", "numba"), flush=True)
    benches = [make_bench(layer) for layer in LAYERS]
    for _ in range(options.rounds):
        for bench in benches:
            bench.run()
        by_hand = _yardstick()
        for bench in benches:
            bench.by_hand += by_hand.get(bench.layer.key, [])
    header = ["layer", "events", "spikes", "ms", "four of five", "million events / s", "G synops / s", "hand-written", "share"]
    show(f"one core, random events: median of {options.rounds} runs, one thread", header, [_row(bench) for bench in benches])


def make_bench(layer: Layer, count: int | None = None) -> Bench:
    """Ready to run, with other than the layer's own number of events if `count` is given; the kernels are compiled."""
    emulator, stream = Emulator(_config(layer)), _events(layer, layer.events if count is None else count)
    emulator.run(stream[:1])
    return Bench(layer, emulator, stream)


def _config(layer: Layer) -> ChipConfig:
    """One core, not monitored, as the cores inside a network are; on a chip with room for any of the layers."""
    side = layer.size + 2 * layer.padding - layer.kernel + 1
    shape = (layer.features, layer.channels, layer.kernel, layer.kernel)
    core = CoreConfig(
        dimensions=Dimensions(
            kernel_size=layer.kernel,
            padding=(layer.padding, layer.padding),
            input_shape=(layer.channels, layer.size, layer.size),
            output_shape=(layer.features, side, side),
        ),
        weights=np.random.default_rng(1).normal(2, 30, shape).round().clip(-128, 127).astype(np.int8),
        threshold_high=layer.threshold,
        threshold_low=-layer.threshold,
    )
    return ChipConfig(chip=synthetic_chip([(MANY_WORDS, MANY_WORDS, layer.features)]), cnn_layers={0: core})


def _events(layer: Layer, count: int) -> EventArray:
    """Events anywhere on the map, one in a microsecond."""
    rng = np.random.default_rng(2)
    x, y, p = (rng.integers(0, end, count) for end in (layer.size, layer.size, layer.channels))
    return make_events(x, y, np.arange(count), p)


def _row(bench: Bench) -> list[str]:
    layer, counters, median = bench.layer, bench.counters, statistics.median(bench.seconds)
    name = f"{layer.channels} -> {layer.features}, kernel {layer.kernel}, {layer.size} x {layer.size}"
    rate = counters.synops / median / 1e9
    by_hand = statistics.median(bench.by_hand) if bench.by_hand else None
    compared = ["-", "-"] if by_hand is None else [f"{by_hand:.2f}", f"{rate / by_hand:.0%}"]
    amounts = [f"{counters.events_in:,}", f"{counters.spikes:,}", *milliseconds(bench.seconds)]
    return [name, *amounts, f"{counters.events_in / median / 1e6:.2f}", f"{rate:.2f}", *compared]


def _yardstick() -> dict[tuple[int, ...], list[float]]:
    """G synops / s of the hand-written loop on the same layers; empty, with the reason printed, where it does not run."""
    if not YARDSTICK.is_file():
        print(f"no hand-written loop to compare with: {YARDSTICK} not found (CHIPFLOW_YARDSTICK names its folder)")
        return {}
    done = subprocess.run([sys.executable, str(YARDSTICK)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"the hand-written loop did not run: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    found = [match.groups() for match in YARDSTICK_LINE.finditer(done.stdout)]
    return {tuple(map(int, key)): [float(rate)] for *key, rate in found}


if __name__ == "__main__":
    main()
