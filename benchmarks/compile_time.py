"""From the tutorial's MNIST network to a checked configuration, beside what sinabs does of it without the vendor's package.

Both convert the same module, lower it, quantise it and find cores for its layers. chipflow goes on to a configuration and judges it by all
design rules; sinabs' configuration is the vendor's object, whose package cannot be had here, so that its part ends before.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measure import four_of_five, give_up, machine, milliseconds, one_thread, show, timed

TARGET_MS = 150.0
SHAPE = (1, 28, 28)


def main(arguments: Sequence[str] | None = None) -> None:
    """Each in turn, as often as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often each compiles the network")
    rounds = parser.parse_args(arguments).rounds
    one_thread()
    print(machine("numpy", "torch", "sinabs"), flush=True)
    from tests.compiler.networks import mnist_cnn

    sides = {"chipflow": _chipflow(mnist_cnn()), "sinabs": _sinabs(mnist_cnn())}
    for compile_once in sides.values():
        compile_once()  # imports and first uses
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, compile_once in sides.items():
            taken[name].append(timed(compile_once)[0])
    ratios = [theirs / ours for ours, theirs in zip(taken["chipflow"], taken["sinabs"], strict=True)]
    rows = [[name, *milliseconds(seconds)] for name, seconds in taken.items()]
    show(f"MNIST network from module to configuration, {rounds} rounds", ["", "ms, median", "four of five"], rows)
    ours = 1e3 * statistics.median(taken["chipflow"])
    print(f"chipflow takes {ours:.1f} ms (limit {TARGET_MS:g} ms: {'kept' if ours < TARGET_MS else 'NOT kept'}),")
    print(f"sinabs {statistics.median(ratios):.1f} times as long (four of five: {four_of_five(ratios)})")


def _chipflow(module: Any) -> Callable[[], object]:
    import chipflow

    return lambda: chipflow.compile(module, "speck2f", SHAPE)


def _sinabs(module: Any) -> Callable[[], object]:
    try:
        from sinabs.from_torch import from_model

        from tests.standins import chip_backend_of_sinabs

        backend = chip_backend_of_sinabs()
    except ModuleNotFoundError as error:
        give_up(f"{error.name} is not installed: make bench, or pip install -e '.[dev,bench]'")
    from sinabs.backend.dynapcnn.chips.dynapcnn import DynapcnnConfigBuilder
    from sinabs.backend.dynapcnn.mapping import get_valid_mapping

    def compile_once() -> object:
        spiking = from_model(module, input_shape=SHAPE, add_spiking_output=True, batch_size=1).spiking_model
        network = backend.DynapcnnNetwork(spiking, input_shape=SHAPE, discretize=True)
        return get_valid_mapping(network.dynapcnn_layers, DynapcnnConfigBuilder.get_constraints())

    return compile_once


if __name__ == "__main__":
    main()
