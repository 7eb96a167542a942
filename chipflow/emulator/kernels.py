# pyright: standard, reportCallIssue=false
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
    LANES,
    LEAK_UPDATES,
    LOW_CLIPPED,
    LOWER,
    N_TOTALS,
    PHASE,
    SPIKES,
    SPIKES_OUT,
    STATE_MIN,
    SYNOPS,
    TICK,
    UPDATES,
    UPPER,
    Geometry,
    Items,
    Sizes,
    Tables,
)
from chipflow.emulator.vectors import lowest, set_bits, update_block

jit = nb.njit(error_model="numpy", inline="always")  # no division by zero is possible: no code to report it


@jit
def _passes(geometry, totals):
    """Whether the decimator lets the next spike through."""
    totals[PHASE] += 1
    if totals[PHASE] < geometry.decimate:
        return False
    totals[PHASE] = 0
    return True


@jit
def _emit(geometry, totals, out, count, fired, offset, y, ox, t, key):
    """Count the spikes of a block, let them through the decimator, store them; returns the number of stored spikes."""
    totals[SPIKES] += set_bits(fired)
    before = count
    while fired:
        neuron = np.uint32(offset + lowest(fired))
        fired &= fired - np.uint64(1)
        if geometry.decimate > 1 and not _passes(geometry, totals):
            continue
        x = neuron // np.uint32(geometry.features)
        out.f[count] = neuron - x * np.uint32(geometry.features)
        out.y[count] = y
        out.x[count] = ox + x
        out.t[count] = t
        out.key[count] = key
        count += np.uint64(1)
    totals[SPIKES_OUT] += count - before
    return count


@jit
def _row(geometry, states, first, amounts, at, size, totals, masks, out, count, y, ox, t, key):
    """Add `amounts` to `size` neurons of row y from column ox on. Returns (spikes stored, status, neuron).

    All blocks go through a loop without branches first; what happens more rarely is looked up in their masks afterwards.
    """
    low, high = np.int16(geometry.low), np.int16(geometry.high)
    keep = np.int16(0) if geometry.to_zero else np.int16(-1)
    reported = np.uint64(0) if geometry.low > STATE_MIN else np.uint64(0xFFFFFFFF)
    any_fired, any_clipped, n_raised, n_cut = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    blocks = (size + LANES - 1) // LANES
    for b in range(blocks):
        offset = np.uint64(b) * np.uint64(LANES)
        left = np.int16(size - b * LANES)
        fired, raised, cut = update_block(states, first + offset, amounts, at + offset, left, low, high, keep)
        clipped = cut | (raised & reported)
        masks[np.uint64(2 * b)] = fired
        masks[np.uint64(2 * b + 1)] = clipped
        any_fired |= fired
        any_clipped |= clipped
        n_raised += set_bits(raised)
        n_cut += set_bits(cut)
    totals[LOWER] += n_raised
    totals[UPPER] += n_cut
    if any_clipped and geometry.strict:
        neuron = first + _first_set(masks, blocks)
        return count, LOW_CLIPPED if states[neuron] == STATE_MIN else HIGH_CLIPPED, np.int64(neuron)
    if any_fired:
        for b in range(blocks):
            fired = masks[np.uint64(2 * b)]
            if fired:
                count = _emit(geometry, totals, out, count, fired, np.uint64(b) * np.uint64(LANES), y, ox, t, key)
    return count, DONE, 0


@jit
def _first_set(masks, blocks):
    """Index of the first neuron in the masks of clipped states, of which one is set."""
    b = np.uint64(0)
    while not masks[np.uint64(2) * b + np.uint64(1)]:
        b += np.uint64(1)
    return b * np.uint64(LANES) + lowest(masks[np.uint64(2) * b + np.uint64(1)])


@jit
def _tick(geometry, tables, states, totals, masks, out, count, t, key):
    """Add the biases, pixel by pixel, to the whole map."""
    for y in range(geometry.height):
        for x in range(geometry.width):
            first = np.uint64((y * geometry.width + x) * geometry.features)
            count, status, neuron = _row(
                geometry, states, first, tables.biases, np.uint64(0), geometry.features, totals, masks, out, count, y, x, t, key
            )
            if status != DONE:
                return count, status, neuron
    totals[LEAK_UPDATES] += geometry.leaking * geometry.height * geometry.width
    return count, DONE, 0


@jit
def _event(geometry, tables, states, totals, masks, out, count, c, y, x, t, key):
    """One event inside the input map: row after row of the neurons it touches."""
    columns, ox_first, column = tables.columns[x, 0], tables.columns[x, 1], tables.columns[x, 2]
    rows, oy_first, ky = tables.rows[y, 0], tables.rows[y, 1], tables.rows[y, 2]
    size = columns * geometry.features
    totals[SYNOPS] += size * rows
    for oy in range(oy_first, oy_first + rows):
        row = c * geometry.kernel + ky
        ky -= geometry.stride_y
        counted = row * (geometry.row_taps + 1) + column
        totals[UPDATES] += tables.nonzero[np.uint64(counted + columns)] - tables.nonzero[np.uint64(counted)]
        first = np.uint64((oy * geometry.width + ox_first) * geometry.features)
        at = np.uint64((row * geometry.row_taps + column) * geometry.features)
        count, status, neuron = _row(
            geometry, states, first, tables.weights, at, size, totals, masks, out, count, oy, ox_first, t, key
        )
        if status != DONE:
            return count, status, neuron
    return count, DONE, 0


@jit
def advance(geometry, tables, states, totals, masks, items, start, out):
    """Handle items from `start` on, until all are handled, `out` is nearly full, or strict mode objects.

    Args:
        geometry, tables: of the core.
        states: int16, flat [y][x][f], followed by LANES spare elements; updated.
        totals: int64, indices SYNOPS..PHASE; updated.
        masks: uint64, room for two masks per block of a row.
        items: the core's input stream, all inside its input map.
        out: where spikes are stored; room for every neuron firing once is kept free before each item.

    Returns:
        (next item, spikes stored, status, neuron): with a status other than DONE and FULL, `next item` is the offending one.
    """
    count = np.uint64(0)  # unsigned indices need no code for negative ones
    most = geometry.features * geometry.height * geometry.width
    for n in range(start, items.f.size):
        if count + np.uint64(most) > np.uint64(out.f.size):
            return n, np.int64(count), FULL, 0
        c = np.int64(items.f[n])
        t = items.t[n]
        key = items.key[n]
        if c == TICK:
            count, status, i = _tick(geometry, tables, states, totals, masks, out, count, t, key)
        else:
            y = np.uint64(items.y[n])
            x = np.uint64(items.x[n])
            count, status, i = _event(geometry, tables, states, totals, masks, out, count, c, y, x, t, key)
            totals[HANDLED] += 1
        if status != DONE:
            return n, np.int64(count), status, i
    return items.f.size, np.int64(count), DONE, 0


_ARRAYS = [nb.types.CPointer(kind) for kind in (nb.int8, nb.int64, nb.int16, nb.int64, nb.int64, nb.int16, nb.int64, nb.uint64)]
_STREAM = [nb.types.CPointer(kind) for kind in (nb.int16, nb.int16, nb.int16, nb.int64, nb.int64)]
_NUMBERS = nb.types.CPointer(nb.int64)
N_GEOMETRY, N_SIZES = len(Geometry._fields), len(Sizes._fields)


@nb.cfunc(nb.void(_NUMBERS, *_ARRAYS, *_STREAM, *_STREAM, _NUMBERS), error_model="numpy")
def advance_c(
    numbers,
    weights,
    nonzero,
    biases,
    rows,
    columns,
    states,
    totals,
    masks,
    f,
    y,
    x,
    t,
    key,
    out_f,
    out_y,
    out_x,
    out_t,
    out_key,
    answer,
):
    """`advance` for callers without numba: bare addresses; `numbers` are those of Geometry, then those of Sizes."""
    given = carray(numbers, N_GEOMETRY + N_SIZES)
    geometry = Geometry(*to_fixed_tuple(given[:N_GEOMETRY], N_GEOMETRY))
    sizes = Sizes(*to_fixed_tuple(given[N_GEOMETRY:], N_SIZES))
    n, room = sizes.items, sizes.room
    tables = Tables(
        carray(weights, sizes.weights),
        carray(nonzero, sizes.nonzero),
        carray(biases, geometry.features + LANES),
        carray(rows, (sizes.rows, 3)),
        carray(columns, (sizes.columns, 3)),
    )
    items = Items(carray(f, n), carray(y, n), carray(x, n), carray(t, n), carray(key, n))
    out = Items(carray(out_f, room), carray(out_y, room), carray(out_x, room), carray(out_t, room), carray(out_key, room))
    memory, counts, scratch = carray(states, sizes.states), carray(totals, N_TOTALS), carray(masks, sizes.masks)
    found = advance(geometry, tables, memory, counts, scratch, items, sizes.start, out)
    for i, value in enumerate(found):
        answer[i] = value
