"""What goes into a run: events validated, and told by which port they enter the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator.network import Network
from chipflow.emulator.options import MOST_TIME_US, check_length
from chipflow.emulator.sensor import sensor_map
from chipflow.errors import EmulatorError, EventError
from chipflow.events.array import EventArray, OnOutside, as_events, describe, outside
from hwconfig.config import ChipConfig

MOST_TICKS_BEFORE_FIRST_EVENT = 1_000_000


def checked_duration(duration: int | None, last_t: int) -> int | None:
    """The duration as int.

    Raises:
        EmulatorError: not a whole, non-negative number of microseconds that the emulator can count, or before the last event.
    """
    if duration is None:
        return None
    check_length("duration", duration, 0)
    if last_t > duration:
        raise EmulatorError(
            f"the last event fed came at {last_t} us, after the duration of {duration} us: give a longer duration"
        )
    return int(duration)


@dataclass(frozen=True)
class InputRules:
    """What events must satisfy before a run starts, and where they go."""

    config: ChipConfig
    network: Network
    period: int | None
    on_outside: OnOutside

    def check(self, events: Any, *, duration: int | None = None, after: int = 0, first: bool = True) -> EventArray:
        """The events as an event array.

        Args:
            duration: no event may come later, in microseconds.
            after: no event may come before this time.
            first: whether these are the first events of a run.

        Raises:
            EventError: the first event that breaks a rule; `.index` says which.
        """
        array = as_events(events)
        if not array.size:
            return array
        self._check_times(array, duration, after, first)
        for name, shape, mine in self._maps(array):
            wrong = outside(array, shape) if mine is None else outside(array, shape) & mine
            if self.on_outside == "error" and wrong.any():
                index = int(np.argmax(wrong))
                raise EventError(
                    f"{describe(array, index)} lies outside the input map of {name}, (p, y, x) < {shape}: "
                    'crop the events, or use on_outside="drop"',
                    index,
                )
        return array

    def targets(self, events: EventArray) -> tuple[tuple[int, ...], npt.NDArray[np.uint8] | None]:
        """Where the events go: cores (or the sensor's id) that all of them enter; or the field that says it of each.

        Raises:
            EmulatorError: no core for events without a layer.
        """
        if "layer" in (events.dtype.names or ()):
            return (), events["layer"]
        if self.network.entries:
            return self.network.entries, None
        if self.network.sensor:
            return (self.config.chip.layers.sensor,), None
        raise EmulatorError(
            "events without a layer need entries, and there are none (by default the only core without a source): "
            f"give entries=[...] out of {list(self.network.order)}, or a field layer"
        )

    def _maps(self, events: EventArray) -> list[tuple[str, tuple[int, int, int], npt.NDArray[np.bool_] | None]]:
        """What the events enter: its name, its map, and which of the events, None for all."""
        cores, layers = self.targets(events)
        if layers is None:
            return [(*self._map(core), None) for core in cores]
        known = (*self.network.order, self.config.chip.layers.sensor)
        unknown = ~np.isin(layers, known)
        if unknown.any():
            index = int(np.argmax(unknown))
            raise EventError(
                f"{describe(events, index)} is addressed to layer {layers[index]}; configured cores are "
                f"{sorted(self.network.order)}, the sensor is {known[-1]}",
                index,
            )
        return [(*self._map(layer), layers == layer) for layer in known]

    def _map(self, layer: int) -> tuple[str, tuple[int, int, int]]:
        if layer == self.config.chip.layers.sensor:
            return "the sensor", sensor_map(self.config.chip)
        return f"core {layer}", self.config.core(layer).dimensions.input_shape

    def _check_times(self, events: EventArray, duration: int | None, after: int, first: bool) -> None:
        t = events["t"]
        if int(t[0]) < after:
            raise EventError(f"{describe(events, 0)} comes before the last event of the chunk fed before, at {after} us", 0)
        if duration is not None and int(t[-1]) > duration:
            index = int(np.argmax(t > duration))
            raise EventError(
                f"{describe(events, index)} comes after the duration of {duration} us: give a longer duration", index
            )
        if int(t[-1]) > MOST_TIME_US:
            index = int(np.argmax(t > MOST_TIME_US))
            raise EventError(
                f"{describe(events, index)} comes later than {MOST_TIME_US} us, the latest time that can be counted: "
                "shift the recording with chipflow.events.rebase_time(events)",
                index,
            )
        if first and self.period is not None and int(t[0]) > MOST_TICKS_BEFORE_FIRST_EVENT * self.period:
            raise EventError(
                f"{describe(events, 0)} comes {int(t[0]) // self.period} clock ticks after 0, more than {MOST_TICKS_BEFORE_FIRST_EVENT}: "
                "an epoch time stamp? Shift the recording with chipflow.events.rebase_time(events)",
                0,
            )
