"""The modules of the chips, and the nodes that bear their names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from samna._events import Measurement, event_module
from samna._faults import Surface, faults
from tests.hwconfig.vendor_standin import Strict
from tests.hwconfig.vendor_standin import samna as configuration_classes

NODES = {  # as sinabs 3.1 spells them
    "speck2f": ("BasicSourceNode_speck2f_event_input_event", "BasicSinkNode_speck2f_event_output_event"),
    "speck2e": ("BasicSourceNode_speck2e_event_speck2e_input_event", "BasicSinkNode_speck2e_event_output_event"),
}


class Source(Surface):
    """A node that a script writes to."""

    CHIP = ""
    __slots__ = ("_target",)

    def __init__(self) -> None:
        self._target: Any = None

    def write(self, events: Any) -> None:
        if type(events) is not list:
            raise TypeError(f"incompatible type {type(events).__name__}, a list of events is needed")
        if self._target is None:
            raise RuntimeError("the node is part of no running graph")
        self._target._take(events)


class Sink(Surface):
    """A node that a script reads from."""

    CHIP = ""
    __slots__ = ("_origin",)

    def __init__(self) -> None:
        self._origin: Any = None

    def get_events(self) -> list[Any]:
        return [] if self._origin is None else self._origin._give()


def chip_module(name: str, configuration: Any) -> Any:
    def validate_configuration(config: Any) -> tuple[bool, str]:
        """(False, message) of an illegal one; it does not raise."""
        if not isinstance(config, Strict) or type(config) is not configuration.SpeckConfiguration:
            raise TypeError(f"incompatible type {type(config).__name__}")
        return (False, faults().refuse) if faults().refuse else (True, "")

    return SimpleNamespace(configuration=configuration, event=event_module(name), validate_configuration=validate_configuration)


def everything() -> dict[str, Any]:
    """What stands at the top of the package."""
    found: dict[str, Any] = {}
    classes = configuration_classes(*NODES)
    for chip, (source, sink) in NODES.items():
        found[chip] = chip_module(chip, getattr(classes, chip).configuration)
        found[source] = type(source, (Source,), {"CHIP": chip, "__slots__": ()})
        found[sink] = type(sink, (Sink,), {"CHIP": chip, "__slots__": ()})
    power = "BasicSinkNode_unifirm_modules_events_" + ("monitor" if faults().old_names else "measurement")
    found[power] = type(power, (Sink,), {"CHIP": Measurement, "__slots__": ()})
    return found
