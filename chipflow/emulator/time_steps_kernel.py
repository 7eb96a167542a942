# pyright: standard
"""One core, event by event, with each rule of the chip in place of the time-stepped simulator's, or not. See `time_steps`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

compiled = njit(nogil=True, cache=True, error_model="numpy")
ROOM_BLOCK = 4096  # spikes that the list of a core has room for at first


class Geometry(NamedTuple):
    """Sizes of a convolution; those of the neuron map are `height` and `width`."""

    kernel: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    height: int
    width: int


class Clock(NamedTuple):
    """Steps 0 to `steps` - 1 of `step_us`; ticks every `period` microseconds up to `last_us`, none if `period` is 0."""

    step_us: int
    steps: int
    period: int
    last_us: int


class Neurons(NamedTuple):
    """What decides when a neuron fires, and the chip's rules that hold.

    Attributes:
        high, low, top: threshold, lower bound, and the largest state.
        to_zero: a spike resets to 0.
        order, clamp, one_spike, leak: the switches of `Causes`.
    """

    high: float
    low: float
    top: float
    to_zero: bool
    order: bool
    clamp: bool
    one_spike: bool
    leak: bool


@compiled
def _spikes_of(v, updates, neurons):
    """How many spikes a neuron sends that decides now, `updates` events after its last decision."""
    if v < neurons.high:
        return 0
    if neurons.one_spike and updates <= 1:
        return updates  # without a division, in the most common case
    whole = int(v // neurons.high)
    return min(whole, updates) if neurons.one_spike else whole


@compiled
def _left(v, count, neurons):
    return 0.0 if neurons.to_zero else v - count * neurons.high


@compiled
def _added(v, amount, neurons):
    v += amount
    return min(max(v, neurons.low), neurons.top) if neurons.clamp else v


@compiled
def _append(out, size, stamp, neuron, count):
    """The list, as it is or a longer copy, with `count` spikes more; `stamp` is their key, and the number of the event behind them."""
    if size + count > len(out):
        longer = np.empty((2 * (size + count), 3), np.int64)
        longer[:size] = out[:size]
        out = longer
    for i in range(size, size + count):
        out[i, 0], out[i, 1], out[i, 2] = stamp[0], neuron, stamp[1]
    return out


@compiled
def _span(at, kernel, stride, size):
    """First row (or column) of neurons that an event at `at`, padding included, touches, and the one after the last."""
    return max(0, -((kernel - 1 - at) // stride)), min(size, at // stride + 1)


@compiled
def _event(stamp, event, weights, states, updates, alive, geometry, neurons, out, size):
    """One event; decisions follow at once if the order of events counts."""
    c, y, x = event[1], event[2], event[3]
    features = weights.shape[3]
    top, left = y + geometry.pad_y, x + geometry.pad_x
    counts_updates = neurons.one_spike and not neurons.order
    rows = _span(top, geometry.kernel, geometry.stride_y, geometry.height)
    columns = _span(left, geometry.kernel, geometry.stride_x, geometry.width)
    for oy in range(rows[0], rows[1]):
        for ox in range(columns[0], columns[1]):
            taps = weights[c, top - oy * geometry.stride_y, left - ox * geometry.stride_x]
            first = (oy * geometry.width + ox) * features
            if not neurons.order and not neurons.clamp and not counts_updates:
                for f in range(features):
                    states[first + f] += taps[f]
                continue
            for f in range(features):
                if taps[f] == 0.0:
                    continue  # no synapse
                v = _added(states[first + f], taps[f], neurons)
                if counts_updates:
                    updates[first + f] += 1
                if neurons.order and v >= neurons.high and alive[first + f]:
                    count = _spikes_of(v, 1, neurons)
                    out = _append(out, size, stamp, first + f, count)
                    size += count
                    v = _left(v, count, neurons)
                states[first + f] = v
    return out, size


@compiled
def _bias(stamp, biases, states, updates, alive, neurons, out, size):
    """Every neuron's bias, an update like that of an event."""
    for n in range(len(states)):
        if biases[n] == 0.0:
            continue
        v = _added(states[n], biases[n], neurons)
        updates[n] += 1
        if neurons.order:
            count = _spikes_of(v, 1, neurons) if alive[n] else 0
            out = _append(out, size, stamp, n, count)
            size += count
            v = _left(v, count, neurons) if count else v
        states[n] = v
    return out, size


@compiled
def _end_of_step(stamp, states, updates, alive, neurons, out, size):
    """Decisions, unless they were made at each event; then the lower bound, unless it was met at each event."""
    for n in range(len(states)):
        if not neurons.order and alive[n]:
            count = _spikes_of(states[n], updates[n], neurons)
            if count:
                out = _append(out, size, stamp, n, count)
                size += count
                states[n] = _left(states[n], count, neurons)
        if not neurons.clamp:
            states[n] = max(states[n], neurons.low)
    updates[:] = 0
    return out, size


@compiled
def run_core(events, weights, biases, states, alive, geometry, neurons, clock):
    """A core's whole stream.

    Args:
        events: int64 [n, 4], columns key, c, y, x, by key; all inside the input map. See `time_steps` for keys.
        weights: float64 [c, ky, kx, f].
        biases, states, alive: [y, x, f], flat; states are changed.

    Returns:
        int64 [spikes, 3]: key and neuron of each spike, in the order in which they leave, and the number of the event that caused it, -1
        for one of a tick or of the end of a step.
    """
    out, size = np.empty((ROOM_BLOCK, 3), np.int64), 0
    updates = np.zeros(len(states), np.int64)
    never = np.int64(2**62)
    biased = False
    for b in biases:
        biased |= b != 0.0
    step, tick, ticks = 0, clock.period, neurons.leak and biased and clock.period > 0
    settled = False  # the last end of a step came after all updates, so that a further one changes nothing
    steps_matter = not (neurons.order and neurons.clamp) or (biased and not neurons.leak)
    for i in range(len(events) + 1):
        key = events[i, 0] if i < len(events) else never
        while True:
            tick_key = 2 * tick if ticks and tick <= clock.last_us else never
            if settled:
                step = max(step, (min(tick_key, key) - 1) // (2 * clock.step_us))
            step_key = 2 * (step + 1) * clock.step_us if steps_matter and step < clock.steps else never
            now = min(tick_key, step_key)
            if now >= key:
                break
            if tick_key <= step_key:
                out, size = _bias((now, -1), biases, states, updates, alive, neurons, out, size)
                tick += clock.period
                settled = False
                continue
            if biased and not neurons.leak:
                out, size = _bias((now, -1), biases, states, updates, alive, neurons, out, size)
            out, size = _end_of_step((now, -1), states, updates, alive, neurons, out, size)
            step += 1
            settled = neurons.leak or not biased
        if i < len(events):
            out, size = _event((key, i), events[i], weights, states, updates, alive, geometry, neurons, out, size)
            settled = False
    return out[:size]
