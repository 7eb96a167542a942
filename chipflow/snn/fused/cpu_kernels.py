# pyright: basic
"""The time loop of `chipflow.snn.dynamics` for the CPU, forward and backward, compiled by numba.

Neurons of one sample are taken in blocks whose states stay in the processor's cache while all time steps pass, so that input and output
are each read or written once. The backward pass keeps nothing but the input: it repeats the forward pass of a block in the cache, then goes back
in time. Every operation is rounded as torch rounds it (no fused multiply-add), so results are those of the reference, bit for bit.

Flags do not change within a block of neurons: they are asked once a row, and the loops over a row are plain enough to be vectorised.
numba would make float64 of float32 where a literal meets it: that is why 0 and 1 come with the other numbers in arrays of the input's type.
All is in one file, because numba's cache looks no further for changes.
"""

import math

import numpy as np
from numba import njit

# Indices into the numbers of a layer.
THRESHOLD, LOW, MAX_SPIKES, RESET_VALUE, ADAPT_SCALE, ZERO, ONE, HALF, TWO = range(9)
SURROGATE = 9  # and what follows: parameters of the surrogate gradient
NUMBERS = SURROGATE + 5

# Indices into the flags of a layer.
FIRES, SUBTRACTS, SYNAPTIC, NORMALISED, ADAPTS, KIND = range(6)
FLAGS = 6

# Kinds of surrogate gradients.
SINGLE_EXPONENTIAL, PERIODIC_EXPONENTIAL, GAUSSIAN, MULTI_GAUSSIAN, HEAVISIDE = range(5)

CACHE_VALUES = 1 << 18  # values that fit the second level cache beside what streams through it
BLOCK = 1024
FORWARD_VALUES = 8  # values that the forward pass keeps of each neuron of a block

compiled = njit(nogil=True, cache=True, error_model="numpy")


@compiled
def block_size(neurons, values_each):
    """Neurons in a block, so that this many values of each fit the cache."""
    fitting = max(16, CACHE_VALUES // max(1, values_each) // 16 * 16)
    return min(neurons, BLOCK, fitting)


@compiled
def _count(u, theta, zero, most):
    """Spikes of one neuron."""
    count = np.trunc(u / theta)
    count = count if count > zero else zero
    return count if count < most else most


@compiled
def _step(x, v, v_next, i, i_next, b, b_next, theta, u, s, alpha_mem, alpha_syn, alpha_adapt, k, numbers, flags):
    """One row of neurons, one time step; `s` gets what the layer puts out, `u` the potential before the reset."""
    size = x.size
    zero, low = numbers[ZERO], numbers[LOW]
    if flags[SYNAPTIC]:
        for j in range(size):
            i_next[j] = alpha_syn[j] * (i[j] + x[j])
        if flags[ADAPTS]:
            for j in range(size):
                i_next[j] = k[j] * i_next[j]
                u[j] = alpha_mem[j] * v[j] + i_next[j]
        else:
            for j in range(size):
                u[j] = alpha_mem[j] * v[j] + k[j] * i_next[j]
    else:
        for j in range(size):
            u[j] = alpha_mem[j] * v[j] + k[j] * x[j]
    if not flags[FIRES]:
        for j in range(size):
            s[j] = u[j]
            v_next[j] = u[j] if u[j] > low else low
        return
    if flags[ADAPTS]:
        threshold, scale = numbers[THRESHOLD], numbers[ADAPT_SCALE]
        for j in range(size):
            theta[j] = threshold + scale * b[j]
    most = numbers[MAX_SPIKES]
    if flags[SUBTRACTS]:
        for j in range(size):
            count = _count(u[j], theta[j], zero, most)
            after = u[j] - count * theta[j]
            s[j] = count
            v_next[j] = after if after > low else low
    else:
        value = numbers[RESET_VALUE]
        for j in range(size):
            count = _count(u[j], theta[j], zero, most)
            after = u[j] if count == zero else value
            s[j] = count
            v_next[j] = after if after > low else low
    if flags[ADAPTS]:
        one = numbers[ONE]
        for j in range(size):
            b_next[j] = alpha_adapt[j] * b[j] + (one - alpha_adapt[j]) * s[j]


@compiled
def _constants(rows, alpha_mem, alpha_syn, alpha_adapt, start, size, numbers, flags):
    """Rows of alpha_mem, alpha_syn, alpha_adapt and k of a block; an alpha has one value for all neurons, or one for each."""
    for row, alpha in ((0, alpha_mem), (1, alpha_syn), (2, alpha_adapt)):
        for j in range(size):
            rows[row, j] = alpha[0] if alpha.size == 1 else alpha[start + j]
    for j in range(size):
        rows[3, j] = numbers[ONE] - rows[0, j] if flags[NORMALISED] else numbers[ONE]
    return rows[0, :size], rows[1, :size], rows[2, :size], rows[3, :size]


@compiled
def _load(row, states, sample, start):
    for j in range(row.size):
        row[j] = states[sample, start + j] if states.size else row.dtype.type(0)


@compiled
def _store(states, row, sample, start):
    if states.size:
        for j in range(row.size):
            states[sample, start + j] = row[j]


@compiled
def forward(first, last, x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt, numbers, flags, s, v_end, i_end, b_end):
    """Blocks `first` to `last` of all samples' blocks.

    Args:
        first, last: range of sample * blocks + block.
        x: [batch, time, neurons].
        v0, i0, b0: states [batch, neurons]; empty where there is no such state.
        alpha_mem, alpha_syn, alpha_adapt: [1] or [neurons].
        numbers, flags: of the layer.
        s, v_end, i_end, b_end: results.

    Returns:
        Whether all input was finite.
    """
    steps, neurons = x.shape[1], x.shape[2]
    width = block_size(neurons, FORWARD_VALUES)
    blocks = (neurons + width - 1) // width
    rows = np.empty((7, width), x.dtype)
    v, i, b = np.empty((2, width), x.dtype), np.empty((2, width), x.dtype), np.empty((2, width), x.dtype)
    finite, zero = True, numbers[ZERO]
    for task in range(first, last):
        sample, start = task // blocks, task % blocks * width
        size = min(width, neurons - start)
        am, asy, aad, k = _constants(rows, alpha_mem, alpha_syn, alpha_adapt, start, size, numbers, flags)
        theta, u, check = rows[4, :size], rows[5, :size], rows[6, :size]
        theta[:], check[:] = numbers[THRESHOLD], numbers[ZERO]
        _load(v[0, :size], v0, sample, start)
        _load(i[0, :size], i0, sample, start)
        _load(b[0, :size], b0, sample, start)
        for t in range(steps):
            now, then = t % 2, (t + 1) % 2  # two rows each, so that a loop reads one and writes the other
            row, out = x[sample, t, start : start + size], s[sample, t, start : start + size]
            for j in range(size):
                check[j] += row[j] * zero  # not a number where the input is none or infinite
            _step(
                row, v[now, :size], v[then, :size], i[now, :size], i[then, :size], b[now, :size], b[then, :size],
                theta, u, out, am, asy, aad, k, numbers, flags,
            )  # fmt: skip
        end = steps % 2
        _store(v_end, v[end, :size], sample, start)
        _store(i_end, i[end, :size], sample, start)
        _store(b_end, b[end, :size], sample, start)
        for j in range(size):
            finite &= check[j] == numbers[ZERO]
    return finite


@compiled
def backward(
    first, last, x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt, numbers, flags, grad_s, grad_v_end, grad_i_end, grad_b_end,
    grad_x, grad_v0, grad_i0, grad_b0, grad_alpha_mem, grad_alpha_syn, grad_alpha_adapt,
):  # fmt: skip
    """The gradients of what `forward` computed, for the same blocks; those of the alphas are [batch, neurons], or empty if not wanted."""
    steps, neurons = x.shape[1], x.shape[2]
    synaptic, adapts = flags[SYNAPTIC] != 0, flags[ADAPTS] != 0
    spikes_matter = adapts or flags[SUBTRACTS] == 0
    plain = flags[FIRES] and not synaptic and not spikes_matter
    width = block_size(neurons, backward_values(steps, flags))
    blocks = (neurons + width - 1) // width
    zero = numbers[ZERO]
    rows, sums, ints = np.empty((10, width), x.dtype), np.empty((3, width), x.dtype), np.empty(width, np.int32)
    u, v = np.empty((steps, width), x.dtype), np.empty((steps + 1, width), x.dtype)
    s = np.empty((steps if spikes_matter else 1, width), x.dtype)
    i = np.empty((steps + 1 if synaptic else 2, width), x.dtype)
    b, theta = np.empty((steps + 1 if adapts else 2, width), x.dtype), np.empty((steps if adapts else 1, width), x.dtype)
    for task in range(first, last):
        sample, start = task // blocks, task % blocks * width
        size = min(width, neurons - start)
        here = slice(start, start + size)
        am, asy, aad, k = _constants(rows, alpha_mem, alpha_syn, alpha_adapt, start, size, numbers, flags)
        theta[0, :size] = numbers[THRESHOLD]
        _load(v[0, :size], v0, sample, start)
        _load(i[0, :size], i0, sample, start)
        _load(b[0, :size], b0, sample, start)
        for t in range(steps):
            ti, tb, ts = (t if synaptic else 0), (t if adapts else 0), (t if spikes_matter else 0)
            _step(
                x[sample, t, here], v[t, :size], v[t + 1, :size], i[ti, :size], i[ti + 1, :size], b[tb, :size], b[tb + 1, :size],
                theta[tb, :size], u[t, :size], s[ts, :size], am, asy, aad, k, numbers, flags,
            )  # fmt: skip

        gv, gi, gb, gu = rows[4, :size], rows[5, :size], rows[6, :size], rows[7, :size]
        g, scratch = rows[8, :size], rows[9, :size]
        sum_mem, sum_syn, sum_adapt = sums[0, :size], sums[1, :size], sums[2, :size]  # over time, of the alphas' gradients
        sum_mem[:], sum_syn[:], sum_adapt[:] = zero, zero, zero
        _load(gv, grad_v_end, sample, start)
        _load(gi, grad_i_end, sample, start)
        _load(gb, grad_b_end, sample, start)
        for t in range(steps - 1, -1, -1):
            ti, tb, ts = (t if synaptic else 0), (t if adapts else 0), (t if spikes_matter else 0)
            row, gx, th, before = x[sample, t, here], grad_x[sample, t, here], theta[tb, :size], b[tb, :size]
            if flags[FIRES]:
                _surrogate(u[t, :size], th, g, scratch, ints[:size], numbers, flags)
            if plain:
                _through_plain(grad_s[sample, t, here], v[t + 1, :size], g, gv, gu, gx, am, k, numbers)
                if grad_alpha_mem.size:
                    _into_alpha(sum_mem, gu, v[t, :size], row, flags)
                continue
            _through_reset(
                grad_s[sample, t, here], v[t + 1, :size], s[ts, :size], th, before, g, gv, gb, gu, sum_adapt, aad, numbers, flags
            )
            if grad_alpha_mem.size:
                _into_alpha(sum_mem, gu, v[t, :size], row, flags)
            _through_current(gu, gi, gx, row, i[ti, :size], i[ti + 1, :size], asy, k, sum_mem, sum_syn, flags)
            for j in range(size):
                gv[j] = am[j] * gu[j]
        _store(grad_v0, gv, sample, start)
        _store(grad_i0, gi, sample, start)
        _store(grad_b0, gb, sample, start)
        _store(grad_alpha_mem, sum_mem, sample, start)
        _store(grad_alpha_syn, sum_syn, sample, start)
        _store(grad_alpha_adapt, sum_adapt, sample, start)


@compiled
def backward_values(steps, flags):
    """Values that the backward pass keeps of each neuron of a block."""
    synaptic, adapts = flags[SYNAPTIC] != 0, flags[ADAPTS] != 0
    return steps * (2 + (1 if synaptic else 0) + (2 if adapts else 0) + (1 if adapts or flags[SUBTRACTS] == 0 else 0))


@compiled
def _through_plain(out, after, g, gv, gu, gx, am, k, numbers):
    """All of a step back in one loop, for neurons of a fixed threshold that is subtracted, without a synaptic current; the most common ones."""
    zero, low, theta = numbers[ZERO], numbers[LOW], numbers[THRESHOLD]
    for j in range(out.size):
        from_state = gv[j] if after[j] > low else zero
        of_u = from_state + (out[j] - theta * from_state) * g[j]
        gu[j] = of_u
        gx[j] = k[j] * of_u
        gv[j] = am[j] * of_u


@compiled
def _into_alpha(sum_mem, gu, before, x, flags):
    """What a step adds to the gradient of alpha_mem; with input that is normalised and has no current, through k too."""
    for j in range(gu.size):
        sum_mem[j] += gu[j] * before[j]
    if flags[NORMALISED] and not flags[SYNAPTIC]:
        for j in range(gu.size):
            sum_mem[j] -= gu[j] * x[j]


@compiled
def _through_reset(out, after, s, theta, before, g, gv, gb, gu, sum_adapt, aad, numbers, flags):
    """From the gradients of output (`out`), of v and of b after a step to that of u (`gu`) and of b before it (`gb`)."""
    size = out.size
    zero, one, low = numbers[ZERO], numbers[ONE], numbers[LOW]
    for j in range(size):
        gv[j] = gv[j] if after[j] > low else zero
    if not flags[FIRES]:
        for j in range(size):
            gu[j] = gv[j] + out[j]
        return
    if flags[ADAPTS]:
        for j in range(size):
            sum_adapt[j] += gb[j] * (before[j] - s[j])
            gu[j] = out[j] + (one - aad[j]) * gb[j]
            gb[j] = aad[j] * gb[j]
        if flags[SUBTRACTS]:
            scale = numbers[ADAPT_SCALE]
            for j in range(size):
                gb[j] -= scale * s[j] * gv[j]
    else:
        for j in range(size):
            gu[j] = out[j]
    if flags[SUBTRACTS]:
        for j in range(size):
            gu[j] = gv[j] + (gu[j] - theta[j] * gv[j]) * g[j]
    else:
        for j in range(size):
            gu[j] = (gv[j] if s[j] == zero else zero) + gu[j] * g[j]


@compiled
def _through_current(gu, gi, gx, x, before, now, asy, k, sum_mem, sum_syn, flags):
    """From the gradient of u to that of the input (`gx`), through the synaptic current if there is one (`gi`, from a step to the one before)."""
    size = gu.size
    if not flags[SYNAPTIC]:
        for j in range(size):
            gx[j] = k[j] * gu[j]
        return
    if flags[ADAPTS]:  # k is part of the current
        for j in range(size):
            gi[j] += gu[j]
        for j in range(size):
            sum_syn[j] += gi[j] * k[j] * (before[j] + x[j])
        if flags[NORMALISED]:
            for j in range(size):
                sum_mem[j] -= gi[j] * asy[j] * (before[j] + x[j])
        for j in range(size):
            gi[j] = k[j] * asy[j] * gi[j]
    else:
        if flags[NORMALISED]:
            for j in range(size):
                sum_mem[j] -= gu[j] * now[j]
        for j in range(size):
            gi[j] += k[j] * gu[j]
        for j in range(size):
            sum_syn[j] += gi[j] * (before[j] + x[j])
        for j in range(size):
            gi[j] = asy[j] * gi[j]
    for j in range(size):
        gx[j] = gi[j]


@compiled
def _surrogate(u, theta, out, scratch, ints, numbers, flags):
    """The derivative for a row; formulas as in `chipflow.snn.surrogate`, their parameters from SURROGATE on in their order."""
    size, kind = u.size, flags[KIND]
    zero, one, half, two = numbers[ZERO], numbers[ONE], numbers[HALF], numbers[TWO]
    p0, p1, p2, p3, p4 = numbers[SURROGATE : SURROGATE + 5]
    if kind == SINGLE_EXPONENTIAL and not flags[ADAPTS]:  # width, scale
        threshold = numbers[THRESHOLD]
        per_width = one / (threshold * p0)
        height = p1 * per_width
        for j in range(size):
            scratch[j] = -abs(u[j] - threshold) * per_width
        _exp(scratch, out, ints)
        for j in range(size):
            out[j] = height * out[j]
    elif kind == SINGLE_EXPONENTIAL:
        for j in range(size):
            scratch[j] = -abs(u[j] - theta[j]) / (theta[j] * p0)
        _exp(scratch, out, ints)
        for j in range(size):
            out[j] = p1 / (theta[j] * p0) * out[j]
    elif kind == PERIODIC_EXPONENTIAL:  # width, scale
        for j in range(size):
            phase = u[j] / theta[j] - half
            above = theta[j] * (two * (phase - np.floor(phase)) - one)
            distance = above if u[j] >= theta[j] else u[j] - theta[j]
            scratch[j] = -abs(distance) / p0
        _exp(scratch, out, ints)
        for j in range(size):
            out[j] = p1 * out[j]
    elif kind == GAUSSIAN:  # mean, -1 / (2 sigma^2), scale / (sigma sqrt(2 pi))
        for j in range(size):
            d = u[j] - theta[j] - p0
            scratch[j] = d * d * p1
        _exp(scratch, out, ints)
        for j in range(size):
            out[j] = p2 * out[j]
    elif kind == MULTI_GAUSSIAN:  # mean, sigma, h, s, scale
        _bell(u, theta, p0, p1, (one + p2) * p4, scratch, out, ints, numbers)
        total = np.empty_like(scratch)
        for j in range(size):
            total[j] = out[j]
        for sign in range(2):
            _bell(u, theta, p1 if sign else -p1, p3 * p1, p2 * p4, scratch, out, ints, numbers)
            for j in range(size):
                total[j] -= out[j]
        for j in range(size):
            out[j] = total[j]
    else:  # Heaviside: window
        for j in range(size):
            out[j] = (one if u[j] >= theta[j] - p0 else zero) / theta[j]


@compiled
def _bell(u, theta, mean, sigma, scale, scratch, out, ints, numbers):
    two = numbers[TWO]
    height = scale / (sigma * numbers.dtype.type(math.sqrt(2 * math.pi)))
    for j in range(u.size):
        d = u[j] - theta[j] - mean
        scratch[j] = -(d * d) / (two * sigma * sigma)
    _exp(scratch, out, ints)
    for j in range(u.size):
        out[j] = height * out[j]


@compiled
def _exp(x, out, ints):
    """exp of values from -inf to 0. In float32 by Cephes' reduction and polynomial (Moshier), which can be vectorised: to 1 in 10 million."""
    if x.itemsize == 8:
        for j in range(x.size):
            out[j] = math.exp(x[j])
        return
    f = np.float32
    least, log2e, ln2_high, ln2_low = f(-87.0), f(1.44269504), f(0.693359375), f(-2.12194440e-4)
    c0, c1, c2 = f(1.9875691500e-4), f(1.3981999507e-3), f(8.3334519073e-3)
    c3, c4, c5 = f(4.1665795894e-2), f(1.6666665459e-1), f(5.0000001201e-1)
    half, one, bias = f(0.5), f(1.0), np.int32(127)
    powers = ints.view(np.float32)
    for j in range(x.size):
        y = f(x[j])
        y = y if y > least else least
        n = np.floor(y * log2e + half)
        r = y - n * ln2_high - n * ln2_low
        poly = ((((c0 * r + c1) * r + c2) * r + c3) * r + c4) * r + c5
        out[j] = poly * r * r + r + one
        ints[j] = (np.int32(n) + bias) << np.int32(23)
    for j in range(x.size):
        out[j] = out[j] * powers[j] if f(x[j]) > least else f(0.0)
