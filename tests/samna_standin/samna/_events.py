"""The vendor's events of a chip: typed attributes, by keyword in the constructor, and no others (hardware facts, section 3)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.hwconfig.vendor_standin import Kind, Strict, flag, number

TIME = number(0, (1 << 63) - 1, 0)
PLACE = number(0, 255, 0)
LAYER = number(0, 13, 0)
ADDRESS = number(0, (1 << 18) - 1, 0)
STATE = number(-32768, 32767, 0)
KINDS: dict[str, dict[str, Kind]] = {
    "Spike": {"layer": LAYER, "feature": number(0, 1023, 0), "x": PLACE, "y": PLACE, "timestamp": TIME},
    "DvsEvent": {"p": flag(), "x": PLACE, "y": PLACE, "timestamp": TIME},
    "ReadNeuronValue": {"layer": LAYER, "address": ADDRESS},
    "WriteNeuronValue": {"layer": LAYER, "address": ADDRESS, "neuron_state": STATE},
    "NeuronValue": {"layer": LAYER, "address": ADDRESS, "neuron_state": STATE},
    "BiasValue": {"layer": LAYER, "address": ADDRESS, "bias": STATE},
    "ReadoutValue": {"value": number(0, (1 << 21) - 1, 0)},
    "ReadoutPinValue": {"index": number(0, 15, 0), "timestamp": TIME},
}
INPUTS = ("Spike", "DvsEvent", "ReadNeuronValue", "WriteNeuronValue")


class Event(Strict):
    """Base of all of them."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        for name, value in values.items():
            setattr(self, name, value)


class Measurement(Event):
    """Of the power monitor."""

    KINDS = {"channel": number(0, 255, 0), "value": Kind(float, float), "timestamp": TIME}  # noqa: RUF012


def event_module(chip: str) -> Any:
    """The module `samna.<chip>.event`."""
    path = f"samna.{chip}.event"
    return SimpleNamespace(**{name: type(name, (Event,), {"KINDS": kinds, "__module__": path}) for name, kinds in KINDS.items()})
