"""What goes into a run: validated events, clock ticks, and the common order of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator.network import Network
from chipflow.errors import EmulatorError, EventError, UnsupportedConfigError
from chipflow.events.array import EventArray, OnOutside, as_events, describe, outside
from hwconfig.config import ChipConfig

MOST_TICKS_BEFORE_FIRST_EVENT = 1_000_000


def checked_options(on_outside: str, order: str) -> None:
    """Raises EmulatorError for option values that do not exist, UnsupportedConfigError for an order that is not modelled."""
    if on_outside not in ("error", "drop"):
        raise EmulatorError(f'on_outside must be "error" or "drop", found {on_outside!r}')
    if order == "breadth_first":
        raise UnsupportedConfigError('order="breadth_first" is not modelled yet: use "depth_first", the chip\'s order')
    if order != "depth_first":
        raise EmulatorError(f'order must be "depth_first", found {order!r}')


def checked_period(config: ChipConfig, period: int | None) -> int | None:
    """The slow clock's period in microseconds, or None for no clock.

    Raises:
        EmulatorError: not a whole number from 1, or a core needs the clock and there is none.
    """
    if period is not None:
        if isinstance(period, bool) or int(period) != period or period < 1:
            raise EmulatorError(f"slow_clock_period_us must be a whole number of microseconds from 1, found {period!r}")
        return int(period)
    internal = [core for core in config.active_cores if config.core(core).leak_internal_slow_clk_enable]
    leaking = [core for core in config.active_cores if config.core(core).leak_enable]
    if internal:
        raise EmulatorError(
            f"cores {internal} use the internal slow clock, whose rate depends on sensor traffic: give slow_clock_period_us in its "
            "place, or disable leak_internal_slow_clk_enable"
        )
    if leaking:
        raise EmulatorError(f"cores {leaking} have leak_enable, but no clock: give slow_clock_period_us, or disable leak_enable")
    return None


def checked_duration(duration: int | None, last_t: int) -> int | None:
    """The duration as int.

    Raises:
        EmulatorError: not a whole, non-negative number of microseconds, or before the last event.
    """
    if duration is None:
        return None
    if isinstance(duration, bool) or int(duration) != duration or duration < 0:
        raise EmulatorError(f"duration must be a whole number of microseconds from 0, found {duration!r}")
    if last_t > duration:
        raise EmulatorError(
            f"the last event fed came at {last_t} us, after the duration of {duration} us: give a longer duration"
        )
    return int(duration)


@dataclass(frozen=True)
class InputRules:
    """What events must satisfy before a run starts."""

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
        for core, mine in self.addressed(array):
            wrong = outside(array, self.config.core(core).dimensions.input_shape) & mine
            if self.on_outside == "error" and wrong.any():
                index = int(np.argmax(wrong))
                shape = self.config.core(core).dimensions.input_shape
                raise EventError(
                    f"{describe(array, index)} lies outside the input map of core {core}, (p, y, x) < {shape}: "
                    'crop the events, or use on_outside="drop"',
                    index,
                )
        return array

    def addressed(self, events: EventArray) -> list[tuple[int, npt.NDArray[np.bool_]]]:
        """Cores that the events are addressed to, in order, each with a mask of its events."""
        if "layer" not in (events.dtype.names or ()):
            if not self.network.entries and events.size:
                raise EmulatorError(
                    "events without a layer need entries, and several cores (or none) have no source: "
                    f"give entries=[...] out of {list(self.network.order)}, or a field layer"
                )
            return [(core, np.ones(len(events), np.bool_)) for core in self.network.entries]
        unknown = ~np.isin(events["layer"], self.network.order)
        if unknown.any():
            index = int(np.argmax(unknown))
            raise EventError(
                f"{describe(events, index)} is addressed to layer {events['layer'][index]}; "
                f"configured cores are {sorted(self.network.order)}",
                index,
            )
        return [(core, events["layer"] == core) for core in self.network.order if bool(np.any(events["layer"] == core))]

    def _check_times(self, events: EventArray, duration: int | None, after: int, first: bool) -> None:
        t = events["t"]
        if int(t[0]) < after:
            raise EventError(f"{describe(events, 0)} comes before the last event of the chunk fed before, at {after} us", 0)
        if duration is not None and int(t[-1]) > duration:
            index = int(np.argmax(t > duration))
            raise EventError(
                f"{describe(events, index)} comes after the duration of {duration} us: give a longer duration", index
            )
        if first and self.period is not None and int(t[0]) > MOST_TICKS_BEFORE_FIRST_EVENT * self.period:
            raise EventError(
                f"{describe(events, 0)} comes {int(t[0]) // self.period} clock ticks after 0, more than {MOST_TICKS_BEFORE_FIRST_EVENT}: "
                "an epoch time stamp? Shift the recording with chipflow.events.rebase_time(events)",
                0,
            )


@dataclass(frozen=True)
class Block:
    """Events lo..hi of a chunk and ticks first..last (inclusive, counted from 1), with their place in the order of all inputs."""

    lo: int
    hi: int
    event_index: npt.NDArray[np.int64]
    tick_times: npt.NDArray[np.int64]
    tick_index: npt.NDArray[np.int64]


def blocks(t: npt.NDArray[np.int64], period: int | None, ticks: int, index: int, end: int, size: int) -> Iterator[Block]:
    """Cut events and the ticks around them into blocks of at most `size` events and `size` ticks.

    Args:
        t: times of the events.
        period: of the clock; None: no ticks.
        ticks: how many ticks went before.
        index: how many inputs (events and ticks) went before.
        end: ticks up to this time belong to these blocks.
    """
    lo, total = 0, 0 if period is None else max(end // period, ticks)
    while lo < len(t) or ticks < total:
        hi = min(lo + size, len(t))
        upto = total if hi == len(t) or period is None else max(int(t[hi - 1]) // period, ticks)
        if period is not None and upto > ticks + size:
            upto = ticks + size
            hi = lo + int(np.searchsorted(t[lo:hi], (upto + 1) * period, side="left"))
        times = np.arange(ticks + 1, upto + 1, dtype=np.int64) * (period or 1)
        mine = t[lo:hi]
        # A tick comes before the events of its own time.
        event_index = index + np.arange(len(mine)) + np.searchsorted(times, mine, side="right")
        tick_index = index + np.arange(len(times)) + np.searchsorted(mine, times, side="left")
        yield Block(lo, hi, event_index, times, tick_index)
        index += len(mine) + len(times)
        lo, ticks = hi, upto
