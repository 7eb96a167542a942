"""What the vendor's package calls otherwise from version to version: one table."""

from __future__ import annotations

from typing import Any

from chipflow.errors import VendorPackageError

ALTERNATIVES: dict[str, tuple[str, ...]] = {
    # of a board: sinabs 3.1 asks the model, older scripts the board
    "the node of outputs": ("get_model().get_source_node", "get_model_source_node"),
    "the node of inputs": ("get_model().get_sink_node", "get_model_sink_node"),
    # of the IO module: scripts, then the datasheet
    "the switch of the slow clock": ("set_slow_clk", "set_slow_clock"),
    "the rate of the slow clock": ("set_slow_clk_rate", "set_slow_clock_rate"),
    # of the power monitor: sinabs' notebook, then the datasheet
    "the start of a power measurement": ("start_auto_power_measurement", "start_auto_power_monitor"),
    "the end of a power measurement": ("stop_auto_power_measurement", "stop_auto_power_monitor"),
    # of the package
    "the node of power readings": (
        "BasicSinkNode_unifirm_modules_events_measurement",
        "BasicSinkNode_unifirm_modules_events_monitor",
    ),
}
"""What is meant -> the names that it has had, today's first; `a().b` is b of what a() returns."""


def named(owner: Any, what: str) -> Any:
    """What the owner has under one of its names.

    Raises:
        VendorPackageError: under none of them.
    """
    for path in ALTERNATIVES[what]:
        found = _reached(owner, path)
        if found is not None:
            return found
    raise VendorPackageError(
        f"{type(owner).__name__} of the vendor's package has {what} under none of the names known here, "
        f"{', '.join(ALTERNATIVES[what])}: use a version of samna that has one of them, or tell us the new name"
    )


def _reached(owner: Any, path: str) -> Any:
    *calls, last = path.split("().")
    for call in calls:
        make = getattr(owner, call, None)
        if make is None:
            return None
        owner = make()
    return getattr(owner, last, None)
