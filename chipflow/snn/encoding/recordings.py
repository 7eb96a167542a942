"""Batches of rasters and lists of event arrays: one into the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from chipflow.errors import ChipflowError, EventError
from chipflow.events import EventArray, as_events, events_to_raster, raster_to_events
from chipflow.snn.checks import whole

OnLate = Literal["error", "drop"]
"""What happens to events after the last step: all are refused, or these are left out."""


def to_events(raster: Tensor | npt.NDArray[Any], dt_us: int = 1000) -> list[EventArray]:
    """One event array for each sample of a raster of spike counts.

    Args:
        raster: whole counts [batch, time, c, y, x] of any dtype, on any device; also [batch, time, features], as maps of one pixel.
        dt_us: length of a step in microseconds, at least 1.

    Returns:
        Event arrays (`chipflow.events.EVENT_DTYPE`): a spike in step k has t = k * dt_us and p = its channel or feature; equal times are in
        the order of p, y, x. Silent steps at the end leave no trace: keep the number of steps to come back.

    Raises:
        EventError: for counts that are not whole or below 0, or coordinates that do not fit an event; the message names the sample.
        ChipflowError: for another number of axes, a step that is no whole number of microseconds, or steps so long that times of events, int64,
            cannot hold them.
    """
    counts = raster.numpy(force=True) if isinstance(raster, Tensor) else np.asarray(raster)
    dt_us = whole("dt_us", dt_us)
    if counts.ndim not in (3, 5):
        hint = " Give a single sample its axis of the batch: raster[None]." if counts.ndim == 4 else ""
        expected = "[batch, time, c, y, x] or [batch, time, features]"
        raise ChipflowError(f"the raster has shape {list(counts.shape)}, expected {expected}.{hint}")
    _check_end(counts.shape[1], dt_us)
    samples = counts if counts.ndim == 5 else counts[..., None, None]
    return [_one_to_events(sample, number, dt_us) for number, sample in enumerate(samples)]


def _one_to_events(sample: npt.NDArray[Any], number: int, dt_us: int) -> EventArray:
    try:
        return raster_to_events(sample, dt_us)
    except EventError as error:
        raise EventError(f"sample {number}: {error}", error.index) from error


def from_events(
    recordings: Iterable[Any],
    shape: tuple[int, ...],
    num_steps: int,
    dt_us: int = 1000,
    *,
    on_late: OnLate = "error",
) -> Tensor:
    """A raster of the events of several recordings, counted in steps.

    Args:
        recordings: event arrays, one for each sample; `p` is the channel or feature.
        shape: of the map, (c, y, x) or (features,).
        num_steps: steps of the raster, at least 1, the same for all recordings.
        dt_us: length of a step in microseconds, at least 1: an event at t lies in step t // dt_us.
        on_late: "error" refuses events at or after the end, num_steps * dt_us; "drop" leaves them out (how many they are is the number
            of all events less the sum of the raster).

    Returns:
        An int32 raster of spike counts [batch, time, *shape].

    Raises:
        EventError: for events outside the map or after the end, or arrays that are no events; the message names the recording, `.index`
            is the first such event.
        ChipflowError: for a `shape` that is none, no steps, or a step that is no whole number of microseconds, or too long as above.
    """
    num_steps, dt_us = whole("num_steps", num_steps), whole("dt_us", dt_us)
    if on_late not in ("error", "drop"):
        raise ChipflowError(f"on_late is {on_late!r}, it must be 'error' or 'drop'.")
    _check_end(num_steps, dt_us)
    shape, recordings = _checked_shape(shape), _checked_list(recordings)
    c, y, x = shape if len(shape) == 3 else (shape[0], 1, 1)
    raster = torch.zeros((len(recordings), num_steps, c, y, x), dtype=torch.int32)
    for number, recording in enumerate(recordings):
        try:
            events = _until(as_events(recording), num_steps, dt_us, on_late)
            raster[number] = torch.from_numpy(events_to_raster(events, (c, y, x), dt_us, num_steps * dt_us))
        except EventError as error:
            raise EventError(f"recording {number}: {error}", error.index) from error
    return raster.reshape(len(recordings), num_steps, *shape)


def _check_end(num_steps: int, dt_us: int) -> None:
    if num_steps * dt_us > np.iinfo(np.int64).max:
        raise ChipflowError(
            f"dt_us is {dt_us}: {num_steps} steps of so many microseconds end beyond the largest time of an event, 2 ** 63 - 1 us."
        )


def _checked_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, Sequence) or len(shape) not in (1, 3):
        raise ChipflowError(f"shape is {shape!r}, expected (c, y, x) or (features,).")
    return tuple(whole("a side of shape", side) for side in shape)


def _checked_list(recordings: Any) -> list[Any]:
    if isinstance(recordings, np.ndarray) and recordings.dtype.names is not None:
        raise ChipflowError("recordings is a single event array, expected a list of them: [events].")
    if not isinstance(recordings, Iterable):
        raise ChipflowError(f"recordings is {recordings!r}, expected a list of event arrays.")
    return list(recordings)


def _until(events: EventArray, num_steps: int, dt_us: int, on_late: OnLate) -> EventArray:
    """The events in the first `num_steps` steps; others are refused unless they may be dropped."""
    kept = int(np.searchsorted(events["t"], num_steps * dt_us))
    if kept < len(events) and on_late == "error":
        last = int(events["t"][-1])
        raise EventError(
            f"{len(events) - kept:,} of {len(events):,} events come at or after the end of the last step, {num_steps} * {dt_us} us = "
            f"{num_steps * dt_us:,} us; the last one at t = {last:,} us. Give num_steps={last // dt_us + 1}, longer steps, or "
            'on_late="drop".',
            kept,
        )
    return events[:kept]
