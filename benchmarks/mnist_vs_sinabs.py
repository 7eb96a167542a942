"""The tutorial's MNIST network on spike trains: the emulator beside the torch simulation of sinabs, of the same network.

The network is trained as in the tutorial, unless weights are given: with fewer images, or none, its neurons spike at other rates. It has
no biases, and so needs no slow clock; with biases the program would name one, whose ticks the emulator adds them at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contest import Contestant, interleaved, report, report_work, warmed_up
from benchmarks.measure import ROOT, give_up, machine, one_thread, timed
from chipflow.events import RunResult, raster_to_events
from tests.emulator.silicon import data_path

if TYPE_CHECKING:
    from torch import Tensor, nn

    import chipflow

TARGET = 8.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Train or load, convert, make spikes, warm up, compare, print."""
    options = _options(arguments)
    tutorial, images = _tutorial()
    _check_packages()
    one_thread()
    print(machine("numpy", "numba", "torch", "sinabs"), flush=True)
    ann = _trained(tutorial, images, options)
    labels = images.test_labels[: options.images].tolist()
    spikes = _spikes(tutorial, images.test_images[: options.images])
    network, program = _converted(tutorial, ann, images.train_images[: tutorial.CALIBRATION_IMAGES])
    results: dict[int, RunResult] = {}
    contestants = [_emulator(program, spikes, tutorial.STEP_US, results), _sinabs(network, spikes)]
    interleaved(contestants, len(spikes), options.rounds)
    title = f"MNIST network, {tutorial.STEPS} time steps"
    report(title, contestants, labels, TARGET)
    report_work(contestants[0], list(results.values()))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100, help="how many test images")
    parser.add_argument("--rounds", type=int, default=5, help="how often each runs every image")
    parser.add_argument("--train", type=int, default=60_000, help="how many of the training images; fewer give other spike rates")
    parser.add_argument("--weights", type=Path, help="weights.pt that the tutorial wrote, instead of training")
    return parser.parse_args(arguments)


def _tutorial() -> tuple[Any, Any]:
    """The module of the tutorial's first part, and MNIST as it reads it."""
    folder = data_path("mnist")
    if not folder.is_dir():
        give_up(f"{folder} is missing: set CHIPFLOW_DATA to the folder that holds mnist/")
    sys.path.insert(0, str(ROOT / "examples"))
    import mnist
    import mnist_data

    try:
        return mnist, mnist_data.load_mnist(folder)
    except mnist_data.DataError as error:
        give_up(str(error))


def _check_packages() -> None:
    try:
        import sinabs  # noqa: F401  # the other side
    except ModuleNotFoundError as error:
        give_up(f"{error.name} is not installed: make bench, or pip install -e '.[dev,bench]'")


def _trained(tutorial: Any, images: Any, options: argparse.Namespace) -> nn.Module:
    import torch

    torch.manual_seed(0)
    ann = tutorial.make_model()
    if options.weights is not None:
        ann.load_state_dict(torch.load(options.weights, weights_only=True))
    else:
        seconds, _ = timed(
            lambda: tutorial.train(ann, images.train_images[: options.train], images.train_labels[: options.train])
        )
        print(f"trained on {min(options.train, len(images.train_images)):,} images in {seconds:.0f} s", flush=True)
    ann.eval()
    shown = images.test_images[: options.images]
    right = tutorial.accuracy(tutorial.classify(ann, shown), images.test_labels) * len(shown) / 100
    print(f"before the conversion the network classifies {right:.0f} of the {len(shown)} test images right", flush=True)
    return ann


def _spikes(tutorial: Any, images: Tensor) -> list[Tensor]:
    """Of each image a raster [1, time, channel, y, x]; a pixel spikes in a step with a probability equal to its intensity."""
    from chipflow.snn import bernoulli

    return [bernoulli(image, tutorial.STEPS, seed=seed) for seed, image in enumerate(images)]


def _converted(tutorial: Any, ann: nn.Module, calibration: Tensor) -> tuple[nn.Module, chipflow.Program]:
    """The spiking network in floats, which sinabs gets, and the program made of it; converted as in the tutorial."""
    import chipflow

    network = chipflow.from_model(ann, input_shape=(1, 28, 28), add_spiking_output=True, calibration=calibration)
    compile_s, program = timed(lambda: chipflow.compile(network, chip="speck2f"))
    assert program.slow_clock_period_us is None, "the network has no biases"
    print(f"chipflow.compile took {compile_s:.2f} s")
    return network.spiking_model, program


def _emulator(program: chipflow.Program, spikes: Sequence[Tensor], step_us: int, results: dict[int, RunResult]) -> Contestant:
    """The compiled program on the emulated device, by the public calls, with every check that a user gets."""
    import chipflow

    device = chipflow.open_device("emulator:speck2f")

    def events(numbers: Sequence[int]) -> list[tuple[int, Any]]:
        return [(i, raster_to_events(spikes[i][0], step_us)) for i in numbers]

    def run(inputs: list[tuple[int, Any]]) -> list[int]:
        for i, stream in inputs:
            results[i] = device.run(program, stream, duration=spikes[i].shape[1] * step_us)
        return [results[i].prediction() for i, _ in inputs]

    return warmed_up(Contestant("chipflow emulator", 1, events, run), len(spikes))


def _sinabs(network: nn.Module, spikes: Sequence[Tensor]) -> Contestant:
    """The same layers and weights with sinabs' own neurons; what makes floats of spikes is timed apart."""
    import torch
    from sinabs import layers
    from torch import nn

    from chipflow.snn import IAF

    def neuron(like: IAF) -> nn.Module:
        return layers.IAFSqueeze(batch_size=1, spike_threshold=like.threshold, min_v_mem=like.min_v_mem)

    model = nn.Sequential(*(neuron(layer) if isinstance(layer, IAF) else layer for layer in network.children())).eval()

    def frames(numbers: Sequence[int]) -> Tensor:
        (number,) = numbers
        return spikes[number][0].float()

    def run(inputs: Tensor) -> list[int]:
        for layer in model:
            if hasattr(layer, "reset_states"):
                layer.reset_states()
        with torch.no_grad():
            return [int(model(inputs).sum(0).argmax())]

    return warmed_up(Contestant("sinabs, batch of 1", 1, frames, run), len(spikes))


if __name__ == "__main__":
    main()
