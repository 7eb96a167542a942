"""Streams of events between cores: delivery along a route, and merging by the order of their causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipflow.emulator.network import Route
from chipflow.emulator.records import TICK, Items
from chipflow.events.array import EVENT_LAYER_DTYPE, EventArray

Shape = tuple[int, int, int]


@dataclass
class Arrivals:
    """How many events arrived at a core, and how many of them were dropped, by reason."""

    events_in: int = 0
    outside: int = 0
    remainder: int = 0


def empty_items(size: int = 0) -> Items:
    """Room for this many items, not initialised."""
    f, y, x = (np.empty(size, np.int16) for _ in range(3))
    return Items(f, y, x, np.empty(size, np.int64), np.empty(size, np.int64))


def take(items: Items, chosen: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Items:
    """Some of the items, copied."""
    f, y, x, t, key = items
    return Items(f[chosen].copy(), y[chosen].copy(), x[chosen].copy(), t[chosen].copy(), key[chosen].copy())


def concatenate(pieces: Sequence[Items]) -> Items:
    """Pieces one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return empty_items()
    f, y, x = (np.concatenate([piece[axis] for piece in pieces], dtype=np.int16) for axis in range(3))
    t, key = (np.concatenate([piece[axis] for piece in pieces], dtype=np.int64) for axis in (3, 4))
    return Items(f, y, x, t, key)


def merge(pieces: Sequence[Items]) -> Items:
    """Pieces, each ordered by key, as one stream ordered by key; of equal keys the earlier piece comes first."""
    filled = [piece for piece in pieces if piece.f.size]
    joined = concatenate(filled)
    return joined if len(filled) < 2 else take(joined, np.argsort(joined.key, kind="stable"))


def tick_items(times: npt.NDArray[np.int64], keys: npt.NDArray[np.int64]) -> Items:
    """Clock ticks as stream items."""
    zeros = np.zeros(times.size, np.int16)
    return Items(np.full(times.size, TICK, np.int16), zeros, zeros, times, keys)


def addressed_items(events: EventArray, keys: npt.NDArray[np.int64], shape: Shape, arrivals: Arrivals) -> Items:
    """Events from the user as items for a core with this input map; those outside are dropped and counted."""
    f, y, x = (np.ascontiguousarray(events[name], dtype=np.int16) for name in ("p", "y", "x"))
    items = Items(f, y, x, np.ascontiguousarray(events["t"], dtype=np.int64), keys)
    inside = _inside(items, shape)
    arrivals.events_in += len(events)
    arrivals.outside += len(events) - int(np.count_nonzero(inside))
    return items if inside.all() else take(items, inside)


def deliver(spikes: Items, route: Route, shape: Shape, arrivals: Arrivals) -> Items:
    """Spikes of a core as they arrive at the route's target: pooled, shifted; those outside its input map dropped and counted.

    A spike outside is a remainder if only rows or columns of an incomplete pooling window put it there.
    """
    shifted = spikes.f.astype(np.int64) + route.shift
    items = spikes if route.pooling == 1 else spikes._replace(y=spikes.y // route.pooling, x=spikes.x // route.pooling)
    inside_f = (shifted >= 0) & (shifted < shape[0])
    items = items._replace(f=shifted.astype(np.int16))
    inside = inside_f & _inside(items, shape)
    arrivals.events_in += spikes.f.size
    if inside.all():
        return items
    edge = inside_f
    for column, size, full in ((items.y, shape[1], route.full[0]), (items.x, shape[2], route.full[1])):
        edge = edge & ((column < size) | (column >= full))
    remainder = int(np.count_nonzero(edge & ~inside))
    arrivals.remainder += remainder
    arrivals.outside += int(np.count_nonzero(~inside)) - remainder
    return take(items, inside)


def _inside(items: Items, shape: Shape) -> npt.NDArray[np.bool_]:
    inside = np.ones(items.f.size, np.bool_)
    for column, size in zip((items.f, items.y, items.x), shape, strict=True):
        inside &= (column >= 0) & (column < size)
    return inside


def reported(spikes: dict[int, list[Items]]) -> EventArray:
    """Reported events: by t, of equal t in the order of the dict's cores, of equal core as emitted (section 4)."""
    pieces = {core: concatenate(parts) for core, parts in spikes.items()}
    events = np.empty(sum(piece.f.size for piece in pieces.values()), EVENT_LAYER_DTYPE)
    at = 0
    for core, piece in pieces.items():
        part = events[at : at + piece.f.size]
        part["x"], part["y"], part["p"], part["t"], part["layer"] = piece.x, piece.y, piece.f, piece.t, core
        at += piece.f.size
    return events[np.argsort(events["t"], kind="stable")] if len(pieces) > 1 else events
