"""The depth-first order where streams merge.

Without merges a core's input stream is in order as it comes. Where several streams reach one core, each item needs its whole
way there: the input that began it, and at every core on the way which spike it was of those that one item caused, and by which
destination it left. Compared from left to right, ways are in depth-first order: what a spike causes comes before the next spike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from chipflow.emulator.network import Network
from chipflow.emulator.records import Items
from chipflow.emulator.streams import concatenate, empty_items, take

Ways = npt.NDArray[np.int64]
"""[item, step]: key of the input, place of the core that acts (0 for an event), then for each core on the way spike and destination."""

NO_WAYS: Ways = np.empty((0, 2), np.int64)
SHORTER = -1  # fills up ways that end earlier: an item comes before all that it causes


class Stream(NamedTuple):
    """Items for one core, and their ways; `NO_WAYS` where none are needed."""

    items: Items
    ways: Ways


def cores_with_ways(network: Network) -> frozenset[int]:
    """Cores that merge streams, and all from which a spike can reach one."""
    found = {core for core in network.order if len(network.sources(core)) > 1}
    for core in reversed(network.order):  # targets come before their sources
        if any(route.target in found for route in network.routes[core]):
            found.add(core)
    return frozenset(found)


def begun(items: Items, place: int) -> Stream:
    """Events from outside (place 0), or clock ticks of the core at this place of the order."""
    return Stream(items, np.stack([items.key, np.full(items.key.size, place)], axis=1))


def merged(streams: Sequence[Stream]) -> Stream:
    """All items in depth-first order; their keys become their places in it."""
    if not streams:
        return Stream(empty_items(), NO_WAYS)
    items, ways = concatenate([stream.items for stream in streams]), _aligned([stream.ways for stream in streams])
    if len(streams) > 1:
        order = np.lexsort(ways.T[::-1])
        items, ways = take(items, order), ways[order]
    return Stream(items._replace(key=np.arange(items.key.size)), ways)


def _aligned(ways: Sequence[Ways]) -> Ways:
    longest = max(way.shape[1] for way in ways)
    padded = [np.pad(way, ((0, 0), (0, longest - way.shape[1])), constant_values=SHORTER) for way in ways]
    return np.concatenate(padded)


def ways_of(spikes: Items, ways: Ways) -> Ways:
    """Ways of spikes whose keys are the places of the items that caused them; `arrived_by` adds the destination."""
    cause = spikes.key
    first = np.flatnonzero(np.diff(cause, prepend=-1))  # where the spikes of another item begin
    number = np.arange(cause.size) - np.repeat(first, np.diff(first, append=cause.size))
    return np.concatenate([ways[cause], number[:, None]], axis=1)


def arrived_by(items: Items, ways: Ways, destination: int, destinations: int) -> Stream:
    """Spikes that left by one of so many destinations; their keys are their places in `ways`, and become those of their inputs."""
    own = ways[items.key]
    own[:, -1] = own[:, -1] * destinations + destination
    return Stream(items._replace(key=own[:, 0].copy()), own)
