"""What the kernels reported, as arrays by name of field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator import records as r
from chipflow.events.array import EVENT_LAYER_DTYPE, EventArray
from chipflow.events.readings import TRACE_DTYPE
from chipflow.events.result import CoreCounters

Array = npt.NDArray[Any]
Kept = Mapping[str, list[Array]]
SENSOR_RANK = -1  # before all cores


def nothing_kept() -> dict[str, list[Array]]:
    """Lists for `Machine.advance` to append to."""
    return {name: [] for name in ("reports", "report_t", "report_rank", "probed", "periods")}


def joined(kept: Kept, name: str) -> Array:
    """All that was kept under one name."""
    kind = r.ARRAYS[name]
    empty = np.empty((0, kind.columns) if kind.columns > 1 else 0, kind.dtype)
    return np.concatenate(kept[name]) if kept[name] else empty


def spikes(kept: Kept, cores: Array, order: Sequence[int], sensed: EventArray) -> EventArray:
    """Reported events by t, of equal t the sensor's first, then by rank, of equal rank as emitted (section 4).

    Args:
        cores: see records.
        order: core ids by rank.
        sensed: reported events of the sensor, with the field layer.
    """
    neuron = (joined(kept, "reports") & np.uint64(r.NEURON_MASK)).astype(np.uint32)
    rank = joined(kept, "report_rank")
    found = np.empty(len(neuron) + len(sensed), EVENT_LAYER_DTYPE)
    found[: len(sensed)] = sensed
    mine = found[len(sensed) :]
    features, width = cores[:, r.FEATURES].astype(np.uint32)[rank], cores[:, r.WIDTH].astype(np.uint32)[rank]
    pixel = neuron // features
    y = pixel // width
    mine["p"], mine["y"], mine["x"] = neuron - pixel * features, y, pixel - y * width
    mine["t"], mine["layer"] = joined(kept, "report_t"), np.asarray(order, np.uint8)[rank]
    if not len(sensed) and np.count_nonzero(cores[:, r.MONITORED]) < 2:
        return found  # one core's spikes are in order already
    ranks = np.concatenate([np.full(len(sensed), SENSOR_RANK), rank])
    return found[np.lexsort((ranks, found["t"]))]


def counters(totals: Array) -> CoreCounters:
    """One core's row of totals."""
    return CoreCounters(
        events_in=int(totals[r.EVENTS_IN]),
        dropped_outside=int(totals[r.DROPPED_OUTSIDE]),
        dropped_remainder=int(totals[r.DROPPED_REMAINDER]),
        synops=int(totals[r.SYNOPS]),
        updates=int(totals[r.UPDATES]),
        leak_updates=int(totals[r.LEAK_UPDATES]),
        spikes=int(totals[r.SPIKES]),
        spikes_out=int(totals[r.SPIKES_OUT]),
        lower_clamped=int(totals[r.LOWER]),
        upper_clamped=int(totals[r.UPPER]),
    )


def traces(kept: Kept, constants: Mapping[str, Array], order: Sequence[int]) -> dict[int, EventArray]:
    """Every update of the traced neurons, by core."""
    lines, cores = joined(kept, "probed"), constants["cores"]
    found: dict[int, EventArray] = {}
    for rank, core in enumerate(order):
        first, end = cores[rank, r.FIRST_PROBE], cores[rank, r.END_PROBE]
        if end > first:
            mine = lines[(lines[:, r.PROBE] >= first) & (lines[:, r.PROBE] < end)]
            trace = np.empty(len(mine), TRACE_DTYPE)
            pixel, trace["p"] = np.divmod(constants["probes"][mine[:, r.PROBE]], cores[rank, r.FEATURES])
            trace["y"], trace["x"] = np.divmod(pixel, cores[rank, r.WIDTH])
            trace["t"], trace["v_mem"] = mine[:, r.PROBE_TIME], mine[:, r.PROBE_STATE]
            trace["spike"] = mine[:, r.PROBE_SPIKED]
            found[core] = trace
    return found
