"""Power of a board, rail by rail."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chipflow.backends.board.link import Link
from chipflow.backends.board.listening import LONGEST_DRAIN_S, LONGEST_NAP_S, SETTLE_S
from chipflow.errors import DeviceError
from chipflow.events.readings import PowerReadings, RailPower
from hwconfig.chip import PowerSpec


@contextmanager
def measured(link: Link, rate_hz: float) -> Generator[PowerReadings]:
    """Measures while the block runs (hardware facts, 6.3); the readings are complete when it is left.

    Raises:
        DeviceError: no rail of this board is public, or a rate that the monitor does not have; a monitor without an answer.
    """
    power = link.chip.power
    if power is None or not power.rails:
        raise DeviceError(f"{link.name}: what is measured on boards with {link.chip.name} is not public: use one with speck2f")
    if not 0 < rate_hz <= power.highest_rate_hz:
        raise DeviceError(
            f"{link.name}: the power monitor takes up to {power.highest_rate_hz:g} samples a second, found {rate_hz}"
        )
    start = time.monotonic()
    sink, graph = link.start_power(rate_hz)
    readings = PowerReadings(rate_hz=rate_hz, offset_w=power.offset_w)
    found: list[Any] = []
    try:
        yield readings
    finally:
        readings.seconds = time.monotonic() - start
        try:
            link.stop_power()
            with link.doing("reading the power measurement"):
                found += _rest(sink)
        finally:
            link.disconnect(graph)
        readings.rails = _rails(power, found)
    if not found:
        raise DeviceError(f"{link.name}: the power monitor sent nothing in {readings.seconds:.2f} s: measure longer")


def _rest(sink: Any) -> list[Any]:
    """All that the monitor has sent, once it is quiet, or after a second where it does not stop."""
    found: list[Any] = []
    start = last = time.monotonic()
    while time.monotonic() - last < SETTLE_S and time.monotonic() - start < LONGEST_DRAIN_S:
        some = list(sink.get_events())
        found += some
        if some:
            last = time.monotonic()
        else:
            time.sleep(LONGEST_NAP_S)
    return found


def _rails(power: PowerSpec, events: Sequence[Any]) -> dict[str, RailPower]:
    unknown = sorted({event.channel for event in events} - {rail.channel for rail in power.rails})
    if unknown:
        raise DeviceError(
            f"the power monitor has channels {unknown}, which are not described: add their rails to the chip's file"
        )
    return {
        rail.name: RailPower(
            rail.name,
            np.array([event.timestamp for event in events if event.channel == rail.channel], np.int64),
            np.array([event.value for event in events if event.channel == rail.channel], np.float64),
        )
        for rail in power.rails
    }
