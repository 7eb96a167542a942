"""MNIST from its four original files, as tensors."""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from options import DataError
from torch import Tensor

FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"  # where torchvision gets them


@dataclass(frozen=True)
class Mnist:
    """Images float32 [N, 1, 28, 28] with intensities from 0 to 1, labels int64 [N]."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_mnist(folder: Path) -> Mnist:
    """Both sets.

    Raises:
        DataError: for missing or damaged files.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"MNIST is not in {folder}: no {', '.join(missing)}. Get the files, for example from {MIRROR}, and name "
            "their folder with --data DIR, or put them into a folder 'mnist' and set CHIPFLOW_DATA to the folder around it."
        )
    train_images, test_images = (intensities(read_idx(folder / name, axes=3)) for name in (FILES[0], FILES[2]))
    train_labels, test_labels = (read_idx(folder / name, axes=1).long() for name in (FILES[1], FILES[3]))
    return Mnist(train_images, train_labels, test_images, test_labels)


def intensities(images: Tensor) -> Tensor:
    """8-bit images [N, y, x] as [N, 1, y, x] from 0 to 1, which is how networks and spike encoders take them."""
    return images[:, None].float() / 255


def read_idx(path: Path, axes: int) -> Tensor:
    """The values of a gzipped idx file of bytes: its first four bytes say so, then one big-endian length an axis, then the values."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}. Get it again, for example from {MIRROR}") from None
    start = 4 + 4 * axes
    shape = [int.from_bytes(raw[i : i + 4], "big") for i in range(4, start, 4)]
    if raw[:4] != bytes([0, 0, 8, axes]) or len(raw) != start + math.prod(shape):
        raise DataError(f"{path} is no complete idx{axes} file of bytes. Get it again, for example from {MIRROR}")
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy())
