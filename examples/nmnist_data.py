"""N-MNIST recordings from their original files, as event arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from options import DataError
from torch import Tensor

from chipflow.errors import EventFileError
from chipflow.events import EventArray, load_events

LISTS = ("train1K.txt", "test100.txt")
SOURCE = "https://github.com/bamsumit/slayerPytorch (example/NMNISTsmall)"


@dataclass(frozen=True)
class Recordings:
    """Event arrays of 34 x 34 pixels, feature 0 for OFF and 1 for ON, and int64 labels [N]."""

    events: Sequence[EventArray]
    labels: Tensor

    def first(self, number: int) -> "Recordings":
        """As many of them, or all."""
        return Recordings(self.events[:number], self.labels[:number])

    def __len__(self) -> int:
        return len(self.events)


@dataclass(frozen=True)
class Nmnist:
    """1,000 recordings to train with, 100 to test with."""

    train: Recordings
    test: Recordings


def load_nmnist(folder: Path) -> Nmnist:
    """Both sets.

    Raises:
        DataError: for missing or damaged files, lists among them.
    """
    return Nmnist(*(read_list(folder / name) for name in LISTS))


def read_list(path: Path) -> Recordings:
    """The recordings that a text file lists by number and label, one in a line."""
    if not path.is_file():
        raise DataError(
            f"N-MNIST is not in {path.parent}: no {path.name}. Get the files, for example from {SOURCE}, and name their folder "
            "with --data DIR, or put them into a folder 'nmnist_small' and set CHIPFLOW_DATA to the folder around it."
        )
    lines = [line.split() for line in path.read_text(errors="replace").splitlines() if line.strip() and not line.startswith("#")]
    if not lines or not all(len(line) == 2 and all(word.isdecimal() for word in line) for line in lines):
        raise DataError(f"{path} is damaged: expected lines of two numbers, recording and label. Get it again from {SOURCE}")
    try:
        events = [load_events(path.parent / f"{number}.bs2", format="n-mnist", sort=True) for number, _ in lines]
    except EventFileError as error:
        raise DataError(f"{error}. Get it again from {SOURCE}") from None
    return Recordings(events, torch.tensor([int(label) for _, label in lines]))


def shifted(events: EventArray, most: int, shape: tuple[int, int, int]) -> EventArray:
    """A copy moved by up to `most` pixels along both axes, at random; what leaves the map is lost."""
    _, height, width = shape
    dx, dy = torch.randint(-most, most + 1, (2,)).tolist()
    moved = events.copy()
    moved["x"] += dx
    moved["y"] += dy
    inside = (moved["x"] >= 0) & (moved["x"] < width) & (moved["y"] >= 0) & (moved["y"] < height)
    return moved[inside]
