"""MNIST on a Speck2f, from the images to the emulated chip: the first part of the tutorial.

    python examples/mnist.py                               # trains, then does all the rest
    python examples/mnist.py --weights demo-output/weights.pt --images 100

A CNN is trained as usual, converted to spikes, compiled for the chip, and tested with spike trains, simulated and on the emulated chip.
It takes about three minutes; where other work keeps the processor busy, OMP_NUM_THREADS=1 makes the training faster.
"""

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mnist_data import load_mnist
from mnist_model import make_model
from options import at_least, existing_file, parse
from torch import Tensor, nn

from chipflow import Network, Program, compile, from_model, open_device
from chipflow.demo import progress
from chipflow.events import raster_to_events
from chipflow.snn import bernoulli

EPOCHS = 2
BATCH = 128
PEAK_LEARNING_RATE = 1e-2
CALIBRATION_IMAGES = 500
STEPS = 200
STEP_US = 1000
SIMULATED_AT_A_TIME = 10


def main(argv: Sequence[str] | None = None) -> None:
    """The whole job."""
    args, data = parse(make_parser(), argv, load_mnist, "mnist")
    args.output.mkdir(parents=True, exist_ok=True)

    # 1. An ordinary CNN. A state dict holds weights and nothing that could run, so loading it is safe.
    torch.manual_seed(0)
    ann = make_model()
    if args.weights is None:
        train(ann, data.train_images, data.train_labels)
        torch.save(ann.state_dict(), args.output / "weights.pt")
    else:
        ann.load_state_dict(torch.load(args.weights, weights_only=True))
    ann.eval()

    # 2. To spikes; to integers, and onto cores.
    snn = to_spikes(ann, data.train_images[:CALIBRATION_IMAGES])
    program = compile(snn, chip="speck2f")
    program.save(args.output / "mnist.chipflow")
    print(program.summary())

    # 3. The same test images through all three.
    images = data.test_images[: args.images]
    report(classify(ann, data.test_images), simulate(snn, images), emulate(program, images), data.test_labels)


def train(ann: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Two epochs suffice when the learning rate first rises and then falls to almost nothing."""
    optimiser = torch.optim.Adam(ann.parameters())
    batches = [batch for _ in range(EPOCHS) for batch in torch.randperm(len(images)).split(BATCH)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LEARNING_RATE, total_steps=len(batches))
    for batch in progress(batches, "training"):
        optimiser.zero_grad()
        nn.functional.cross_entropy(ann(images[batch]), labels[batch]).backward()
        optimiser.step()
        schedule.step()


def to_spikes(ann: nn.Module, calibration: Tensor) -> Network:
    """Calibration images show how active each layer is, and so how its weights have to be scaled for useful spike rates."""
    return from_model(ann, input_shape=(1, 28, 28), add_spiking_output=True, calibration=calibration)


def classify(ann: nn.Module, images: Tensor) -> Tensor:
    """The ANN's classes."""
    with torch.no_grad():
        return torch.cat([ann(batch).argmax(1) for batch in images.split(1000)])


def spike_train(image: Tensor, seed: int) -> Tensor:
    """A raster [time, 1, 28, 28]: a pixel of intensity 0.3 spikes in three of ten steps, at random."""
    return bernoulli(image, STEPS, seed=seed)[0]


def simulate(snn: Network, images: Tensor) -> Tensor:
    """The spiking network's classes, in floats and time steps: most output spikes win."""
    classes = []
    for seeds in progress(torch.arange(len(images)).split(SIMULATED_AT_A_TIME), "spiking network"):
        raster = torch.stack([spike_train(images[seed], int(seed)) for seed in seeds]).float()
        snn.reset_states()
        with torch.no_grad():
            classes.append(snn(raster).sum(1).argmax(1))
    return torch.cat(classes)


@dataclass(frozen=True)
class Emulation:
    """Classes found by the emulated chip, and what finding them took."""

    classes: Tensor
    seconds: float
    synops: int


def emulate(program: Program, images: Tensor) -> Emulation:
    """The same spike trains on the emulated chip, event by event and in integers."""
    classes, synops = [], 0
    start = time.perf_counter()
    with open_device("emulator:speck2f") as device:
        for seed, image in enumerate(progress(images, "emulated chip")):
            events = raster_to_events(spike_train(image, seed), STEP_US)
            result = device.run(program, events, duration=STEPS * STEP_US)
            classes.append(result.prediction())
            synops += sum(counter.synops for counter in result.counters.values())
    return Emulation(torch.tensor(classes), time.perf_counter() - start, synops)


def report(ann_classes: Tensor, snn_classes: Tensor, emulation: Emulation, labels: Tensor) -> None:
    """What spikes, and then the chip, cost in accuracy, on the same images."""
    number = len(emulation.classes)
    by_ann, by_snn, by_chip = (accuracy(found, labels) for found in (ann_classes[:number], snn_classes, emulation.classes))
    rows = {
        f"accuracy of the ANN, all {len(labels):,} test images": f"{accuracy(ann_classes, labels):.2f} %",
        f"accuracy of the ANN, first {number:,}": f"{by_ann:.2f} %",
        f"accuracy of the spiking network, first {number:,}": f"{by_snn:.2f} %",
        f"accuracy of the emulated chip, first {number:,}": f"{by_chip:.2f} %",
        "lost by spikes": f"{by_ann - by_snn:.2f} percentage points",
        "lost on the chip": f"{by_ann - by_chip:.2f} percentage points",
        "time per image, encoding included": f"{1000 * emulation.seconds / number:.0f} ms",
        "synaptic operations per image": f"{emulation.synops / number:,.0f}",
    }
    for name, value in rows.items():
        print(f"{name:<48}{value}")


def accuracy(classes: Tensor, labels: Tensor) -> float:
    """Percent of the classes that are right."""
    return 100 * (classes == labels[: len(classes)]).float().mean().item()


def make_parser() -> ArgumentParser:
    """The options, but for --data."""
    parser = ArgumentParser(description="Train a CNN on MNIST, compile it for a Speck2f, and test it on the emulator.")
    parser.add_argument("--weights", type=existing_file, metavar="FILE", help="weights.pt of an earlier run: no training")
    parser.add_argument(
        "--images", type=at_least(1), default=1000, metavar="N", help="test images to emulate (default: %(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), metavar="DIR", help="folder to write into (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    main()
