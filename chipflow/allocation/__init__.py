"""Layers to cores: the cheapest placement, alternatives, or why there is none and what would help.

    NetworkShape, ChipSpec, pins -> problem (needs, costs) -> whole (no splits) or exact, slots (splits) -> Allocation
                                                           -> competing, reasons, levers -> MappingReport, in a MappingError

Everything here works on shapes: weights are not needed, so that an untrained network can be asked about. A placement without splits is
exact whatever the size (minimum-cost assignment); splits are exact where the search comes to its end, and say so where it does not.
"""

from chipflow.allocation.apply import apply_lever
from chipflow.allocation.cost import Objective
from chipflow.allocation.demand import Demand
from chipflow.allocation.parts import Part
from chipflow.allocation.report import Lever, MappingReport, StopReason
from chipflow.allocation.solve import Allocation, allocate, alternatives

__all__ = [
    "Allocation",
    "Demand",
    "Lever",
    "MappingReport",
    "Objective",
    "Part",
    "StopReason",
    "allocate",
    "alternatives",
    "apply_lever",
]
