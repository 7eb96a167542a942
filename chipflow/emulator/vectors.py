# pyright: standard
"""Sixteen-bit vector arithmetic for the kernels, as LLVM instructions: numba has no vectors of its own.

LLVM turns a block of LANES neurons into whatever the processor has: one AVX-512 register, two of AVX2, four of NEON.
"""

from __future__ import annotations

import numba as nb
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from chipflow.emulator.records import LANES, STATE_MAX

_STATE = ir.IntType(16)
_STATES = ir.VectorType(_STATE, LANES)
_MASK = ir.IntType(LANES)
_WORD = ir.IntType(64)
_ZEROS = ir.Constant(_STATES, [0] * LANES)
_NUMBERED = ir.Constant(_STATES, list(range(LANES)))
_LARGEST = ir.Constant(_STATES, [STATE_MAX] * LANES)


@intrinsic
def update_block(typingctx, states, first, amounts, at, lanes, low, high, keep):
    """Section 2, steps 1 to 3, for up to LANES neurons that lie side by side.

    Args:
        states: int16 array, updated from index `first` on; LANES more elements than neurons.
        first: uint64.
        amounts: int8 or int16 array, weights or biases; 0 is no synapse. LANES more elements than in use.
        at: uint64, index of the first neuron's amount.
        lanes: int16, how many neurons to update.
        low, high: int16, lower bound and threshold.
        keep: int16, -1 to subtract the threshold after a spike, 0 to return to zero.

    Returns:
        Three masks (uint64, bit i for neuron first + i): fired, raised to `low`, cut at the largest state.
    """
    signature = nb.types.UniTuple(nb.uint64, 3)(states, first, amounts, at, lanes, low, high, keep)

    def code(context, builder, signature, args):
        states, first, amounts, at, lanes, *numbers = args
        low, high, keep = (_broadcast(builder, number) for number in numbers)
        pointer = _pointer(context, builder, signature.args[0], states, first)
        v = _load(builder, pointer, _STATE)
        amount = _load(builder, _pointer(context, builder, signature.args[2], amounts, at), _element(signature.args[2]))
        used = builder.icmp_signed("<", _NUMBERED, _broadcast(builder, lanes))
        synapse = builder.and_(used, builder.icmp_signed("!=", amount, _ZEROS))
        # v + amount < low and v + amount > STATE_MAX, written so that no intermediate value leaves 16 bits unnoticed
        raised = builder.and_(synapse, builder.icmp_signed("<", v, _saturating(builder, "ssub", low, amount)))
        cut = builder.and_(synapse, builder.icmp_signed(">", v, _saturating(builder, "ssub", _LARGEST, amount)))
        new = builder.select(raised, low, _saturating(builder, "sadd", v, amount))
        fired = builder.and_(synapse, builder.icmp_signed(">=", new, high))
        new = builder.select(fired, builder.and_(builder.sub(new, high), keep), new)
        builder.store(builder.select(synapse, new, v), pointer).align = 2
        masks = [builder.zext(builder.bitcast(mask, _MASK), _WORD) for mask in (fired, raised, cut)]
        return context.make_tuple(builder, signature.return_type, masks)

    return signature, code


@intrinsic
def lowest(typingctx, mask):
    """Index of the lowest set bit of a mask (uint64) that is not 0."""
    return nb.uint64(nb.uint64), lambda context, builder, signature, args: builder.cttz(args[0], cgutils.true_bit)


@intrinsic
def set_bits(typingctx, mask):
    """How many bits of a mask (uint64) are set."""
    return nb.uint64(nb.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])


def _element(array):
    return ir.IntType(array.dtype.bitwidth)


def _pointer(context, builder, kind, array, index):
    """To LANES elements of an array, from `index` on."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.VectorType(_element(kind), LANES).as_pointer())


def _load(builder, pointer, element):
    """LANES elements, widened to 16 bits."""
    values = builder.load(pointer)
    values.align = element.width // 8
    return values if element.width == _STATE.width else builder.sext(values, _STATES)


def _broadcast(builder, number):
    undefined = ir.Constant(_STATES, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _saturating(builder, name, a, b):
    kind = ir.FunctionType(_STATES, [_STATES, _STATES])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.sat.v{LANES}i16")
    return builder.call(function, [a, b])
