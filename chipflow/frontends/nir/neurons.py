"""What NIR leaves open about its integrate-and-fire neurons: how they reset, and how low their state may go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from chipflow.errors import ChipflowError
from chipflow.frontends.nir.fields import Fields, brief, numbers, own_metadata, text
from chipflow.ir.nodes import Iaf, Shape

Reset = Literal["subtract", "zero"]
LowerBound = float | Literal["-threshold"] | None
RESETS = ("subtract", "zero")
NO_BOUND = "none"  # files hold no None


@dataclass(frozen=True)
class Neurons:
    """For nodes that do not say.

    Attributes:
        reset: "subtract" the threshold at each spike, or to "zero".
        min_v_mem: lower bound of the state; None for none.
    """

    reset: Reset = "subtract"
    min_v_mem: LowerBound = "-threshold"

    def __post_init__(self) -> None:
        if self.reset not in RESETS:
            raise ChipflowError(f"reset is {self.reset!r}, it must be 'subtract' or 'zero'")
        if not is_bound(self.min_v_mem):
            raise ChipflowError(
                f"min_v_mem is {self.min_v_mem!r}, it must be a number of at most 0, '-threshold', or None for no bound"
            )

    def metadata(self) -> dict[str, Any]:
        """As `to_nir` writes it and `of_node` reads it."""
        return {"reset": self.reset, "lower_bound": NO_BOUND if self.min_v_mem is None else self.min_v_mem}


def is_bound(value: Any) -> bool:
    """Whether this is a lower bound."""
    if isinstance(value, str):
        return value == "-threshold"
    return value is None or (isinstance(value, int | float) and value <= 0)


def of_node(fields: Fields, default: Neurons) -> Neurons:
    """What the node's metadata says, else the default; a metadata that says nothing sensible is noted."""
    found = own_metadata(fields.node)
    reset, bound = str(text(found.get("reset", default.reset))), _bound(found.get("lower_bound", default.min_v_mem))
    if reset in RESETS and is_bound(bound):
        return Neurons(cast("Reset", reset), bound)
    fields.note(
        "metadata",
        f"{brief(dict(found))}; 'reset' must be 'subtract' or 'zero', and 'lower_bound' at most 0, '-threshold' or 'none'",
    )
    return default


def _bound(value: Any) -> Any:
    array = numbers(value)
    if array is not None:
        return float(array.flat[0]) if array.size == 1 else array
    value = text(value)
    return None if isinstance(value, str) and value == NO_BOUND else value


def read_if(fields: Fields, shape: Shape | None, default: Neurons) -> Iaf | None:
    """NIR's IF, whose state integrates r times its input: threshold and lower bound are divided by r instead.

    One time step is one unit of NIR's time. v_reset, which newer versions of NIR fill with zeros, must be 0; `reset` says
    whether that is meant.
    """
    threshold, gain = fields.one_value("v_threshold", shape), fields.one_value("r", shape, default=1.0)
    to = fields.one_value("v_reset", shape, default=0.0)
    neurons = of_node(fields, default)
    if threshold is not None and threshold <= 0:
        fields.note("v_threshold", f"{threshold:g}; it must be above 0")
    if gain is not None and gain <= 0:
        fields.note("r", f"{gain:g}; it must be above 0: move the sign into the weights before")
    if to:
        fields.note("v_reset", f"{to:g}; a core resets by subtraction or to 0: use v_reset = 0")
    if fields.problems or threshold is None or gain is None:
        return None
    low = -threshold if neurons.min_v_mem == "-threshold" else neurons.min_v_mem
    return Iaf(fields.name, threshold / gain, None if low is None else low / gain, neurons.reset == "zero")
