"""The event array: one numpy structured array, fields by name.

`x`, `y` (coordinates) and `p` (polarity or feature) are int16, `t` is int64 in microseconds, not negative and ascending;
`layer` (uint8) is there where several cores are addressed or reported. Rasters are [time, channels, y, x].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError
from chipflow.events.adapters import columns_of

EventArray = npt.NDArray[np.void]
OnOutside = Literal["error", "drop"]
"""What happens to input events outside the map they enter: all are refused before the run, or these are dropped and counted."""

EVENT_DTYPE = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int16)])
EVENT_LAYER_DTYPE = np.dtype([*((name, EVENT_DTYPE[name]) for name in ("x", "y", "t", "p")), ("layer", np.uint8)])


def make_events(
    x: npt.ArrayLike, y: npt.ArrayLike, t: npt.ArrayLike, p: npt.ArrayLike, layer: npt.ArrayLike | None = None
) -> EventArray:
    """An event array from columns, or from scalars that hold for every event.

    Raises:
        EventError: columns of unequal length, not integers, values that do not fit, or times that `as_events` refuses.
    """
    columns = {"x": x, "y": y, "t": t, "p": p} | ({} if layer is None else {"layer": layer})
    try:
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(column)) for column in columns.values()))
    except ValueError:
        sizes = {name: np.shape(column) for name, column in columns.items()}
        raise EventError(f"event columns must have one length, found shapes {sizes}") from None
    return _from_columns(dict(zip(columns, arrays, strict=True)))


def addressed(inputs: Mapping[str, Sequence[int]], recordings: Mapping[str, Any]) -> EventArray:
    """Recordings of several inputs as one, by time, each event once for every core that its input enters.

    Args:
        inputs: input name -> ids of the cores that it enters, in order; equal times come in the order of the inputs.
        recordings: input name -> events with x, y, t, p.

    Raises:
        EventError: an input that does not exist, or one without a recording; events that cannot be used.
    """
    if sorted(recordings) != sorted(inputs):
        raise EventError(f"recordings are given for {sorted(recordings)}, the program's inputs are {sorted(inputs)}")
    columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in ("x", "y", "t", "p", "layer", "recording", "index")}
    for number, (name_of_input, cores) in enumerate(inputs.items()):
        events = as_events(recordings[name_of_input])
        for core in cores:
            for name in ("x", "y", "t", "p"):
                columns[name].append(events[name])
            columns["layer"].append(np.full(events.size, core, np.uint8))
            columns["recording"].append(np.full(events.size, number))
            columns["index"].append(np.arange(events.size))
    joined = {name: np.concatenate(parts) if parts else np.zeros(0, np.int64) for name, parts in columns.items()}
    order = np.lexsort((joined["index"], joined["recording"], joined["t"]))
    return make_events(*(joined[name][order] for name in ("x", "y", "t", "p", "layer")))


def as_events(events: Any) -> EventArray:
    """Events of any library that names its fields, as an event array; fields are taken by name, in any order.

    Args:
        events: one axis of integers or booleans, with the fields x, y, t (us), p and perhaps layer, by our names or those in
            `chipflow.events.adapters.NAMES`: a structured array (tonic, expelliarmus, faery, sinabs, specksim), columns in a mapping
            or a data frame, an EventStore of dv-processing, a list of the vendor's Spike or DvsEvent objects. Where it is not an
            event array already, polarities of -1 and +1 become 0 and 1.

    Raises:
        EventError: other fields or dtypes, two fields that could mean the same, columns without names, values that do not fit,
            negative or descending times; `.index` is the first such event.

    Returns:
        An event array; the given one, not copied, if it is one.
    """
    if _is_event_array(events):
        _check_times(events["t"])
        return np.asarray(events)
    return _from_columns(columns_of(events))


def _is_event_array(events: Any) -> bool:
    return isinstance(events, np.ndarray) and events.ndim == 1 and events.dtype in (EVENT_DTYPE, EVENT_LAYER_DTYPE)


def _from_columns(columns: dict[str, npt.NDArray[Any]]) -> EventArray:
    dtype = EVENT_LAYER_DTYPE if "layer" in columns else EVENT_DTYPE
    result = np.empty(len(columns["t"]), dtype)
    for name in cast("tuple[str, ...]", dtype.names):
        column = columns[name]
        _check_column(name, column, dtype[name])
        result[name] = column
    _check_times(result["t"])
    return result


def _check_column(name: str, column: npt.NDArray[Any], target: np.dtype[Any]) -> None:
    if column.ndim != 1:
        raise EventError(f"event field {name} must have one axis, found shape {column.shape}")
    if column.dtype.kind not in "iub" and column.size:
        raise EventError(f"event field {name} must hold integers, found {column.dtype}: round it first, {_rounded(name)}")
    bounds = np.iinfo(target)
    if not column.size or np.can_cast(column.dtype, target):
        return
    # uint64 compares exactly with Python integers that fit it; a lower bound cannot be violated there.
    wrong = column > column.dtype.type(min(bounds.max, np.iinfo(column.dtype).max))
    if column.dtype.kind == "i":
        wrong = wrong | (column < column.dtype.type(max(bounds.min, np.iinfo(column.dtype).min)))
    if wrong.any():
        index = int(np.argmax(wrong))
        raise EventError(f"event {index}: {name} = {column[index]} is outside {bounds.min}..{bounds.max}", index)


def _rounded(name: str) -> str:
    seconds = "t to whole microseconds; seconds are np.round(t * 1e6).astype(np.int64)"
    return seconds if name == "t" else f"{name}.astype(np.int16) where it is whole"


def _check_times(t: npt.NDArray[np.int64]) -> None:
    if t.size and int(t.min()) < 0:
        index = int(np.argmax(t < 0))
        raise EventError(f"event {index}: t = {t[index]} us is negative; shift the recording with rebase_time(events)", index)
    descends = t[1:] < t[:-1]
    if descends.any():
        index = int(np.argmax(descends)) + 1
        raise EventError(
            f"event {index}: t = {t[index]} us comes after {t[index - 1]} us; sort first: events[np.argsort(events['t'], kind='stable')]",
            index,
        )


def rebase_time(events: Any, start_us: int = 0) -> EventArray:
    """A copy in which the first event happens at `start_us`; for recordings with epoch time stamps."""
    columns = {name: events[name] for name in events.dtype.names} if _is_event_array(events) else columns_of(events)
    t = columns["t"]
    if t.size and t.dtype.kind in "iu":  # others are refused below; in int64 the difference of two uint64 is right as well
        columns["t"] = t.astype(np.int64) - t[:1].astype(np.int64) + np.int64(start_us)
    return _from_columns(columns)


def raster_to_events(raster: Any, dt_us: int = 1000) -> EventArray:
    """Events of a raster [time, channels, y, x] of spike counts; step k happens at k * dt_us, in the order channel, y, x.

    Args:
        raster: an array or nested lists, or a torch tensor, on any device and with or without a gradient.
        dt_us: microseconds of a step.

    Raises:
        EventError: not four axes, values that are not whole and non-negative, or dt_us < 1.
    """
    counts: Any = np.asarray(raster.detach().cpu() if hasattr(raster, "detach") else raster)  # torch is not known here
    if counts.ndim != 4:
        sample = ": give one sample of a batch, raster[i]" if counts.ndim == 5 else ""
        raise EventError(f"a raster is [time, channels, y, x], found shape {counts.shape}{sample}")
    _check_dt(dt_us)
    whole = _whole(counts)
    step, channel, y, x = np.nonzero(whole)
    times = whole[step, channel, y, x]
    columns = {"x": x, "y": y, "t": step * np.int64(dt_us), "p": channel}
    return _from_columns({name: np.repeat(column, times) for name, column in columns.items()})


def _whole(counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if counts.dtype.kind not in "iubf":
        raise EventError(f"a raster holds spike counts, found dtype {counts.dtype}")
    whole = counts.astype(np.int64) if counts.dtype.kind != "f" else np.nan_to_num(counts, nan=-1.0).astype(np.int64)
    if counts.size and (whole.min() < 0 or not np.array_equal(whole, counts)):
        raise EventError("a raster holds whole spike counts of 0 or more, found negative or fractional values")
    return whole


def _check_dt(dt_us: int) -> None:
    if dt_us < 1 or dt_us != int(dt_us):
        raise EventError(f"dt_us must be a whole number of microseconds from 1, found {dt_us}")


def events_to_raster(
    events: Any, shape: tuple[int, int, int], dt_us: int = 1000, duration: int | None = None
) -> npt.NDArray[np.int32]:
    """Spike counts [time, channels, y, x] in steps of `dt_us`.

    Args:
        events: an event array; `p` is the channel.
        shape: (channels, y, x).
        dt_us: length of a step.
        duration: microseconds covered, rounded up to whole steps; None: up to the last event.

    Raises:
        EventError: an event outside `shape` or at or after the last step's end; `.index` says which.
    """
    array = as_events(events)
    _check_dt(dt_us)
    last = int(array["t"][-1]) // dt_us + 1 if array.size else 0
    steps = last if duration is None else -(-duration // dt_us)
    step = array["t"] // dt_us
    wrong = outside(array, shape) | (step >= steps)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise EventError(
            f"{describe(array, index)} lies outside the raster of {steps} steps of {dt_us} us and shape {shape}", index
        )
    raster = np.zeros((steps, *shape), np.int32)
    np.add.at(raster, (step, array["p"], array["y"], array["x"]), 1)
    return raster


def outside(events: EventArray, shape: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Which events lie outside a map (channels, y, x)."""
    result = np.zeros(len(events), np.bool_)
    for name, size in zip(("p", "y", "x"), shape, strict=True):
        result |= (events[name] < 0) | (events[name] >= size)
    return result


def describe(events: EventArray, index: int) -> str:
    """One event in words, for messages."""
    event = events[index]
    return f"event {index} (x={event['x']}, y={event['y']}, p={event['p']}, t={event['t']} us)"
