"""Plans and placement to a configuration. Takes no decision."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from chipflow.ir.plan import READOUT, LayerPlan, NetworkPlan, SensorPlan
from hwconfig import (
    ChipConfig,
    ChipSpec,
    CoreConfig,
    Destination,
    Dimensions,
    DvsDestination,
    DvsLayerConfig,
    Provenance,
    ReadoutConfig,
)


def emit(
    plan: NetworkPlan,
    placement: Mapping[str, int],
    chip: ChipSpec,
    monitor: Collection[str],
    provenance: Provenance,
    readout: ReadoutConfig | None = None,
) -> ChipConfig:
    """The chip's configuration.

    Args:
        plan: layers in the parts that are placed.
        placement: name of a part -> core.
        chip: whose cores these are.
        monitor: names of the parts whose spikes are reported.
        provenance: where it all came from.
        readout: of the readout block; None where it has nothing to count.
    """
    cores = {placement[layer.name]: _core(layer, placement, chip, layer.name in monitor) for layer in plan.layers}
    return ChipConfig(
        chip=chip,
        cnn_layers=cores,
        dvs_layer=_dvs_layer(plan.sensor, placement) if plan.sensor else DvsLayerConfig(),
        readout=readout or ReadoutConfig(),
        provenance=provenance,
    )


def _core(layer: LayerPlan, placement: Mapping[str, int], chip: ChipSpec, monitor: bool) -> CoreConfig:
    shape = layer.shape
    biases = np.zeros(shape.features, np.int16) if layer.biases is None else layer.biases
    ids = {READOUT: chip.layers.readout, **placement}
    return CoreConfig(
        layer_name=layer.name,
        dimensions=Dimensions(
            kernel_size=shape.kernel_size,
            stride=shape.stride,
            padding=shape.padding,
            input_shape=shape.input_shape,
            output_shape=shape.output_shape,
        ),
        weights=layer.weights,
        biases=biases,
        threshold_high=layer.threshold_high,
        threshold_low=layer.threshold_low,
        return_to_zero=layer.return_to_zero,
        leak_enable=bool(np.any(biases)),
        monitor_enable=monitor,
        destinations=tuple(
            Destination(layer=ids[link.target], pooling=link.pooling, feature_shift=link.shift) for link in shape.links
        ),
    )


def _dvs_layer(plan: SensorPlan, placement: Mapping[str, int]) -> DvsLayerConfig:
    sensor = plan.node
    rows, columns = sensor.region(plan.input_shape)
    return DvsLayerConfig(
        merge=sensor.merge or plan.input_shape[0] == 1,
        on_channel=sensor.on,
        off_channel=sensor.off,
        pooling=sensor.pooling,
        origin=(rows.start, columns.start),
        cut=(rows.stop - 1, columns.stop - 1),
        mirror=sensor.mirror,
        mirror_diagonal=sensor.swap,
        pass_sensor_events=sensor.pixels,
        destinations=tuple(DvsDestination(layer=placement[target]) for target in plan.targets),
    )
