"""MNIST row by row, trained through time: the second part of the tutorial.

    python examples/mnist_rows.py                  # as long as in the tutorial: about ten minutes
    python examples/mnist_rows.py --epochs 1       # one or two minutes

An image is shown as 28 time steps, one row in each, so that no step alone says which digit it is. An ordinary network sees each
row for itself; a spiking network with the same layers adds up what it has seen in its membrane potentials. Where spikes have no
useful derivative, the neurons take that of a smooth function instead (a surrogate gradient): backpropagation through time works.
"""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from mnist_data import load_mnist
from options import at_least, parse
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chipflow import Network, from_model
from chipflow.demo import progress
from chipflow.snn import bernoulli

SIZES = (28, 128, 128, 256, 256, 10)
BATCH = 64
ANN_EPOCHS = 5
LEARNING_RATE = 3e-3  # of the spiking network, which learns more in ten epochs than at Adam's default of 1e-3


def main(argv: Sequence[str] | None = None) -> None:
    """Trains and tests both networks."""
    args, data = parse(make_parser(), argv, load_mnist, "mnist")
    images, labels = data.train_images[: args.images], data.train_labels[: args.images]

    torch.manual_seed(0)
    ann = nn.Sequential(*(layer for size in pairwise(SIZES) for layer in (nn.Linear(*size), nn.ReLU())))
    train_on_rows(ann, images, labels)
    print(f"accuracy of the ordinary network  {accuracy(ann, data.test_images, data.test_labels):.2f} %")

    snn = from_model(ann, batch_size=BATCH)
    train_through_time(snn, images, labels, args.epochs)
    print(f"accuracy of the spiking network   {accuracy(snn, data.test_images, data.test_labels):.2f} %")


def train_on_rows(ann: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Every row is a sample with the label of its image."""
    optimiser = torch.optim.Adam(ann.parameters())
    for rows, label in batches(images, labels, ANN_EPOCHS, "training on single rows"):
        optimiser.zero_grad()
        cross_entropy(ann(rows.flatten(0, 1)), label.repeat_interleave(rows.shape[1])).backward()
        optimiser.step()


def train_through_time(snn: Network, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Every image is a sample; the class with most output spikes should be its label."""
    optimiser = torch.optim.Adam(snn.spiking_model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * (len(images) // BATCH))  # ends at 0
    for rows, label in batches(images, labels, epochs, "training through time"):
        optimiser.zero_grad()
        snn.reset_states()
        out = snn.spiking_model(rows)
        cross_entropy(out.sum(1), label).backward()
        optimiser.step()
        schedule.step()


def batches(images: Tensor, labels: Tensor, epochs: int, what: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches of rows and labels, new spikes in each; an incomplete batch is dropped."""
    complete = len(images) - len(images) % BATCH
    order = torch.cat([torch.randperm(len(images))[:complete] for _ in range(epochs)])
    for seed, batch in enumerate(progress(order.split(BATCH), what)):
        yield spike_rows(images[batch], seed), labels[batch]


def spike_rows(images: Tensor, seed: int) -> Tensor:
    """Images [batch, 1, 28, 28] as spikes [batch, row, column]: rows are the time steps, columns the channels."""
    return bernoulli(images, 1, seed=seed)[:, 0, 0].float()


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Percent of the images for which the output with the largest sum over rows, or time, is right."""
    right = 0
    for seed, (batch, label) in enumerate(zip(images.split(1000), labels.split(1000), strict=True)):
        if isinstance(model, Network):
            model.reset_states()
        with torch.no_grad():
            right += int((model(spike_rows(batch, seed)).sum(1).argmax(1) == label).sum())
    return 100 * right / len(images)


def make_parser() -> ArgumentParser:
    """The options, but for --data."""
    parser = ArgumentParser(description="Train a spiking network on rows of MNIST by backpropagation through time.")
    parser.add_argument("--epochs", type=at_least(1), default=10, metavar="N", help="through time (default: %(default)s)")
    parser.add_argument("--images", type=at_least(BATCH), default=60000, metavar="N", help="to train with (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
