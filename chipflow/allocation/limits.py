"""The chip's limits before any placement, by hwconfig's own rules."""

from __future__ import annotations

from chipflow.allocation.problem import Problem
from chipflow.ir.plan import LayerShape
from hwconfig.core_config import Dimensions
from hwconfig.rules import check_sensor_targets, check_shape
from hwconfig.shapes import CoreShape, ShapeDestination
from hwconfig.violations import Violation


def limits_broken(problem: Problem) -> tuple[tuple[str, Violation], ...]:
    """What no core of the chip could meet: the layer, "" for the sensor, and the violation."""
    network, chip = problem.network, problem.chip
    sensor = check_sensor_targets(len(network.sensor_targets), chip).errors
    known = problem.memo.limits
    for layer in network.layers:
        if layer not in known:
            known[layer] = check_shape(core_shape(layer), chip, f"layer {layer.name!r}").errors
    layers = [(layer.name, violation) for layer in network.layers for violation in known[layer]]
    return (*(("", violation) for violation in sensor), *layers)


def core_shape(layer: LayerShape) -> CoreShape:
    """A layer as the rules see it."""
    size = Dimensions(
        kernel_size=layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        input_shape=layer.input_shape,
        output_shape=layer.output_shape,
    )
    return CoreShape(size, tuple(ShapeDestination(link.target, link.pooling, link.shift) for link in layer.links))
