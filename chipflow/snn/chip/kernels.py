# pyright: basic
"""What one core does with the events and clock ticks of one sample, compiled by numba: integers only.

For every synapse (a weight that is not 0) of an event at a neuron with state v:

    v = max(v + weight, lower bound), at most 32767
    if v >= threshold: one spike, and v = v - threshold, or 0

So a neuron spikes at most once an event, and one that is still at or above its threshold spikes at its next update, whatever the weight's sign.
A clock tick is an update of all neurons with their biases in the place of weights.

States lie as [y][x][feature]: an event touches rows of neurons that are neighbours, and spikes leave in this order.
"""

import numpy as np
from numba import njit

FIRST, AT, ROWS, EXTENT = range(4)
"""Columns of the table of arrivals: first neuron and its weight, rows of neurons, neurons in a row; see `chipflow.snn.chip.taps`."""

STATE_MIN, STATE_MAX = -32768, 32767

compiled = njit(nogil=True, cache=True, error_model="numpy")


@compiled
def _update(state, first, amounts, at, extent, low, high, keep, fired):
    """One row: states, and in `fired` 1 for each neuron that spikes. Returns (whether any does, updates cut off at the ends of 16 bits).

    Plain enough to be vectorised: that is why it has no branch, and `keep` is a mask.
    """
    zero, one, top = np.int32(0), np.int32(1), np.int32(STATE_MAX)
    bottom = low if low == STATE_MIN else np.int32(-(1 << 30))  # at a lower bound of its own, a state is held, not cut off
    some, cut = zero, zero
    for j in range(extent):
        amount, before = amounts[at + j], state[first + j]
        raw = before + amount
        v = min(max(raw, low), top)
        spikes = one if (v >= high) & (amount != zero) else zero
        after = (v - high) & keep if spikes else v
        state[first + j] = after if amount != zero else before
        fired[j] = spikes
        some |= spikes
        cut += one if (raw > top) | (raw < bottom) else zero
    return some != 0, cut


@compiled
def _append(out, end, fired, first, extent, places, counts):
    """The spikes of a row go to the end of `out` and into the counts of the step. Returns (out, end); out grows as needed."""
    one = np.float32(1)
    if end + extent > out.size:
        larger = np.empty(2 * out.size + extent, out.dtype)
        larger[:end] = out[:end]
        out = larger
    begin, last = np.uint64(end), np.uint64(end)
    for j in range(np.uint64(extent)):  # without a branch, which would often be mispredicted
        out[last] = places[np.uint64(first) + j]
        last += np.uint64(fired[j])
    for n in range(begin, last):
        counts[out[n]] += one
    return out, np.int64(last)


@compiled
def run_core(
    positions, ends, arrivals, weights, biases, state, places, row, row_weights, low, high, keep, ticks_per_step, counts, after
):
    """All events of a sample through one core.

    Args:
        positions: int32 [events], where each event arrives, as an index into `arrivals`.
        ends: int64 [ticks + 1], events before each tick, from 0; a tick follows the events up to its end.
        arrivals: int32 [positions, 4], see the columns' names above; no rows where an event is dropped.
        weights: int32, in the order of `chipflow.snn.chip.taps`.
        biases: int32 [neurons], or of length 0 for none.
        state: int32 [neurons], changed in place.
        places: int32 [neurons], where each neuron stands in the output.
        row: neurons of a row of the map.
        row_weights: distance from the weights of a row of neurons down to those of the next row.
        low: lower bound, int32, at least -32768.
        high: threshold, int32.
        keep: int32, -1 to subtract the threshold after a spike, 0 to become 0.
        ticks_per_step: ticks in a step of the result.
        counts: float32 [steps, neurons], zeros; gets the spikes of each step.
        after: int16 [steps, neurons], gets the states at the end of each step.

    Returns:
        Spikes as positions of the output (int32), their `ends`, and how many updates were cut off at an end of the 16 bits.
    """
    ticks = ends.size - 1
    out, out_ends = np.empty(max(1000, positions.size), np.int32), np.zeros(ticks + 1, np.int64)
    fired = np.empty(state.size, np.int32)
    end, cut_off = 0, 0
    for tick in range(ticks):
        step = tick // ticks_per_step
        for n in range(ends[tick], ends[tick + 1]):
            first, at, rows, extent = arrivals[positions[n]]
            for _ in range(rows):
                any_fired, cut = _update(
                    state, np.uint64(first), weights, np.uint64(at), np.uint64(extent), low, high, keep, fired
                )
                cut_off += cut
                if any_fired:
                    out, end = _append(out, end, fired, first, extent, places, counts[step])
                first += row
                at -= row_weights
        if biases.size:
            any_fired, cut = _update(state, np.uint64(0), biases, np.uint64(0), np.uint64(state.size), low, high, keep, fired)
            cut_off += cut
            if any_fired:
                out, end = _append(out, end, fired, 0, state.size, places, counts[step])
        out_ends[tick + 1] = end
        if (tick + 1) % ticks_per_step == 0:
            for j in range(state.size):
                after[step, places[j]] = state[j]
    return out[:end].copy(), out_ends, cut_off


@compiled
def backward(grad_counts, slope, after, counts, grad_v, theta, low, grad_u):
    """Back through the steps of a sample, after `chipflow.snn.chip.gradient`.

    Args:
        grad_counts: [steps, neurons], dL / ds.
        slope: [steps, neurons], ds / du.
        after: int16 [steps, neurons], states at the ends of steps.
        counts: [steps, neurons], spikes; of 0 steps where a spike subtracts the threshold.
        grad_v: [neurons], dL / dv after the last step; becomes that before the first.
        theta: threshold, of the gradients' type.
        low: lower bound, an integer.
        grad_u: [steps, neurons], gets dL / du.
    """
    zero = grad_v.dtype.type(0)
    for t in range(len(grad_u) - 1, -1, -1):
        of_counts, ds, v, result = grad_counts[t], slope[t], after[t], grad_u[t]
        if len(counts):
            spikes = counts[t]
            for j in range(grad_v.size):
                passed = grad_v[j] if (v[j] > low) & (spikes[j] == 0) else zero
                result[j] = of_counts[j] * ds[j] + passed
                grad_v[j] = result[j]
        else:
            for j in range(grad_v.size):
                passed = grad_v[j] if v[j] > low else zero
                result[j] = (of_counts[j] - theta * passed) * ds[j] + passed
                grad_v[j] = result[j]
