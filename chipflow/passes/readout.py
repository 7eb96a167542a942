"""The layer whose spikes the readout block counts, with its features where the block looks for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chipflow.errors import CompileError
from chipflow.ir.nodes import Array
from chipflow.ir.plan import READOUT, LayerPlan, NetworkPlan
from hwconfig.chip import ChipSpec


@dataclass(frozen=True)
class WidenForReadout:
    """On chips with the erratum feature n of the last layer becomes feature n * step: class n + 1 of the block reads that one.

    Source: sinabs' page on errata of the chips; `chip.readout.feature_stride`.
    """

    chip: ChipSpec

    def __call__(self, plan: NetworkPlan) -> NetworkPlan:
        """The plan in which the layer that sends to the block has a feature for every class's address.

        Raises:
            CompileError: no readout block, several output layers, more features than classes, or a layer that others read too.
        """
        name = _only_output(plan, self.chip)
        widened = [_widened(layer, self.chip.readout.feature_stride) if layer.name == name else layer for layer in plan.layers]
        return replace(plan, layers=tuple(widened))


def _only_output(plan: NetworkPlan, chip: ChipSpec) -> str:
    senders = [layer for layer in plan.layers if any(link.target == READOUT for link in layer.shape.links)]
    names = ", ".join(layer.name for layer in senders)
    if not chip.features.readout:
        raise CompileError(f"readout is asked for, but {chip.name} has no readout block: leave readout=False and count spikes")
    if len(senders) != 1:
        raise CompileError(f"readout needs a network with one output layer, this one has {len(senders)} ({names})")
    (layer,) = senders
    if layer.shape.features > chip.readout.classes:
        raise CompileError(
            f"layer {layer.name!r} has {layer.shape.features} features, the readout block of {chip.name} has {chip.readout.classes} classes"
        )
    if len(layer.shape.links) > 1 and chip.readout.feature_stride > 1:
        raise CompileError(
            f"layer {layer.name!r} sends to the readout block and to {layer.shape.links[0].target!r}, but its features have to be moved "
            f"for the block ({chip.name} has the erratum readout-channel-map): give the block a layer of its own"
        )
    return layer.name


def _widened(layer: LayerPlan, step: int) -> LayerPlan:
    features = (layer.shape.features - 1) * step + 1
    return replace(
        layer,
        shape=replace(layer.shape, features=features, feature_step=step),
        weights=_spread(layer.weights, features, step),
        biases=None if layer.biases is None else _spread(layer.biases, features, step),
        feature_step=step,
    )


def _spread(values: Array, features: int, step: int) -> Array:
    wide = np.zeros((features, *values.shape[1:]), values.dtype)
    wide[::step] = values
    return wide
