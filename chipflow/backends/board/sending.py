"""What a board is told: input events checked, addressed, made into the vendor's, and cut into batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.backends.base import Runnable
from chipflow.backends.windows import Window
from chipflow.emulator.inputs import InputRules
from chipflow.emulator.network import Network, network_of
from chipflow.emulator.options import Options
from chipflow.emulator.sensor import sensor_map
from chipflow.errors import EventError
from chipflow.events.array import EventArray, OnOutside, describe, outside
from hwconfig import ChipConfig

EVENTS_PER_BATCH = 1000
LONGEST_WAIT_US = 3_600_000_000  # for the first event: an hour


@dataclass(frozen=True)
class Batch:
    """Events that are written at once.

    Attributes:
        events: the vendor's.
        times: of the user's events among them, int64 microseconds.
        end_us: up to which the board's time goes on with it.
        marked: markers follow its events.
        dropped: events of the user's that lay outside and were left out.
        window: of a stream, where the batch ends it.
    """

    events: Sequence[Any]
    times: npt.NDArray[np.int64]
    end_us: int
    marked: bool = True
    dropped: int = 0
    window: Window | None = None


class Sender:
    """Makes batches for one configuration.

    Args:
        runnable: the program.
        config: its configuration, with the monitors that were asked for.
        kinds: the vendor's classes of events.
        on_outside: events outside the map that they enter: refused, or dropped here and counted.

    Attributes:
        network: of the configuration.
    """

    def __init__(self, runnable: Runnable, config: ChipConfig, kinds: Any, on_outside: OnOutside = "error") -> None:
        Options(on_outside=on_outside).checked(ChipConfig(chip=config.chip))
        self.network: Network = network_of(config, runnable.entries)
        self._rules = InputRules(config, self.network, runnable.slow_clock_period_us, on_outside)
        self._config, self._kinds = config, kinds

    def checked(self, events: Any, *, duration: int | None = None, after: int | None = None) -> EventArray:
        """The events as an event array.

        Args:
            duration: no event may come later, in microseconds.
            after: time of the last event before them, in microseconds; None: they are the first of the run.

        Raises:
            EventError: the first event that cannot be sent.
        """
        found = self._rules.check(events, duration=duration, after=after or 0, first=after is None)
        if after is None and len(found) and int(found["t"][0]) > LONGEST_WAIT_US:
            raise EventError(
                f"{describe(found, 0)} comes more than an hour after 0, and a board would wait for it: an epoch time stamp? Shift the "
                "recording with chipflow.events.rebase_time(events)",
                0,
            )
        return found

    def batches(self, events: EventArray, end_us: int | None = None, window: Window | None = None) -> Iterator[Batch]:
        """The events in batches, the last of which lasts up to a time.

        Args:
            events: as `checked` returns them.
            end_us: up to which the board's time goes on; None: to the last event.
        """
        last = int(events["t"][-1]) if len(events) else 0
        ends = range(EVENTS_PER_BATCH, len(events), EVENTS_PER_BATCH)
        pieces = np.split(events, list(ends))
        for piece in pieces[:-1]:
            yield self._batch(piece, int(piece["t"][-1]))
        yield self._batch(pieces[-1], last if end_us is None else end_us, window)

    def _batch(self, events: EventArray, end_us: int, window: Window | None = None) -> Batch:
        made, dropped = self._made(events)
        return Batch(made, events["t"].astype(np.int64), end_us, dropped=dropped, window=window)

    def _made(self, events: EventArray) -> tuple[list[Any], int]:
        """The vendor's events, one for each core that an event enters, and how many lie outside."""
        cores, layers = self._rules.targets(events) if len(events) else ((0,), None)
        ways = len(cores) if layers is None else 1
        layer = np.tile(np.asarray(cores, np.int64), len(events)) if layers is None else layers.astype(np.int64)
        repeated = np.repeat(events, ways)
        inside = self._inside(repeated, layer)
        columns = [repeated[name][inside].tolist() for name in ("p", "y", "x", "t")]
        made = [self._event(*row) for row in zip(layer[inside].tolist(), *columns, strict=True)]
        return made, int(np.count_nonzero(~inside))

    def _inside(self, events: EventArray, layer: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        inside = np.ones(len(events), np.bool_)
        for target in np.unique(layer).tolist():
            inside &= ~((layer == target) & outside(events, self._map(target)))
        return inside

    def _map(self, layer: int) -> tuple[int, int, int]:
        chip = self._config.chip
        return sensor_map(chip) if layer == chip.layers.sensor else self._config.core(layer).dimensions.input_shape

    def _event(self, layer: int, p: int, y: int, x: int, t: int) -> Any:
        if layer == self._config.chip.layers.sensor:
            return pixel(self._kinds, p, y, x, t)
        return spike(self._kinds, layer, p, y, x, t)


def spike(kinds: Any, layer: int, feature: int, y: int, x: int, t: int) -> Any:
    """The vendor's event for a core."""
    event = kinds.Spike()
    event.layer, event.feature, event.y, event.x, event.timestamp = layer, feature, y, x, t
    return event


def pixel(kinds: Any, p: int, y: int, x: int, t: int) -> Any:
    """The vendor's event for the sensor's pre-processing."""
    event = kinds.DvsEvent()
    event.p, event.y, event.x, event.timestamp = bool(p), y, x, t
    return event
