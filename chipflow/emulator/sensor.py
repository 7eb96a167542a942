"""The sensor's pre-processing (section 6 of the chip model), whole arrays of events at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.events.array import EventArray, outside
from chipflow.events.readings import SensorCounters
from hwconfig.chip import ChipSpec
from hwconfig.sensor_config import DvsLayerConfig

POLARITIES = 2


def sensor_map(chip: ChipSpec) -> tuple[int, int, int]:
    """(polarities, y, x) of the sensor."""
    return POLARITIES, chip.sensor.size, chip.sensor.size


@dataclass(frozen=True)
class Processed:
    """Sensor events after all blocks.

    Attributes:
        kept: which of the given events went through, bool.
        f, y, x: of those; int16.
        counters: of all of them.
    """

    kept: npt.NDArray[np.bool_]
    f: npt.NDArray[np.int16]
    y: npt.NDArray[np.int16]
    x: npt.NDArray[np.int16]
    counters: SensorCounters


def process(part: DvsLayerConfig, chip: ChipSpec, events: EventArray) -> Processed:
    """Polarity, merge, pooling, region of interest, mirrors, in this order."""
    within = ~outside(events, sensor_map(chip))
    selected = within & np.where(events["p"] == 1, part.on_channel, part.off_channel)
    y, x = (events[name] // pool for name, pool in zip("yx", part.pooling, strict=True))
    first, last = part.origin, part.last_pixel(chip.sensor.size)
    kept = selected & (y >= first[0]) & (y <= last[0]) & (x >= first[1]) & (x <= last[1])
    feature = np.zeros_like(events["p"]) if part.merge else events["p"]
    y, x = y - first[0], x - first[1]
    y = last[0] - first[0] - y if part.mirror[0] else y
    x = last[1] - first[1] - x if part.mirror[1] else x
    y, x = (x, y) if part.mirror_diagonal else (y, x)
    counters = SensorCounters(
        events_in=len(events),
        dropped_outside=_count(~within),
        dropped_polarity=_count(within & ~selected),
        dropped_region=_count(selected & ~kept),
        events_out=_count(kept),
    )
    f, y, x = (np.ascontiguousarray(column[kept], np.int16) for column in (feature, y, x))
    return Processed(kept, f, y, x, counters)


def _count(mask: npt.NDArray[Any]) -> int:
    return int(np.count_nonzero(mask))
