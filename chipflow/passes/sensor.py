"""The sensor's front end: where events come through it, and what of the network it can do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Input, Sensor, Shape, SumPool2d
from chipflow.ir.rewrite import Rewrite
from hwconfig.chip import SensorSpec


@dataclass(frozen=True)
class LowerSensor:
    """Pooling directly behind the front end becomes part of it, if it has such a size; its destinations have none.

    Attributes:
        spec: of the chip's sensor.
    """

    spec: SensorSpec

    def __call__(self, graph: Graph) -> Graph:
        """The graph in which the front end pools, where all that reads it is pooled alike."""
        change = Rewrite(graph)
        for node in graph.nodes:
            if isinstance(node, Sensor):
                self._absorb(change, node)
        return change.done()

    def _absorb(self, change: Rewrite, sensor: Sensor) -> None:
        graph = change.graph
        readers = [graph[target] for target in graph.targets(sensor.name)]
        pools = [reader for reader in readers if type(reader) is SumPool2d]
        if not pools or len(pools) < len(readers) or len({pool.size for pool in pools}) > 1:
            return
        pooled = self._pooled(graph, sensor, pools[0])
        if pooled is not None:
            change.replace(pooled)
            for pool in pools:
                change.bypass(pool.name)

    def _pooled(self, graph: Graph, sensor: Sensor, pool: SumPool2d) -> Sensor | None:
        """The front end that also pools; None where that is not the same."""
        size = (pool.size[1], pool.size[0]) if sensor.swap else pool.size
        (source,) = graph.sources(sensor.name)
        region = sensor.region(graph.shapes[source])
        whole = [(part.start, part.stop - part.start) for part in region]
        pooling = (sensor.pooling[0] * size[0], sensor.pooling[1] * size[1])
        at_border = any(
            start % step or (length % step and mirrored)
            for (start, length), step, mirrored in zip(whole, size, sensor.mirror, strict=True)
        )
        if at_border or not set(pooling) <= set(self.spec.poolings):
            return None
        (y, height), (x, width) = whole
        return replace(sensor, pooling=pooling, origin=(y // size[0], x // size[1]), size=(height // size[0], width // size[1]))


def with_sensor(graph: Graph, sensor: Sensor, seen: Shape) -> Graph:
    """The graph whose only input is read through this front end.

    Args:
        graph: of a network that reads what the front end gives.
        sensor: what is done with events first.
        seen: (features, y, x) of the events that enter the front end.

    Raises:
        UnsupportedModelError: several inputs, another front end, or a network that reads another shape.
    """
    change = Rewrite(graph)
    if any(isinstance(node, Sensor) for node in graph.nodes) and sensor == Sensor():
        return graph  # the network has its own
    if len(graph.inputs) != 1 or any(isinstance(node, Sensor) for node in graph.nodes):
        change.refuse(graph.inputs[-1].name, "a sensor front end needs a network with one input, and none in the network itself")
        return change.done()
    change.replace(Input(graph.inputs[0].name, seen))
    change.insert_after(graph.inputs[0].name, replace(sensor, name=change.free_name(sensor.name)))
    return change.done()
