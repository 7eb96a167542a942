# pyright: basic
"""The time loop of `chipflow.snn.dynamics` for CUDA, forward and backward, in Triton.

A program takes a block of neurons of one sample through all time steps, states in registers, so that input and output are each read or
written once. The backward pass keeps nothing but the input: `forward` runs again and writes down what `backward`, which goes back in
time, needs of each step. Operations are those of the reference in its order; launched without fused multiply-add, as `cuda.py` does, each
is rounded as torch rounds it. Only the exponential of the surrogate gradients is another one than torch's.

Compared with the reference in Triton's interpreter, and compiled for a GPU; not run on one by the authors.

Names in capitals are constants of the compilation: so are the numbers of a layer, which Triton would otherwise round to float32.
"""

import math

import triton
import triton.language as tl

# Kinds of surrogate gradients, in the order of `description.SURROGATES`; what is left is Heaviside.
SINGLE_EXPONENTIAL = tl.constexpr(0)
PERIODIC_EXPONENTIAL = tl.constexpr(1)
GAUSSIAN = tl.constexpr(2)
MULTI_GAUSSIAN = tl.constexpr(3)

ROOT_OF_TWO_PI = tl.constexpr(math.sqrt(2 * math.pi))


@triton.jit
def _divide(a, b):
    """Rounded as IEEE 754 has it. Triton's own division in float32 is not, and the number of spikes would differ."""
    return tl.div_rn(a, b) if a.dtype == tl.float32 else a / b


@triton.jit
def _number(value, LIKE: tl.constexpr, BLOCK: tl.constexpr):
    """A number of the layer for each neuron, in the type of the input."""
    return tl.full((BLOCK,), value, LIKE)


@triton.jit
def _block(neurons, BLOCK: tl.constexpr):
    """The sample of this program, its neurons, and which of them there are."""
    blocks = tl.cdiv(neurons, BLOCK)
    sample = (tl.program_id(0) // blocks).to(tl.int64)  # inputs of more than 2**31 values are common: 64 bits from here on
    j = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    return sample, j, j < neurons


@triton.jit
def _constants(
    j, mask, alpha_mem, alpha_syn, alpha_adapt, mem_stride, syn_stride, adapt_stride, threshold, low,
    MOST: tl.constexpr, RESET: tl.constexpr, ADAPT_SCALE: tl.constexpr, NORMALISED: tl.constexpr, LIKE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """What does not change with time, for each neuron: alpha_mem, alpha_syn, alpha_adapt, k, threshold, low, most, reset, adapt_scale."""
    am = tl.load(alpha_mem + j * mem_stride, mask=mask, other=0.0)
    asy = tl.load(alpha_syn + j * syn_stride, mask=mask, other=0.0)
    aad = tl.load(alpha_adapt + j * adapt_stride, mask=mask, other=0.0)
    k = 1.0 - am if NORMALISED else _number(1.0, LIKE, BLOCK)
    base = _number(tl.load(threshold), LIKE, BLOCK)
    bound = _number(float("-inf") if low is None else tl.load(low), LIKE, BLOCK)
    most, reset, adapt_scale = _number(MOST, LIKE, BLOCK), _number(RESET, LIKE, BLOCK), _number(ADAPT_SCALE, LIKE, BLOCK)
    return am, asy, aad, k, base, bound, most, reset, adapt_scale


@triton.jit
def _state(states, at, mask, EXISTS: tl.constexpr, LIKE: tl.constexpr, BLOCK: tl.constexpr):
    """A state or its gradient, zeros for a layer without it."""
    return tl.load(states + at, mask=mask, other=0.0) if EXISTS else _number(0.0, LIKE, BLOCK)


@triton.jit
def _fire(u, theta, bound, most, reset, FIRES: tl.constexpr, SUBTRACTS: tl.constexpr):
    """Spikes (or the potential), and the potential after them."""
    s, w = u, u
    if FIRES:
        s = tl.floor(_divide(u, theta))  # as trunc, below: what differs is negative
        s = tl.where(s > 0.0, s, 0.0)
        s = tl.where(s < most, s, most)
        w = u - s * theta if SUBTRACTS else tl.where(s == 0.0, u, reset)
    return s, tl.where(w > bound, w, bound)


@triton.jit(do_not_specialize=["steps"])
def forward(
    x, v0, i0, b0, alpha_mem, alpha_syn, alpha_adapt, mem_stride, syn_stride, adapt_stride, threshold, low,
    steps, neurons, s_out, v_end, i_end, b_end, not_finite, u_kept, i_kept, b_kept,
    FIRES: tl.constexpr, SUBTRACTS: tl.constexpr, SYNAPTIC: tl.constexpr, NORMALISED: tl.constexpr, ADAPTS: tl.constexpr,
    MOST: tl.constexpr, RESET: tl.constexpr, ADAPT_SCALE: tl.constexpr, KEEPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Spikes and states at the end; or, if it keeps them, the potential before the reset and the states before each step.

    Args:
        x: [batch, time, neurons], contiguous, as are all results.
        v0, i0, b0: states [batch, neurons]; not read where there is no such state.
        alpha_mem, alpha_syn, alpha_adapt: decays; their strides are 1, or 0 for one value for all neurons.
        threshold, low: of one value; low is None without a bound.
        steps, neurons: sizes.
        s_out, v_end, i_end, b_end: results, like x and the states.
        not_finite: of one value, becomes 1 if any input is not a finite number.
        u_kept, i_kept, b_kept: results like x, instead of those before.
        FIRES, SUBTRACTS, SYNAPTIC, NORMALISED, ADAPTS, MOST, RESET, ADAPT_SCALE: see `description.py`.
        KEEPS: which results there are.
        BLOCK: neurons of a program.
    """
    LIKE: tl.constexpr = x.dtype.element_ty
    sample, j, mask = _block(neurons, BLOCK)
    state = sample * neurons + j
    am, asy, aad, k, base, bound, most, reset, adapt_scale = _constants(
        j, mask, alpha_mem, alpha_syn, alpha_adapt, mem_stride, syn_stride, adapt_stride, threshold, low,
        MOST, RESET, ADAPT_SCALE, NORMALISED, LIKE, BLOCK,
    )  # fmt: skip
    v = tl.load(v0 + state, mask=mask, other=0.0)
    i = _state(i0, state, mask, SYNAPTIC, LIKE, BLOCK)
    b = _state(b0, state, mask, ADAPTS, LIKE, BLOCK)
    finite = j >= 0
    at = sample * steps * neurons + j
    for _ in range(steps):
        now = tl.load(x + at, mask=mask, other=0.0)
        finite = finite & (tl.abs(now) < float("inf"))  # false for what is no number, too
        if KEEPS:
            if SYNAPTIC:
                tl.store(i_kept + at, i, mask=mask)
            if ADAPTS:
                tl.store(b_kept + at, b, mask=mask)
        if SYNAPTIC:
            i = asy * (i + now)
            current = k * i
            if ADAPTS:
                i = current
        else:
            current = k * now
        u = am * v + current
        theta = base + adapt_scale * b if ADAPTS else base
        s, v = _fire(u, theta, bound, most, reset, FIRES, SUBTRACTS)
        if ADAPTS:
            b = aad * b + (1.0 - aad) * s
        if KEEPS:
            tl.store(u_kept + at, u, mask=mask)
        else:
            tl.store(s_out + at, s, mask=mask)
        at += neurons
    if not KEEPS:
        tl.store(v_end + state, v, mask=mask)
        if SYNAPTIC:
            tl.store(i_end + state, i, mask=mask)
        if ADAPTS:
            tl.store(b_end + state, b, mask=mask)
        tl.store(not_finite + j * 0, 1, mask=~finite)


@triton.jit(do_not_specialize=["steps"])
def backward(
    x, v0, alpha_mem, alpha_syn, alpha_adapt, mem_stride, syn_stride, adapt_stride, threshold, low,
    steps, neurons, u_kept, i_kept, b_kept, grad_s, grad_v_end, grad_i_end, grad_b_end,
    grad_x, grad_v0, grad_i0, grad_b0, grad_alpha_mem, grad_alpha_syn, grad_alpha_adapt,
    FIRES: tl.constexpr, SUBTRACTS: tl.constexpr, SYNAPTIC: tl.constexpr, NORMALISED: tl.constexpr, ADAPTS: tl.constexpr,
    MOST: tl.constexpr, RESET: tl.constexpr, ADAPT_SCALE: tl.constexpr,
    KIND: tl.constexpr, P0: tl.constexpr, P1: tl.constexpr, P2: tl.constexpr, P3: tl.constexpr, P4: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradients of what `forward` computed, from the last step to the first.

    Args, beside those of `forward`:
        u_kept, i_kept, b_kept: what `forward` kept.
        grad_s, grad_v_end, grad_i_end, grad_b_end: gradients of its results.
        grad_x, grad_v0, grad_i0, grad_b0: results, like input and states.
        grad_alpha_mem, grad_alpha_syn, grad_alpha_adapt: results [batch, neurons]; None if not wanted.
        KIND, P0 to P4: the surrogate gradient, see `description.py`.
    """
    LIKE: tl.constexpr = x.dtype.element_ty
    sample, j, mask = _block(neurons, BLOCK)
    state = sample * neurons + j
    am, asy, aad, k, base, bound, most, reset, adapt_scale = _constants(
        j, mask, alpha_mem, alpha_syn, alpha_adapt, mem_stride, syn_stride, adapt_stride, threshold, low,
        MOST, RESET, ADAPT_SCALE, NORMALISED, LIKE, BLOCK,
    )  # fmt: skip
    p0, p1, p2 = _number(P0, LIKE, BLOCK), _number(P1, LIKE, BLOCK), _number(P2, LIKE, BLOCK)
    p3, p4 = _number(P3, LIKE, BLOCK), _number(P4, LIKE, BLOCK)
    gv = tl.load(grad_v_end + state, mask=mask, other=0.0)
    gi = _state(grad_i_end, state, mask, SYNAPTIC, LIKE, BLOCK)
    gb = _state(grad_b_end, state, mask, ADAPTS, LIKE, BLOCK)
    gu = tl.full((BLOCK,), 0.0, LIKE)
    sum_mem, sum_syn, sum_adapt = gu, gu, gu  # gradients of the alphas over time
    at = (sample * steps + steps - 1) * neurons + j
    for _ in range(steps):
        now = tl.load(x + at, mask=mask, other=0.0)
        u = tl.load(u_kept + at, mask=mask, other=0.0)
        i = _state(i_kept, at, mask, SYNAPTIC, LIKE, BLOCK)
        b = _state(b_kept, at, mask, ADAPTS, LIKE, BLOCK)
        gs = tl.load(grad_s + at, mask=mask, other=0.0)
        theta = base + adapt_scale * b if ADAPTS else base
        s, v = _fire(u, theta, bound, most, reset, FIRES, SUBTRACTS)
        gv = tl.where(v > bound, gv, 0.0)
        sum_mem += gu * v  # of the step after this one, whose v(t-1) this is

        if FIRES:
            if ADAPTS:
                sum_adapt += gb * (b - s)
                gs += (1.0 - aad) * gb
                gb = aad * gb
                if SUBTRACTS:
                    gb -= adapt_scale * s * gv
            g = _surrogate(u, theta, p0, p1, p2, p3, p4, KIND)
            gu = gv + (gs - theta * gv) * g if SUBTRACTS else tl.where(s == 0.0, gv, 0.0) + gs * g
        else:
            gu = gv + gs

        if not SYNAPTIC:
            if NORMALISED:
                sum_mem -= gu * now
            gx = k * gu
        elif ADAPTS:  # k is part of the current
            gi += gu
            sum_syn += gi * k * (i + now)
            if NORMALISED:
                sum_mem -= gi * asy * (i + now)
            gi = k * asy * gi
            gx = gi
        else:
            if NORMALISED:
                sum_mem -= gu * (asy * (i + now))
            gi += k * gu
            sum_syn += gi * (i + now)
            gi = asy * gi
            gx = gi
        tl.store(grad_x + at, gx, mask=mask)
        gv = am * gu
        at -= neurons
    tl.store(grad_v0 + state, gv, mask=mask)
    if SYNAPTIC:
        tl.store(grad_i0 + state, gi, mask=mask)
    if ADAPTS:
        tl.store(grad_b0 + state, gb, mask=mask)
    if grad_alpha_mem is not None:
        tl.store(grad_alpha_mem + state, sum_mem + gu * tl.load(v0 + state, mask=mask, other=0.0), mask=mask)
    if grad_alpha_syn is not None:
        tl.store(grad_alpha_syn + state, sum_syn, mask=mask)
    if grad_alpha_adapt is not None:
        tl.store(grad_alpha_adapt + state, sum_adapt, mask=mask)


@triton.jit
def _surrogate(u, theta, p0, p1, p2, p3, p4, KIND: tl.constexpr):
    """The derivative; formulas as in `chipflow.snn.surrogate`, parameters as in `description.py`."""
    if KIND == SINGLE_EXPONENTIAL:  # width, scale
        width = theta * p0
        g = _divide(p1, width) * tl.exp(-_divide(tl.abs(u - theta), width))
    elif KIND == PERIODIC_EXPONENTIAL:  # width, scale
        phase = _divide(u, theta) - 0.5
        above = theta * (2.0 * (phase - tl.floor(phase)) - 1.0)
        g = p1 * tl.exp(-_divide(tl.abs(tl.where(u >= theta, above, u - theta)), p0))
    elif KIND == GAUSSIAN:  # mean, -1 / (2 sigma^2), scale / (sigma sqrt(2 pi))
        d = u - theta - p0
        g = p2 * tl.exp(d * d * p1)
    elif KIND == MULTI_GAUSSIAN:  # mean, sigma, h, s, scale
        d, wide = u - theta, p3 * p1
        g = p4 * ((1.0 + p2) * _bell(d - p0, p1) - p2 * _bell(d - p1, wide) - p2 * _bell(d + p1, wide))
    else:  # Heaviside: window
        g = _divide(tl.where(u >= theta - p0, 1.0, 0.0).to(u.dtype), theta)
    return g


@triton.jit
def _bell(d, sigma):
    return _divide(tl.exp(_divide(-(d * d), 2.0 * sigma * sigma)), sigma * ROOT_OF_TWO_PI)
