"""Which neurons of which cores are traced, from layers and their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chipflow.backends.base import Runnable
from chipflow.backends.layers import cores_of
from chipflow.emulator.options import Neuron
from chipflow.events.result import LayerPart
from hwconfig import ChipConfig

Trace = Mapping[str | int, Sequence[Neuron]]
"""For layer names or core ids, neurons (feature, y, x)."""


def traced(runnable: Runnable, trace: Trace) -> dict[int, tuple[Neuron, ...]]:
    """Neurons of each core; a layer's neurons are looked for in the core that has their feature.

    Raises:
        DeviceError: a layer that does not exist.
    """
    found: dict[int, tuple[Neuron, ...]] = {}
    for layer, neurons in trace.items():
        cores = cores_of(runnable, layer, "trace")
        parts = runnable.parts.get(layer, ()) if isinstance(layer, str) else ()
        for neuron in neurons:
            core, own = _located(runnable.config, parts, neuron) if parts else (cores[0], neuron)
            found[core] = (*found.get(core, ()), own)
    return found


def _located(config: ChipConfig, parts: tuple[LayerPart, ...], neuron: Neuron) -> tuple[int, Neuron]:
    """The core that has a layer's neuron, and the neuron there; the last core where none has, which will refuse it."""
    feature, y, x = neuron
    for part in parts:
        own = int(feature) * part.step - part.first
        if 0 <= own < config.core(part.core).dimensions.output_shape[0]:
            return part.core, (own, y, x)
    return parts[-1].core, neuron
