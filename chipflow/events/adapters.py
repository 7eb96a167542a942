"""Events of other libraries as columns with our names: fields are taken by name, never by position.

`NAMES` says which names mean what, and whatever has such names is taken: structured arrays (tonic, expelliarmus, faery, sinabs,
specksim), tables of columns (mappings, HDF5 groups, data frames), an EventStore of dv-processing, and lists of objects with such
attributes, as the vendor's Spike and DvsEvent. Where two names could mean the same, or nothing has a name, we refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError

Column = npt.NDArray[Any]

NAMES: Mapping[str, tuple[str, ...]] = {
    "x": ("x",),
    "y": ("y",),
    "t": ("t", "ts", "time", "timestamp", "timestamps"),
    "p": ("p", "pol", "polarity", "polarities", "on", "feature"),
    "layer": ("layer",),
}
"""Our name of a field -> the names that other libraries have for it."""

NEEDED = "a structured array with the fields x, y, t, p (and optionally layer), all integers"
_RASTER_AXES = 4


def columns_of(events: Any) -> dict[str, Column]:
    """The columns x, y, t, p, and layer where there is one, of anything with such names; polarities -1 and +1 become 0 and 1.

    Raises:
        EventError: nothing has a name, a name is missing, unknown, or could mean the same as another; more than one axis; a list of
            different kinds of objects; polarities that are neither of 0 and 1, features from 0, or of -1 and +1.
    """
    named = _named(events)
    name_of = meanings(tuple(named))
    columns = {meaning: named[name] for meaning, name in name_of.items()}
    shapes = {name: named[name].shape for name in name_of.values()}
    if len(set(shapes.values())) > 1:
        raise EventError(f"event columns must have one length, found shapes {shapes}")
    if columns["t"].ndim != 1:
        raise EventError(f"events must have one axis, found shape {columns['t'].shape}: flatten them in the order of time")
    return columns | {"p": unsigned_polarity(columns["p"], name_of["p"])}


def unsigned_polarity(p: Column, name: str = "p") -> Column:
    """Polarities -1 and +1 as 0 and 1; others as they are.

    Args:
        p: one axis.
        name: of the field, as the caller calls it; a `feature` is never a polarity.

    Raises:
        EventError: negative values beside others than -1 and +1; `.index` is the first of them.
    """
    if p.dtype.kind != "i" or not p.size or p.min() >= 0:
        return p
    if name == "feature" or not np.isin(p, (-1, 1)).all():
        index = int(np.argmax(p < 0))
        allowed = "features count from 0" if name == "feature" else "polarities are 0 and 1, or -1 and +1 without a 0"
        raise EventError(f"event {index}: {name} = {p[index]} is negative, but {allowed}: renumber them", index)
    return p > 0


def _named(events: Any) -> dict[str, Column]:
    """Columns under the names that they were given."""
    if hasattr(events, "coordinates") and hasattr(events, "timestamps"):  # dv-processing's EventStore
        events = events.numpy()
    if isinstance(events, Mapping) or hasattr(events, "columns"):
        names = cast("Iterable[Any]", events if isinstance(events, Mapping) else events.columns)
        return {str(name): np.asarray(events[name]) for name in names}
    if isinstance(events, list | tuple):
        return _attributes(cast("Sequence[Any]", events))
    if isinstance(events, np.ndarray | np.void) and events.dtype.names is not None:
        return {name: np.asarray(events[name]) for name in cast("tuple[str, ...]", events.dtype.names)}
    raise _nameless(events)


def _attributes(events: Sequence[Any]) -> dict[str, Column]:
    """Columns of a list of objects of one kind, from those of their attributes that have a known name."""
    if not events:
        return {name: np.zeros(0, np.int64) for name in ("x", "y", "t", "p")}
    first = events[0]
    if isinstance(first, np.void) and first.dtype.names is not None:
        return _named(np.array(events, first.dtype))
    names = [name for known in NAMES.values() for name in known if hasattr(first, name)]
    if not names or isinstance(first, np.ndarray):
        raise _nameless(events)
    kind = type(first)
    other = next((index for index, event in enumerate(events) if type(event) is not kind), None)
    if other is not None:
        raise EventError(
            f"event {other} is a {type(events[other]).__name__}, the first a {kind.__name__}: give events of one kind, "
            f"[event for event in events if type(event).__name__ == {kind.__name__!r}]",
            other,
        )
    return {name: np.array([getattr(event, name) for event in events]) for name in names}


def meanings(names: tuple[str, ...]) -> dict[str, str]:
    """Our name -> the given one, in small or capital letters.

    Raises:
        EventError: a name is missing, unknown, or could mean the same as another.
    """
    found = {meaning: [name for name in names if name.lower() in known] for meaning, known in NAMES.items()}
    for meaning, several in found.items():
        if len(several) > 1:
            raise EventError(f"events have {' and '.join(several)}, which could each be {meaning}: remove or rename all but one")
    missing = [meaning for meaning in ("x", "y", "t", "p") if not found[meaning]]
    unknown = [name for name in names if not any(name in known for known in found.values())]
    if missing or unknown:
        advice = [f"add {_spelt(meaning)}" for meaning in missing] + [f"rename or remove {name}" for name in unknown]
        given = ", ".join(names) or "none"
        raise EventError(f"events have the fields x, y, t, p (and optionally layer), found {given}: {'; '.join(advice)}")
    return {meaning: given[0] for meaning, given in found.items() if given}


def _spelt(meaning: str) -> str:
    """A name with the others that would do."""
    others = NAMES[meaning][1:]
    return f"{meaning} (or {', '.join(others)})" if others else meaning


def _nameless(events: Any) -> EventError:
    """What was found in place of events, and the way from there to events."""
    shape, dtype = getattr(events, "shape", None), getattr(events, "dtype", None)
    if isinstance(events, str | PathLike):
        return EventError(f"events must be {NEEDED}; found the path {events}: read it with load_events")
    if isinstance(events, list | tuple):
        return _nameless_list(cast("Sequence[Any]", events))
    if shape is None or dtype is None:
        return EventError(f"events must be {NEEDED}; found {type(events).__name__}: build them with make_events")
    if len(shape) >= _RASTER_AXES:
        return EventError(f"events must be {NEEDED}; found an array of shape {tuple(shape)}: for a raster, raster_to_events")
    return EventError(
        f"events must be {NEEDED}; found an array of dtype {dtype} and shape {tuple(shape)}, whose columns have no names: "
        "build events with make_events(x=..., y=..., t=..., p=...)"
    )


def _nameless_list(events: Sequence[Any]) -> EventError:
    kinds = dict.fromkeys(type(event).__name__ for event in events)
    if isinstance(events, tuple) and isinstance(events[0], np.ndarray) and events[0].dtype.names:
        way_out = "of a sample (events, label) take the events, sample[0]"
    else:
        way_out = "they have none of these names; build events with make_events(x=..., y=..., t=..., p=...)"
    return EventError(f"events must be {NEEDED}; found a {type(events).__name__} of {', '.join(kinds)}: {way_out}")
