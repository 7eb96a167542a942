"""Streams of events between the cores of `time_steps`, and the depth-first order in which they merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipflow.emulator.network import Route

Integers = npt.NDArray[np.int64]
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Stream:
    """Events that arrive at a core.

    Attributes:
        events: [n, 4], columns key, c, y, x. An event at t has the key 2 t + 1, a tick or an end of a step at t the key 2 t.
        paths: [n, m], how each came about: two numbers for where it began, and two for every core that it went through since, the spike's
            number and that of the destination. In their lexicographic order, events of equal keys come depth first. No columns where
            nothing merges further on.
    """

    events: Integers
    paths: Integers


def given(keys: Integers, places: Sequence[npt.NDArray[np.integer]], indices: Integers, entry: int) -> Stream:
    """Events from outside.

    Args:
        keys: of each.
        places: c, y, x of each.
        indices: of each in the recording.
        entry: the how-manieth of the cores that they enter this one is.
    """
    return Stream(_columns(keys, *places), _columns(indices, np.full(len(indices), entry)))


def routed(keys: Integers, neurons: Integers, shape: Shape, route: Route, paths: Integers, destination: int) -> Stream:
    """Spikes of a core on one of its routes.

    Args:
        keys, neurons: of each spike.
        shape: of the core's map.
        paths: to each spike, without the destination; no columns where nothing merges further on.
        destination: number of the route.
    """
    f, y, x = np.unravel_index(neurons, shape)
    events = _columns(keys, f + route.shift, y // route.pooling, x // route.pooling)
    return Stream(events, np.column_stack([paths, np.full(len(paths), destination)]) if paths.shape[1] else paths)


def extended(arrived: Stream, causes: Integers, rank: int) -> Integers:
    """Paths to a core's spikes.

    Args:
        arrived: what the core has read.
        causes: for each spike, the number of the event that caused it; -1 for one of a tick or of the end of a step, at which cores act
            one after the other.
        rank: of the core, in that order.
    """
    begun = np.full((1, max(arrived.paths.shape[1], 2)), -1, np.int64)
    begun[0, :2] = rank, 0
    paths = np.concatenate([_padded(arrived.paths, begun.shape[1]), begun])[causes]
    return np.column_stack([paths, np.arange(len(causes))])


def merged(streams: Sequence[Stream]) -> Stream:
    """All that enters a core, by key; events of equal keys depth first."""
    if len(streams) == 1:
        return streams[0]
    width = max((stream.paths.shape[1] for stream in streams), default=0)
    events = np.concatenate([np.zeros((0, 4), np.int64), *(stream.events for stream in streams)])
    paths = np.concatenate([np.zeros((0, width), np.int64), *(_padded(stream.paths, width) for stream in streams)])
    order = np.lexsort((*reversed(paths.T), events[:, 0]))
    return Stream(events[order], paths[order])


def inside(stream: Stream, shape: Shape) -> Stream:
    """Without what lies outside the map, or in the remainder of a pooled one."""
    places = stream.events[:, 1:]
    kept = ((places >= 0) & (places < np.array(shape))).all(axis=1)
    return stream if kept.all() else Stream(stream.events[kept], stream.paths[kept])


def _columns(*columns: npt.NDArray[np.integer]) -> Integers:
    return np.stack(columns, axis=1).astype(np.int64)


def _padded(paths: Integers, width: int) -> Integers:
    return np.pad(paths, ((0, 0), (0, width - paths.shape[1])), constant_values=-1)
