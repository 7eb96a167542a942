"""N-MNIST, trained through time with the chip's own rules, and run on the emulated chip.

    python examples/nmnist.py                      # about ten minutes
    python examples/nmnist.py --epochs 1 --recordings 200

The recordings are what an event camera saw of MNIST digits. The network is trained on them as the chip will see them: event by event, in
integers, one spike per event at most (`ChipFaithful`). Only derivatives are taken over time steps. So nothing is lost afterwards: the compiled
network gives the spikes that it gave in training.
"""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence

import torch
from nmnist_data import Recordings, load_nmnist, shifted
from options import at_least, parse
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chipflow import Program, compile, open_device
from chipflow.demo import progress
from chipflow.events import EventArray
from chipflow.snn import IAF, ChipFaithful, SumPool2d

INPUT_SHAPE = (2, 34, 34)
STEP_US, STEPS = 10_000, 34  # steps of the gradient; the longest recording lasts for 336 ms
BATCH = 25
PEAK_LEARNING_RATE = 3e-3
LARGEST_GRADIENT = 1.0  # norm; gradients through time and many spikes are sometimes huge
LARGEST_SHIFT = 2  # pixels


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, compiles and tests."""
    args, data = parse(make_parser(), argv, load_nmnist, "nmnist_small")
    torch.manual_seed(0)
    model = make_model()
    faithful = ChipFaithful(model, input_shape=INPUT_SHAPE)
    train(faithful, data.train.first(args.recordings), args.epochs)

    program = compile(model, chip="speck2f", input_shape=INPUT_SHAPE, split=False)
    print(program.summary())
    simulated, emulated = simulate(faithful, data.test), emulate(program, data.test)
    labels = data.test.labels
    rows = {
        "accuracy in training simulation": f"{accuracy(simulated, labels):.0f} of {len(labels)}",
        "accuracy on the emulated chip": f"{accuracy(emulated, labels):.0f} of {len(labels)}",
        "recordings with equal output spikes": f"{int((simulated == emulated).all(1).sum())} of {len(labels)}",
    }
    for name, value in rows.items():
        print(f"{name:<37}{value}")


def make_model() -> nn.Sequential:
    """Nine layers, of which five have neurons and take one core each."""
    model = nn.Sequential(
        nn.Conv2d(2, 16, 5, stride=2, padding=1, bias=False),
        IAF(),
        nn.Conv2d(16, 16, 3, padding=1, bias=False),
        IAF(),
        SumPool2d(2),
        nn.Conv2d(16, 8, 3, padding=1, bias=False),
        IAF(),
        SumPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 256, bias=False),
        IAF(),
        nn.Linear(256, 10, bias=False),
        IAF(),
    )
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)  # so that spikes reach the last layer from the beginning,
    with torch.no_grad():
        model[11].weight.mul_(0.3)  # where few of them are enough
    return model


def train(faithful: ChipFaithful, recordings: Recordings, epochs: int) -> None:
    """The class with most output spikes should be the label."""
    optimiser = torch.optim.Adam(faithful.parameters())
    steps = epochs * -(-len(recordings) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LEARNING_RATE, total_steps=steps)
    for events, labels in progress(list(batches(recordings, epochs)), "training"):
        optimiser.zero_grad()
        cross_entropy(spike_counts(faithful, [shifted(one, LARGEST_SHIFT, INPUT_SHAPE) for one in events]), labels).backward()
        nn.utils.clip_grad_norm_(faithful.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()


def batches(recordings: Recordings, epochs: int) -> Iterator[tuple[list[EventArray], Tensor]]:
    """In another order each epoch."""
    for _ in range(epochs):
        for batch in torch.randperm(len(recordings)).split(BATCH):
            yield [recordings.events[n] for n in batch.tolist()], recordings.labels[batch]


def spike_counts(faithful: ChipFaithful, events: list[EventArray]) -> Tensor:
    """Output spikes of each class, [batch, classes]."""
    faithful.reset_states()
    return faithful(events, dt_us=STEP_US, num_steps=STEPS).sum(1)


def simulate(faithful: ChipFaithful, recordings: Recordings) -> Tensor:
    """Output spikes [recording, class] as in training."""
    with torch.no_grad():
        return spike_counts(faithful, recordings.events).int()


def emulate(program: Program, recordings: Recordings) -> Tensor:
    """Output spikes [recording, class] of the emulated chip, which knows nothing of torch."""
    with open_device("emulator:speck2f") as device:
        runs = [device.run(program, events) for events in progress(recordings.events, "emulated chip")]
    return torch.tensor([run.counts().sum((1, 2)).tolist() for run in runs])


def accuracy(counts: Tensor, labels: Tensor) -> int:
    """Recordings whose label has most spikes."""
    return int((counts.argmax(1) == labels).sum())


def make_parser() -> ArgumentParser:
    """The options, but for --data."""
    parser = ArgumentParser(
        description="Train a spiking network on N-MNIST with the rules of a Speck2f, and test it on the emulator."
    )
    parser.add_argument("--epochs", type=at_least(1), default=12, metavar="N", help="(default: %(default)s)")
    parser.add_argument(
        "--recordings", type=at_least(BATCH), default=1000, metavar="N", help="to train with (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    main()
