"""The chip on the board, played by chipflow's emulator."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from chipflow.emulator import Emulator
from chipflow.events import make_events
from hwconfig import ChipConfig
from hwconfig.vendor import from_vendor
from samna._faults import faults

SENSOR = 13


def bits(n: int) -> int:
    return math.ceil(math.log2(n))


class Chip:
    """Takes inputs in order, each with its time, and gives outputs.

    Args:
        config: the vendor's configuration.
        kinds: the vendor's classes of events.
    """

    def __init__(self, config: Any, kinds: Any) -> None:
        self.config: ChipConfig = from_vendor(config)
        self.kinds = kinds
        self.period: int | None = None
        self.emulator: Emulator | None = None
        self.seen = 0  # events of the pixels so far
        self.addresses = {core: self._addresses(core) for core in self.config.active_cores}
        self.written: dict[int, set[int]] = {core: set() for core in self.config.active_cores}
        self._build(None)

    def _addresses(self, core: int) -> dict[int, tuple[int, int, int]]:
        """By sinabs' rule: y << (cb + yb) | x << cb | c."""
        c, h, w = self.config.core(core).dimensions.output_shape
        cb, yb = bits(c), bits(h)
        places = itertools.product(range(c), range(h), range(w))
        return {y << (cb + yb) | x << cb | f: (f, y, x) for f, y, x in places}

    def _build(self, period: int | None) -> None:
        """An emulator with this clock, the states as they are; without a clock nothing happens that waits for one."""
        old, config = self.emulator, self.config
        self.period = period
        if not config.active_cores:
            return
        if period is None:
            cores = {i: core.with_changes(leak_enable=False) for i, core in config.cnn_layers.items()}
            config = config.with_changes(cnn_layers=cores, readout=config.readout.with_changes(enable=False))
        entries = None if config.dvs_layer.enabled_destinations else config.active_cores[:1]
        self.emulator = Emulator(config, entries=entries, slow_clock_period_us=period, strict=False, on_outside="drop")
        if old is not None:
            self.set_states({core: old.state(core) for core in config.active_cores})

    def set_states(self, states: dict[int, Any]) -> None:
        for core, array in states.items():
            if self.emulator and core in self.config.active_cores and self.emulator.state(core).shape == array.shape:
                self.emulator.set_state(core, array)

    def start(self, period: int | None) -> None:
        """Time 0."""
        self.seen = 0
        if period != self.period:
            self._build(period)
        elif self.emulator:
            self.emulator.finish()

    def feed(self, rows: list[tuple[int, int, int, int, int]]) -> list[Any]:
        """Events (layer, feature, y, x, t), t ascending; what a core that is not configured does with one is not public."""
        if not rows:
            return []
        unknown = {row[0] for row in rows} - {*self.config.active_cores, SENSOR}
        if unknown or not self.emulator:
            raise ValueError(f"events to cores {unknown}, which are not configured")
        layer, f, y, x, t = zip(*rows, strict=True)
        self.emulator.feed(make_events(x, y, t, f, layer))
        return self.outputs(rows[-1][-1])

    def outputs(self, until: int) -> list[Any]:
        """Up to a time."""
        if not self.emulator:
            return []
        taken = self.emulator.take(until)
        found = [
            self._spike(*row)
            for row in zip(*(taken.events[name].tolist() for name in ("layer", "p", "y", "x", "t")), strict=True)
        ]
        found += [self._pixel(*row) for row in zip(*(taken.raw[name].tolist() for name in ("p", "y", "x", "t")), strict=True)]
        if taken.readout:
            found += [self.kinds.ReadoutValue(value=value) for value in taken.readout.values["value"].tolist()]
            found += [self.kinds.ReadoutPinValue(timestamp=t, index=index) for t, index in taken.readout.pins.tolist()]
        return found

    def _spike(self, layer: int, feature: int, y: int, x: int, t: int) -> Any:
        return self.kinds.Spike(layer=layer, feature=feature, y=y, x=x, timestamp=t)

    def _pixel(self, p: int, y: int, x: int, t: int) -> Any:
        return self.kinds.DvsEvent(p=bool(p), y=y, x=x, timestamp=t)

    @property
    def sees(self) -> bool:
        """Whether the pixels are on."""
        return self.config.dvs_layer.pass_sensor_events

    def watch(self, until: int) -> list[Any]:
        """What the pixels have seen up to a time."""
        seen = faults().seen
        rows: list[tuple[int, int, int, int, int]] = []
        while self.seen < len(seen) and seen[self.seen][2] <= until:
            x, y, t, p = seen[self.seen]
            rows.append((SENSOR, p, y, x, t))
            self.seen += 1
        if self.emulator:
            return self.feed(rows)
        raw = rows if self.config.dvs_layer.raw_monitor_enable else []
        return [self._pixel(p, y, x, t) for _, p, y, x, t in raw]

    def read(self, layer: int, address: int) -> Any:
        """The answer to a request; of what is no neuron 0."""
        place = self.addresses.get(layer, {}).get(address)
        state = 0 if place is None or not self.emulator else self.emulator.state(layer, place)
        return self.kinds.NeuronValue(layer=layer, address=address, neuron_state=state)

    def write(self, layer: int, address: int, state: int) -> None:
        place = self.addresses.get(layer, {}).get(address)
        if place is not None and self.emulator:
            self.emulator.set_state(layer, np.int64(state), place)
            self.written[layer].add(address)

    def first_is_lost(self, layer: int) -> bool:
        """Whether the core's first event after a sweep of writes comes now."""
        swept = layer in (0, 1) and layer in self.written and len(self.written[layer]) == len(self.addresses[layer])
        if layer in self.written:
            self.written[layer].clear()
        return swept

    def states(self) -> Iterator[tuple[int, Any]]:
        for core in self.config.active_cores if self.emulator else ():
            yield core, self.emulator.state(core)
