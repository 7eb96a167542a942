"""A configuration of two layers with names, events for it, and runs of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from chipflow import open_device
from chipflow.backends.base import ClockedConfig
from chipflow.backends.emulated import EmulatedDevice
from chipflow.events import EventArray, RunResult, make_events
from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions

LAYERS = ("conv", "out")


@cache
def config() -> ChipConfig:
    rng = np.random.default_rng(1)
    conv = Dimensions(kernel_size=3, input_shape=(2, 8, 8), output_shape=(4, 6, 6))
    out = Dimensions(kernel_size=6, input_shape=(4, 6, 6), output_shape=(3, 1, 1))
    cores = {
        3: CoreConfig(
            dimensions=conv,
            weights=rng.integers(-20, 40, (4, 2, 3, 3)),
            threshold_high=60,
            threshold_low=-60,
            destinations=[Destination(layer=5)],
            layer_name="conv",
        ),
        5: CoreConfig(
            dimensions=out,
            weights=rng.integers(-20, 30, (3, 4, 6, 6)),
            threshold_high=200,
            threshold_low=-200,
            monitor_enable=True,
            layer_name="out",
        ),
    }
    return ChipConfig(chip="speck2f", cnn_layers=cores)


def with_threshold(value: int) -> ChipConfig:
    """The same with another threshold in the first layer."""
    return config().with_core(3, threshold_high=value)


@cache
def events() -> EventArray:
    """1,200 events in 12 ms."""
    rng = np.random.default_rng(0)
    x, y, p = (rng.integers(0, size, 1200) for size in (8, 8, 2))
    return make_events(x, y, np.sort(rng.integers(0, 12_000, 1200)), p)


def run(program: ChipConfig | ClockedConfig | None = None, recording: Any = None, **options: Any) -> RunResult:
    """On the emulator, both layers monitored."""
    with open_device("emulator") as device:
        given = events() if recording is None else recording
        return device.run(program or config(), given, **({"monitor": LAYERS} | options))


def with_events(result: RunResult, changed: EventArray) -> RunResult:
    return replace(result, events=changed)


class FakeBoard(EmulatedDevice):
    """The emulator as a board would answer: no counters, no states, not bit for bit, and late by a microsecond.

    Args:
        name: of the board.
        missing: every so-manyth spike is not reported; 0: none is missing.
    """

    opened: int = 0

    def __init__(self, name: str = "speck2fdevkit:0", missing: int = 0) -> None:
        super().__init__(None, name)
        type(self).opened += 1
        self.capabilities = frozenset({"power", "sensor"})
        self._missing = missing

    def run(self, *arguments: Any, **options: Any) -> RunResult:
        result = super().run(*arguments, **options)
        kept = result.events.copy()
        kept["t"] += 1
        if self._missing:
            kept = np.delete(kept, slice(None, None, self._missing))
        return replace(result, events=kept, counters={}, states={}, load={})
