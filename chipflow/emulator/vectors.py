# pyright: standard
"""Sixteen-bit vector arithmetic for the kernels, as LLVM instructions: numba has no vectors of its own.

LLVM turns a block of neurons into whatever the processor has: 32 are one AVX-512 register, two of AVX2, four of NEON.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from chipflow.emulator.records import LANES, STATE_MAX, WIDE_LANES

_STATE = ir.IntType(16)
_WORD = ir.IntType(64)


def _update_bounded(width):
    """The intrinsic for blocks of up to `width` neurons."""

    @intrinsic
    def update_bounded(typingctx, states, first, amounts, at, lanes, low, high, keep):
        """Section 2, steps 1 to 3, for neurons that lie side by side, where no state can leave its range.

        An amount of 0 is an addition like any other: no state is at or above `high`, or below `low`.

        Args:
            states: int16 array, updated from index `first` on; `width` more elements than neurons.
            first: uint64.
            amounts: int16 array, weights or biases; `width` more elements than in use.
            at: uint64, index of the first neuron's amount.
            lanes: int16, how many neurons to update; None: all `width` of them.
            low, high: int16, lower bound and threshold.
            keep: int16, -1 to subtract the threshold after a spike, 0 to return to zero.

        Returns:
            Two masks (uint64, bit i for neuron first + i): fired, raised to `low`.
        """
        signature = types.UniTuple(types.uint64, 2)(states, first, amounts, at, lanes, low, high, keep)

        def code(context, builder, signature, args):
            vectors = _Vectors(context, builder, width)
            states, first, amounts, at, lanes, *numbers = args
            low, high, keep = map(vectors.broadcast, numbers)
            pointer = vectors.pointer(signature.args[0], states, first)
            amount = vectors.load(signature.args[2], amounts, at)
            if signature.args[4] != types.none:
                amount = builder.select(vectors.used(lanes), amount, vectors.constant(0))
            added = vectors.call("sadd.sat", vectors.load_from(pointer), amount)
            raised = builder.icmp_signed("<", added, low)
            fired, new = vectors.fire(vectors.call("smax", added, low), high, keep)
            builder.store(new, pointer).align = 2
            return context.make_tuple(builder, signature.return_type, [vectors.word(mask) for mask in (fired, raised)])

        return signature, code

    return update_bounded


update_bounded, update_bounded_wide = _update_bounded(LANES), _update_bounded(WIDE_LANES)


@intrinsic
def update_general(typingctx, states, alive, first, amounts, at, absent, lanes, low, high, keep):
    """The same for any state, for up to LANES neurons, some of which may be killed.

    Args:
        alive: int16 array like `states`: -1, or 0 for a neuron that never updates.
        absent: int16, the amount that stands for no synapse.

    Returns:
        Four masks: fired, raised to `low`, cut at the largest state, updated.
    """
    signature = types.UniTuple(types.uint64, 4)(states, alive, first, amounts, at, absent, lanes, low, high, keep)

    def code(context, builder, signature, args):
        vectors = _Vectors(context, builder, LANES)
        states, alive, first, amounts, at, absent, lanes, *numbers = args
        low, high, keep = map(vectors.broadcast, numbers)
        pointer = vectors.pointer(signature.args[0], states, first)
        v, amount = vectors.load_from(pointer), vectors.load(signature.args[3], amounts, at)
        living = builder.icmp_signed("!=", vectors.load(signature.args[1], alive, first), vectors.constant(0))
        synapse = builder.and_(vectors.used(lanes), builder.icmp_signed("!=", amount, vectors.broadcast(absent)))
        synapse = builder.and_(synapse, living)
        # v + amount < low and v + amount > STATE_MAX, written so that no intermediate value leaves 16 bits unnoticed: the sum does
        # at STATE_MIN, and low - amount for a bias of STATE_MIN.
        added = vectors.call("sadd.sat", v, amount)
        below = builder.icmp_signed("<", v, vectors.call("ssub.sat", low, amount))
        raised = builder.and_(synapse, builder.or_(below, builder.icmp_signed("<", added, low)))
        room = vectors.call("ssub.sat", vectors.constant(STATE_MAX), amount)
        cut = builder.and_(synapse, builder.icmp_signed(">", v, room))
        fired, new = vectors.fire(builder.select(raised, low, added), high, keep)
        builder.store(builder.select(synapse, new, v), pointer).align = 2
        masks = [builder.and_(fired, synapse), raised, cut, synapse]
        return context.make_tuple(builder, signature.return_type, [vectors.word(mask) for mask in masks])

    return signature, code


@intrinsic
def lowest_bit(typingctx, mask):
    """Index of the lowest set bit of a mask (uint64); 64 if none is set."""
    return types.uint64(types.uint64), lambda context, builder, signature, args: builder.cttz(args[0], cgutils.false_bit)


@intrinsic
def bits_set(typingctx, mask):
    """How many bits of a mask (uint64) are set."""
    return types.uint64(types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])


@intrinsic
def address(typingctx, number):
    """An int64 as the address that it is, for `numba.carray`."""
    return types.voidptr(types.int64), lambda context, builder, signature, args: builder.inttoptr(args[0], cgutils.voidptr_t)


class _Vectors:
    """Instructions on vectors of `lanes` states."""

    def __init__(self, context, builder, lanes):
        self.context, self.builder, self.lanes = context, builder, lanes
        self.kind = ir.VectorType(_STATE, lanes)

    def constant(self, value):
        return ir.Constant(self.kind, [value] * self.lanes)

    def broadcast(self, number):
        undefined = ir.Constant(self.kind, ir.Undefined)
        first = self.builder.insert_element(undefined, number, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def used(self, lanes):
        """Which elements are among the first `lanes`."""
        return self.builder.icmp_signed("<", ir.Constant(self.kind, list(range(self.lanes))), self.broadcast(lanes))

    def pointer(self, kind, array, index):
        """To the elements of an array from `index` on."""
        data = self.context.make_array(kind)(self.context, self.builder, array).data
        return self.builder.bitcast(self.builder.gep(data, [index]), self.kind.as_pointer())

    def load(self, kind, array, index):
        return self.load_from(self.pointer(kind, array, index))

    def load_from(self, pointer):
        values = self.builder.load(pointer)
        values.align = 2
        return values

    def call(self, name, a, b):
        kind = ir.FunctionType(self.kind, [self.kind, self.kind])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.v{self.lanes}i16")
        return self.builder.call(function, [a, b])

    def fire(self, v, high, keep):
        """Which of the states v reach `high`, and the states after the spikes."""
        fired = self.builder.icmp_signed(">=", v, high)
        return fired, self.builder.select(fired, self.builder.and_(self.builder.sub(v, high), keep), v)

    def word(self, mask):
        """A vector of bits as uint64."""
        bits = self.builder.bitcast(mask, ir.IntType(self.lanes))
        return bits if self.lanes == _WORD.width else self.builder.zext(bits, _WORD)
