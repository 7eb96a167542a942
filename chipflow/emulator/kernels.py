# pyright: standard
"""One core as a transducer of its stream of events and ticks: numba kernels (sections 2, 3.1 and 5 of the chip model).

States are one flat int16 array [y][x][f]. Weights are int8 [c][ky][phase][j][f], see `chipflow.emulator.layout`: the neurons
that one event touches in one row, and their weights, are contiguous for every stride.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import carray  # pyright: ignore[reportPrivateImportUsage]  # documented so
from numba.np.unsafe.ndarray import to_fixed_tuple

from chipflow.emulator.records import (
    DONE,
    FULL,
    HANDLED,
    HIGH_CLIPPED,
    LEAK_UPDATES,
    LOW_CLIPPED,
    LOWER,
    N_TOTALS,
    PHASE,
    RETRY,
    SPIKES,
    SPIKES_OUT,
    SYNOPS,
    TICK,
    UPDATES,
    UPPER,
    Geometry,
    Items,
    Sizes,
    Tables,
)

jit = nb.njit(error_model="numpy")  # no division by zero is possible: no code to report it


@nb.njit(error_model="numpy", inline="always")
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


@jit
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


@jit
def _fire_row(geometry, states, first, size, totals, out, count, y, ox, t, key):
    """Emit and reset every neuron of the row that is at or above the threshold."""
    for i in range(first, first + size):
        if states[i] >= geometry.high:
            states[i] = 0 if geometry.to_zero else states[i] - geometry.high
            x, f = divmod(i - first, geometry.features)
            count = _emit(geometry, totals, out, count, f, y, ox + x, t, key)
    return count


@jit
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


@jit
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


@jit
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


@jit
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


@jit
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


_ARRAYS = [nb.types.CPointer(kind) for kind in (nb.int8, nb.int64, nb.int16, nb.int16, nb.int64)]
_STREAM = [nb.types.CPointer(kind) for kind in (nb.int16, nb.int16, nb.int16, nb.int64, nb.int64)]
_NUMBERS = nb.types.CPointer(nb.int64)
N_GEOMETRY, N_SIZES = len(Geometry._fields), len(Sizes._fields)


@nb.cfunc(nb.void(_NUMBERS, *_ARRAYS, *_STREAM, *_STREAM, _NUMBERS), error_model="numpy")
def advance_c(numbers, weights, nonzero, biases, states, totals, f, y, x, t, key, out_f, out_y, out_x, out_t, out_key, answer):
    """`advance` for callers without numba: bare addresses; `numbers` are those of Geometry, then those of Sizes."""
    given = carray(numbers, N_GEOMETRY + N_SIZES)
    geometry = Geometry(*to_fixed_tuple(given[:N_GEOMETRY], N_GEOMETRY))  # pyright: ignore[reportCallIssue]  # an intrinsic
    sizes = Sizes(*to_fixed_tuple(given[N_GEOMETRY:], N_SIZES))
    n, room = sizes.items, sizes.room
    tables = Tables(carray(weights, sizes.weights), carray(nonzero, sizes.nonzero), carray(biases, geometry.features))
    items = Items(carray(f, n), carray(y, n), carray(x, n), carray(t, n), carray(key, n))
    out = Items(carray(out_f, room), carray(out_y, room), carray(out_x, room), carray(out_t, room), carray(out_key, room))
    found = advance(geometry, tables, carray(states, sizes.states), carray(totals, N_TOTALS), items, sizes.start, out)
    for i, value in enumerate(found):
        answer[i] = value
