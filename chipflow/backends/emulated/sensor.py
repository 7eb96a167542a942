"""The sensor of an emulated chip: a recording."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np

from chipflow.errors import DeviceError, EventError
from chipflow.events import load_events
from chipflow.events.array import EventArray, describe, make_events, outside, rebase_time
from hwconfig import ChipConfig, ChipSpec

POLARITIES = 2
COLUMNS = ("x", "y", "t", "p")


class RecordedSensor:
    """Shows a recording, from its first event on, which happens at 0; after its last event it sees nothing.

    Args:
        source: events x, y, t, p, or the path of a file of them, which is read when they are first needed; None: no sensor.
        name: of the device.
    """

    def __init__(self, source: Any, name: str) -> None:
        self._source, self._name = source, name
        self._events: EventArray | None = None

    def __bool__(self) -> bool:
        return self._source is not None

    def events(self, chip: ChipSpec | None) -> EventArray:
        """All events of the recording, x, y, t, p, the first at 0.

        Args:
            chip: whose pixels they must lie in; None: not checked.

        Raises:
            DeviceError: there is no sensor.
            EventError: the recording cannot be read, or does not fit the pixels.
        """
        if not self:
            raise DeviceError(
                f"{self._name} has no sensor: open it with one, open_device({self._name!r}, sensor=events or a file of them), or give events"
            )
        if self._events is None:
            self._events = self._loaded()
        if chip is not None:
            _check_pixels(self._events, chip)
        return self._events

    def _loaded(self) -> EventArray:
        is_path = isinstance(self._source, str | PathLike)
        found = rebase_time(load_events(Path(cast("str", self._source))) if is_path else self._source)
        return make_events(*(found[name] for name in COLUMNS))


def addressed_to_pixels(events: EventArray, config: ChipConfig) -> EventArray:
    """Sensor events with the layer id of the sensor, so that they enter its pre-processing.

    Raises:
        DeviceError: nothing of the configuration reads the sensor.
    """
    if not config.dvs_layer.is_read:
        raise DeviceError("nothing in this configuration reads the sensor: compile with sensor=True, or give events")
    x, y, t, p = (events[name] for name in COLUMNS)
    return make_events(x, y, t, p, np.uint8(config.chip.layers.sensor))


def _check_pixels(events: EventArray, chip: ChipSpec) -> None:
    size = chip.sensor.size
    wrong = outside(events, (POLARITIES, size, size))
    if wrong.any():
        index = int(np.argmax(wrong))
        raise EventError(
            f"the sensor's recording: {describe(events, index)} lies outside the {size} x {size} pixels of {chip.name}: "
            "crop or downsample it (chipflow events crop, chipflow events downsample)",
            index,
        )
