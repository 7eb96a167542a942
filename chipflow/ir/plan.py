"""What each core will hold: convolution, neurons, and where the spikes go. Integers only."""

from __future__ import annotations

from dataclasses import dataclass, field

from chipflow.ir.nodes import Array, Pair, Sensor, Shape


@dataclass(frozen=True)
class Link:
    """Where spikes go: one destination of a core.

    Attributes:
        target: name of the layer that reads them; `READOUT` for the readout block.
        pooling: coordinates are divided by it.
        shift: added to the feature.
    """

    target: str
    pooling: int = 1
    shift: int = 0


READOUT = ""
"""The target of a link to the readout block; no layer has this name."""


@dataclass(frozen=True)
class LayerShape:
    """One core's worth without its numbers: all that placing it depends on.

    Attributes:
        name: the user's layer.
        input_shape: (features, y, x) of the events that arrive.
        features: of its neurons.
        kernel_size: side of the square kernel, in pixels.
        stride, padding: (y, x), in pixels.
        has_bias: whether biases take bias memory.
        links: its destinations, in order.
        whole_map: the user's layer is a linear one, whose kernel would follow another map.
        feature_step: of `features`, only every so many-th is one of the user's layer.
    """

    name: str
    input_shape: tuple[int, int, int]
    features: int
    kernel_size: int
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    has_bias: bool = False
    links: tuple[Link, ...] = ()
    whole_map: bool = False
    feature_step: int = 1

    @property
    def users_features(self) -> int:
        """Features of the user's layer."""
        return (self.features - 1) // self.feature_step + 1

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(features, y, x) of the neuron map, before pooling; a side below 1 means that the kernel does not fit."""
        height, width = (
            (size + 2 * pad - self.kernel_size) // step + 1
            for size, pad, step in zip(self.input_shape[1:], self.padding, self.stride, strict=True)
        )
        return self.features, height, width


@dataclass(frozen=True)
class LayerPlan:
    """What one core will hold.

    Attributes:
        shape: name, sizes and destinations.
        neuron: the name of the spiking layer.
        weights: [f, c, k, k] integers; biases [f] integers or None.
        threshold_high, threshold_low, return_to_zero: of all its neurons.
        layer: the user's layer that this is, or is a part of.
        first_feature, feature_step: the core's feature n is feature (first_feature + n) / feature_step of `layer` where that is
            whole; others never fire.
    """

    shape: LayerShape
    neuron: str
    weights: Array
    biases: Array | None
    threshold_high: int
    threshold_low: int
    return_to_zero: bool
    layer: str
    first_feature: int = 0
    feature_step: int = 1

    @property
    def name(self) -> str:
        """Of the part: the user's layer's, with its features behind it where the layer is split."""
        return self.shape.name


@dataclass(frozen=True)
class SensorPlan:
    """The sensor's pre-processing, the map that enters it, and the layers that read it."""

    node: Sensor
    input_shape: Shape
    targets: tuple[str, ...]


@dataclass(frozen=True)
class NetworkPlan:
    """All cores' worth, and how events enter and leave.

    Attributes:
        layers: sources before targets.
        entries: for each input of the network, the layers that its events enter, in order.
        outputs: the user's layers whose spikes are the network's answer.
        sensor: the front end, where events come through it.
    """

    layers: tuple[LayerPlan, ...]
    entries: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    outputs: tuple[str, ...] = ()
    sensor: SensorPlan | None = None

    @property
    def shape(self) -> NetworkShape:
        """The same without numbers."""
        return NetworkShape(tuple(plan.shape for plan in self.layers), self.sensor.targets if self.sensor else ())


@dataclass(frozen=True)
class NetworkShape:
    """What placing a network depends on.

    Attributes:
        layers: sources before targets.
        sensor_targets: layers that read the sensor's pre-processing, which has as many destinations as a core; () where events are
            addressed to cores, as many as needed.
    """

    layers: tuple[LayerShape, ...]
    sensor_targets: tuple[str, ...] = ()
