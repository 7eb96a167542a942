"""Small configurations for tests of single rules."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from threading import Timer
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chipflow.emulator import Emulator, ReferenceEmulator
from chipflow.events import make_events
from hwconfig import ChipConfig, ChipSpec, CoreConfig, Destination, Dimensions

BOTH = pytest.mark.parametrize("kind", [Emulator, ReferenceEmulator])
NOTHING = make_events([], [], [], [])
Shape = tuple[int, int, int]
Kind = type[Emulator] | type[ReferenceEmulator]


def core(
    input_shape: Shape,
    weights: npt.ArrayLike,
    *targets: int | Destination,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    **fields: Any,
) -> CoreConfig:
    """A monitored core with these weights [feature out][feature in][y][x]; thresholds of 1 and -1 unless given."""
    kernel = np.asarray(weights)
    usual = {"threshold_high": 1, "threshold_low": -1, "monitor_enable": True}
    return CoreConfig(
        dimensions=Dimensions.convolution(input_shape, kernel.shape[0], kernel.shape[-1], stride=stride, padding=padding),
        weights=kernel,
        destinations=[target if isinstance(target, Destination) else Destination(layer=target) for target in targets],
        **(usual | fields),
    )


def pointwise(shape: Shape, matrix: npt.ArrayLike, *targets: int | Destination, **fields: Any) -> CoreConfig:
    """A core with a 1 x 1 kernel: matrix is [feature out][feature in]."""
    return core(shape, np.asarray(matrix)[:, :, None, None], *targets, **fields)


def relay(shape: Shape, *targets: int | Destination, **fields: Any) -> CoreConfig:
    """A core that passes every event on as it is."""
    return pointwise(shape, np.eye(shape[0], dtype=int), *targets, **fields)


def chip(cores: Mapping[int, CoreConfig], of: str | ChipSpec = "speck2f", **parts: Any) -> ChipConfig:
    """A configuration of these cores."""
    return ChipConfig(chip=of, cnn_layers=dict(cores), **parts)


@contextmanager
def watched(emulator: Emulator | ReferenceEmulator, seconds: float = 2) -> Generator[None]:
    """Stops a run of the fast emulator that would take for ever, so that its test fails instead."""
    timer = Timer(seconds, emulator.stop if isinstance(emulator, Emulator) else lambda: None)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
