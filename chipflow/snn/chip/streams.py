"""Events in their true order, a sequence for each sample, cut where clock ticks fall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.errors import ChipflowError, EventError
from chipflow.events import EventArray, as_events
from chipflow.events.array import describe, outside
from chipflow.snn.checks import whole

Positions = npt.NDArray[np.int32]
MOST_EVENTS = 50_000
"""Events of a pixel in a step of a raster; more are a mistake that would fill the memory."""


@dataclass(frozen=True, eq=False)
class Stream:
    """The events between two layers.

    Attributes:
        positions: for each sample int32 [events], index into the flattened map (channels, y, x).
        ends: for each sample int64 [ticks + 1], from 0: the events before each tick of the slow clock.
    """

    positions: list[Positions]
    ends: list[npt.NDArray[np.int64]]

    def __iter__(self) -> Iterator[tuple[Positions, npt.NDArray[np.int64]]]:
        return zip(self.positions, self.ends, strict=True)


@dataclass(frozen=True)
class Clock:
    """How the time of recordings is divided.

    Attributes:
        dt_us: microseconds of a step of the result.
        num_steps: steps of the result.
        time_step_us: microseconds between two ticks of the slow clock; `dt_us` is a multiple of it.
    """

    dt_us: int
    num_steps: int
    time_step_us: int

    @property
    def ticks_per_step(self) -> int:
        """Ticks of the slow clock in a step of the result."""
        return self.dt_us // self.time_step_us


def stream_of_raster(raster: npt.NDArray[Any]) -> Stream:
    """Events of spike counts [batch, time, ...] in the order of `chipflow.events.raster_to_events`; one tick a step.

    Raises:
        ChipflowError: for values that are no whole counts of 0 or more.
    """
    positions, ends = [], []
    for sample in _counts(raster).reshape(*raster.shape[:2], -1):
        step, place = np.nonzero(sample)
        positions.append(np.repeat(place, sample[step, place]).astype(np.int32))
        ends.append(_from_zero(sample.sum(1)))
    return Stream(positions, ends)


def stream_of_recordings(recordings: Sequence[EventArray], shape: tuple[int, int, int], clock: Clock) -> Stream:
    """The events of recordings in their own order, and ticks at the multiples of `clock.time_step_us`.

    Raises:
        EventError: for an event outside of the map (channels, y, x), or after the last step.
    """
    for number, events in enumerate(recordings):
        _check_inside(number, events, shape, clock)
    channels_y_x = [tuple(events[name].astype(np.int64) for name in ("p", "y", "x")) for events in recordings]
    positions = [((p * shape[1] + y) * shape[2] + x).astype(np.int32) for p, y, x in channels_y_x]
    # A tick is before events of its time: hence those to the left of it.
    ticks = np.arange(1, clock.num_steps * clock.ticks_per_step + 1) * clock.time_step_us
    ends = [np.concatenate([[0], np.searchsorted(events["t"], ticks)]) for events in recordings]
    return Stream(positions, ends)


def raster_of_stream(stream: Stream, shape: tuple[int, ...], ticks_per_step: int) -> npt.NDArray[np.float32]:
    """Spike counts [batch, time, *shape] of a stream."""
    size = int(np.prod(shape))
    steps = (len(stream.ends[0]) - 1) // ticks_per_step
    raster = np.zeros((len(stream.positions), steps, size), np.float32)
    for counts, (positions, ends) in zip(raster, stream, strict=True):
        step = np.repeat(np.arange(steps), np.diff(ends[::ticks_per_step]))
        counts[:] = np.bincount(step * size + positions, minlength=steps * size).reshape(steps, size)
    return raster.reshape(len(raster), steps, *shape)


def checked_recordings(recordings: Sequence[Any]) -> list[EventArray]:
    """Each as an event array.

    Raises:
        EventError: for one that is none, or whose events name a core.
    """
    checked: list[EventArray] = []
    for number, events in enumerate(recordings):
        try:
            checked.append(as_events(events))
        except EventError as error:
            raise EventError(f"Recording {number}: {error}", error.index) from None
        if "layer" in (checked[-1].dtype.names or ()):
            raise EventError(
                f"Recording {number}: its events name the core that they enter (field layer); a chain has one entry, leave it out."
            )
    return checked


def clock_of(recordings: Sequence[EventArray], dt_us: int | None, num_steps: int | None, time_step_us: int | None) -> Clock:
    """The division of time asked for; by default a tick a step, and steps up to the last event of all recordings.

    Raises:
        ChipflowError: for numbers that are none, or do not go together.
    """
    if dt_us is None:
        raise ChipflowError("Recordings need dt_us=, the microseconds of a step of the result.")
    dt_us, ticks = whole("dt_us", dt_us), whole("time_step_us", dt_us if time_step_us is None else time_step_us)
    num_steps = None if num_steps is None else whole("num_steps", num_steps)
    if dt_us % ticks:
        raise ChipflowError(
            f"dt_us is {dt_us}, it must be a multiple of time_step_us = {ticks}: the slow clock ticks at ends of steps."
        )
    if num_steps is None:
        lasts = [int(events["t"][-1]) for events in recordings if events.size]
        if not lasts:
            raise ChipflowError("There is no event in any of the recordings: give num_steps.")
        num_steps = max(lasts) // dt_us + 1
    return Clock(dt_us, num_steps, ticks)


def _check_inside(number: int, array: EventArray, shape: tuple[int, int, int], clock: Clock) -> None:
    end = clock.num_steps * clock.dt_us
    wrong = outside(array, shape) | (array["t"] >= end)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise EventError(
            f"Recording {number}: {int(wrong.sum())} of {array.size} events lie outside of {clock.num_steps} steps of {clock.dt_us} us and the "
            f"shape (channels, y, x) = {shape}, the first is {describe(array, first)}. Cut the recording, or give more num_steps.",
            first,
        )


def _counts(raster: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    wrong = ~(np.isfinite(raster) & (raster >= 0) & (raster == np.rint(raster)))
    if wrong.any():
        example = raster[wrong][0]
        raise ChipflowError(
            f"The raster (shape {list(raster.shape)}) holds {int(wrong.sum())} values that are no spike counts, such as {example:g}: events are "
            "whole numbers of 0 or more. Encode intensities as spikes first, with chipflow.snn.bernoulli for example."
        )
    if raster.size and raster.max() > MOST_EVENTS:
        raise ChipflowError(
            f"The raster (shape {list(raster.shape)}) holds a value of {raster.max():g}: so many events of a pixel in a single step, where at most "
            f"{MOST_EVENTS:,} are taken. Divide it, or give finer steps."
        )
    return raster.astype(np.int64)


def _from_zero(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)])
