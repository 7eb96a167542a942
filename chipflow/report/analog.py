"""The analog network that a spiking one was made from, on recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.errors import UnsupportedModelError
from chipflow.events.array import EventArray, events_to_raster, outside
from chipflow.frontends.load import load
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import evaluate, interpret
from chipflow.ir.nodes import Iaf, Input, Sensor


@dataclass(frozen=True, eq=False)
class AnalogNetwork:
    """An analog network on the mean input of a time step.

    Attributes:
        graph: of the network.
        gain: how many times larger its input is than the mean input of a time step.
        entrance: the program's input, and the sensor's front end behind it if there is one.
    """

    graph: Graph
    gain: float
    entrance: tuple[Input, Sensor | None]

    def answer(self, events: EventArray, step_us: int, duration: int) -> npt.NDArray[np.float64]:
        """Its output by feature.

        Args:
            events: a recording; those outside the input map are not counted.
            step_us: length of a time step in microseconds.
            duration: in microseconds, whole steps.
        """
        given, sensor = self.entrance
        shape = (given.shape[0], given.shape[1], given.shape[2])
        whole = events_to_raster(events[~outside(events, shape)], shape, duration, duration)
        mean = self.gain * whole * step_us / duration
        read = mean if sensor is None else evaluate(sensor, mean)
        output = interpret(self.graph, read)[self.graph.outputs[-1]][0]
        return output.reshape(len(output), -1).sum(axis=1)


def analog_network(model: Any, graph: Graph, shape: Any) -> AnalogNetwork | None:
    """The analog network in a model; None where the model is a spiking one, or has several inputs.

    Args:
        model: a `chipflow.Network`, or whatever `chipflow.compile` takes.
        graph: of the program.
        shape: of what the model reads.
    """
    analog = getattr(model, "analog_model", model)
    entrance = _entrance(graph)
    if entrance is None or not hasattr(analog, "named_modules"):
        return None
    try:
        found = load(analog, shape)
    except UnsupportedModelError:  # what `from_model` left as it was, or a spiking network of another library
        return None
    if any(isinstance(node, Iaf) for node in found.nodes):
        return None
    return AnalogNetwork(found, float(getattr(model, "bias_rescaling", 1.0)), entrance)


def _entrance(graph: Graph) -> tuple[Input, Sensor | None] | None:
    """The only input, if it is a map, and the sensor's front end."""
    sensors = [node for node in graph.nodes if isinstance(node, Sensor)]
    (given, *others) = graph.inputs
    if others or len(given.shape) != 3:
        return None
    return given, sensors[0] if sensors else None
