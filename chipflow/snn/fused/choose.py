"""Which way the time loop goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from torch import Tensor

from chipflow.errors import ChipflowError
from chipflow.snn.dynamics import Constants, Rule, States, refuse_not_finite, run_loop
from chipflow.snn.fused import operators

Way = Literal["auto", "loop"]

_way: Way = "auto"


@contextmanager
def time_loop(way: Way) -> Iterator[None]:
    """Choose how layers of neurons go through time, for all threads, as long as the context lasts.

    Args:
        way: "auto": in one fused pass where there is a kernel for the layer and the device (numba's on the CPU; Triton's on CUDA, if it
            is installed). "loop": step by step in plain torch, the reference, which is also differentiable twice, and forward.

    Raises:
        ChipflowError: for another way.
    """
    global _way
    if way not in ("auto", "loop"):
        raise ChipflowError(f"time_loop: way is {way!r}, it must be 'auto' or 'loop'.")
    before, _way = _way, way
    try:
        yield
    finally:
        _way = before


def run(input: Tensor, states: States, constants: Constants, rule: Rule, label: str) -> tuple[Tensor, States]:
    """All time steps of a layer: input [batch, time, ...] to output of the same shape, and the states after the last step.

    Raises:
        ChipflowError: for input that is not finite; `label` names the layer.
    """
    if _way == "auto" and operators.can_run(input, constants, rule):
        return operators.run(input, states, constants, rule, label)
    refuse_not_finite(input, label)
    return run_loop(input, states, constants, rule)
