# pyright: standard
"""One core as a transducer of its stream of events and ticks: numba kernels (sections 2, 3.1 and 5 of the chip model).

States are one flat int16 array [y][x][f]. Weights are int8 [c][ky][phase][j][f], see `chipflow.emulator.layout`: the neurons
that one event touches in one row, and their weights, are contiguous for every stride.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

TICK = -1  # feature of a stream item that is a clock tick
DONE, FULL, LOW_CLIPPED, HIGH_CLIPPED, RETRY = 0, 1, 2, 3, 4
SYNOPS, UPDATES, LEAK_UPDATES, SPIKES, SPIKES_OUT, LOWER, UPPER, HANDLED, PHASE = range(9)
N_TOTALS = 9  # PHASE, the decimator's count since the last spike that passed, is kept in the same array


class Geometry(NamedTuple):
    """Numbers of one core: output map, kernel, strides and paddings, thresholds."""

    features: int
    height: int
    width: int
    kernel: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    taps: int
    """Taps per phase along x: kernel / stride_x, rounded up."""
    low: int
    high: int
    to_zero: bool
    decimate: int
    """One of this many spikes passes; 1: all."""
    strict: bool
    fast: bool
    """It is proven that zero weights need no special care (`layout.fast_path_is_exact`)."""


class Tables(NamedTuple):
    """Weights of one core in the kernels' layout."""

    weights: npt.NDArray[np.int8]
    """Flat [c][ky][phase][j][f]."""
    nonzero: npt.NDArray[np.int64]
    """Running count of non-zero weights, flat [c][ky][phase][j of taps + 1]."""
    biases: npt.NDArray[np.int16]


class Items(NamedTuple):
    """A stream: feature (TICK for a tick), y, x, time, and the key that orders it among other streams (input, entry)."""

    f: npt.NDArray[np.int16]
    y: npt.NDArray[np.int16]
    x: npt.NDArray[np.int16]
    t: npt.NDArray[np.int64]
    key: npt.NDArray[np.int64]


@nb.njit(cache=True, nogil=True, inline="always")
def _emit(geometry, totals, out, count, f, y, x, t, key):
    """Count a spike, let it through the decimator, and store it; returns the number of stored spikes."""
    totals[SPIKES] += 1
    totals[PHASE] += 1
    if totals[PHASE] < geometry.decimate:
        return count
    totals[PHASE] = 0
    totals[SPIKES_OUT] += 1
    out.f[count] = f
    out.y[count] = y
    out.x[count] = x
    out.t[count] = t
    out.key[count] = key
    return count + 1


@nb.njit(cache=True, nogil=True)
def _add_row(states, weights, low, high):
    """states += weights, raised to `low`; returns how many were raised, and whether any reached `high`. No branches: vectorised."""
    raised = np.int32(0)
    reached = np.int32(0)
    low32 = np.int32(low)
    high32 = np.int32(high)
    for i in range(states.size):
        v = np.int32(np.int32(states[i]) + np.int32(weights[i]))
        raised = np.int32(raised + np.int32(v < low32))
        v = max(v, low32)
        reached |= np.int32(v >= high32)
        states[i] = np.int16(v)
    return raised, reached


@nb.njit(cache=True, nogil=True)
def _fire_row(geometry, states, first, size, totals, out, count, y, ox, t, key):
    """Emit and reset every neuron of the row that is at or above the threshold."""
    for i in range(first, first + size):
        if states[i] >= geometry.high:
            states[i] = 0 if geometry.to_zero else states[i] - geometry.high
            x, f = divmod(i - first, geometry.features)
            count = _emit(geometry, totals, out, count, f, y, ox + x, t, key)
    return count


@nb.njit(cache=True, nogil=True)
def _update(geometry, states, i, amount, totals):
    """Steps 2 and 3 for one neuron; returns (fired, status)."""
    status = DONE
    v = np.int64(states[i]) + np.int64(amount)
    if v < geometry.low:
        v = np.int64(geometry.low)
        totals[LOWER] += 1
        if geometry.low == -32768:
            status = LOW_CLIPPED
    elif v > 32767:
        v = np.int64(32767)
        totals[UPPER] += 1
        status = HIGH_CLIPPED
    fired = v >= geometry.high
    if fired:
        v = np.int64(0) if geometry.to_zero else v - geometry.high
    states[i] = np.int16(v)
    return fired, status if geometry.strict else DONE


@nb.njit(cache=True, nogil=True)
def _careful_row(geometry, states, weights, first, size, totals, out, count, y, ox, t, key):
    """The same as `_add_row` and `_fire_row` for any state: a zero weight is no synapse. Returns (count, status, neuron)."""
    for k in range(size):
        if weights[k] == 0:
            continue
        fired, status = _update(geometry, states, first + k, weights[k], totals)
        if status != DONE:
            return count, status, first + k
        if fired:
            x, f = divmod(k, geometry.features)
            count = _emit(geometry, totals, out, count, f, y, ox + x, t, key)
    return count, DONE, 0


@nb.njit(cache=True, nogil=True)
def _tick(geometry, tables, states, totals, out, count, t, key):
    """Add the biases, feature by feature, to the whole map."""
    i = 0
    for y in range(geometry.height):
        for x in range(geometry.width):
            for f in range(geometry.features):
                bias = tables.biases[f]
                if bias != 0:
                    totals[LEAK_UPDATES] += 1
                    fired, status = _update(geometry, states, i, bias, totals)
                    if status != DONE:
                        return count, status, i
                    if fired:
                        count = _emit(geometry, totals, out, count, f, y, x, t, key)
                i += 1
    return count, DONE, 0


@nb.njit(cache=True, nogil=True)
def _event(geometry, tables, states, totals, out, count, c, y, x, t, key):
    """One event inside the input map: row after row of the neurons it touches."""
    g = geometry
    span_y = y + g.pad_y
    span_x = x + g.pad_x
    oy_first = max(0, -((g.kernel - 1 - span_y) // g.stride_y))
    oy_last = min(g.height - 1, span_y // g.stride_y)
    ox_first = max(0, -((g.kernel - 1 - span_x) // g.stride_x))
    ox_last = min(g.width - 1, span_x // g.stride_x)
    columns = ox_last - ox_first + 1
    if columns <= 0:
        return count, DONE, 0
    phase = span_x % g.stride_x
    j = g.taps - 1 - span_x // g.stride_x + ox_first
    size = columns * g.features
    for oy in range(oy_first, oy_last + 1):
        row = (c * g.kernel + span_y - oy * g.stride_y) * g.stride_x + phase
        first = (oy * g.width + ox_first) * g.features
        at = (row * g.taps + j) * g.features
        counted = row * (g.taps + 1) + j
        weights = tables.weights[at : at + size]
        totals[SYNOPS] += size
        totals[UPDATES] += tables.nonzero[counted + columns] - tables.nonzero[counted]
        if g.fast:
            raised, reached = _add_row(states[first : first + size], weights, g.low, g.high)
            totals[LOWER] += raised
            if raised and g.strict and g.low == -32768:
                return count, RETRY, 0
            if reached:
                count = _fire_row(g, states, first, size, totals, out, count, oy, ox_first, t, key)
        else:
            count, status, i = _careful_row(g, states, weights, first, size, totals, out, count, oy, ox_first, t, key)
            if status != DONE:
                return count, status, i
    return count, DONE, 0


@nb.njit(cache=True, nogil=True)
def advance(geometry, tables, states, totals, items, start, out):
    """Handle items from `start` on, until all are handled, `out` is nearly full, or strict mode objects.

    Args:
        geometry, tables: of the core.
        states: int16, flat [y][x][f]; updated.
        totals: int64, indices SYNOPS..PHASE; updated.
        items: the core's input stream, all inside its input map.
        out: where spikes are stored; room for every neuron firing once is kept free before each item.

    Returns:
        (next item, spikes stored, status, neuron): with a status other than DONE and FULL, `next item` is the offending one.
    """
    count = 0
    most = geometry.features * geometry.height * geometry.width
    for n in range(start, items.f.size):
        if count + most > out.f.size:
            return n, count, FULL, 0
        c = np.int64(items.f[n])
        t = items.t[n]
        key = items.key[n]
        if c == TICK:
            count, status, i = _tick(geometry, tables, states, totals, out, count, t, key)
        else:
            y = np.int64(items.y[n])
            x = np.int64(items.x[n])
            count, status, i = _event(geometry, tables, states, totals, out, count, c, y, x, t, key)
            totals[HANDLED] += 1
        if status != DONE:
            return n, count, status, i
    return items.f.size, count, DONE, 0
