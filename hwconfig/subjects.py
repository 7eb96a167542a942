"""What reports and differences are about, in words."""

from __future__ import annotations

SENSOR, FILTER, READOUT = "the sensor", "the event filter", "the readout block"


def core_words(core_id: int, layer: str) -> str:
    """'core 3 (conv2)', or 'core 3' where the layer has no name."""
    return f"core {core_id} ({layer})" if layer else f"core {core_id}"
