"""Plans and placement to a configuration. Takes no decision."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from chipflow.ir.plan import LayerPlan
from hwconfig import ChipConfig, ChipSpec, CoreConfig, Destination, Dimensions, Provenance


def emit(
    plans: Sequence[LayerPlan],
    placement: Mapping[str, int],
    chip: ChipSpec,
    monitor: Collection[str],
    provenance: Provenance,
) -> ChipConfig:
    """The chip's configuration; `monitor` names the layers whose spikes are reported."""
    cores = {placement[plan.name]: core_config(plan, placement, plan.name in monitor) for plan in plans}
    return ChipConfig(chip=chip, cnn_layers=cores, provenance=provenance)


def core_config(plan: LayerPlan, placement: Mapping[str, int] | None = None, monitor: bool = False) -> CoreConfig:
    """One core; without a placement it has no destinations, and can be judged by the rules about single cores."""
    features, size = plan.output_shape[0], int(plan.weights.shape[-1])
    biases = np.zeros(features, np.int16) if plan.biases is None else plan.biases
    destinations = tuple(Destination(layer=placement[name] if placement else 0, pooling=pool) for name, pool in plan.targets)
    return CoreConfig(
        layer_name=plan.name,
        dimensions=Dimensions(
            kernel_size=size,
            stride=plan.stride,
            padding=plan.padding,
            input_shape=_triple(plan.input_shape),
            output_shape=_triple(plan.output_shape),
        ),
        weights=plan.weights,
        biases=biases,
        threshold_high=plan.threshold_high,
        threshold_low=plan.threshold_low,
        return_to_zero=plan.return_to_zero,
        leak_enable=bool(np.any(biases)),
        monitor_enable=monitor,
        destinations=destinations,
    )


def _triple(shape: tuple[int, ...]) -> tuple[int, int, int]:
    features, height, width = shape
    return features, height, width
