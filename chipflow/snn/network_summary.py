"""A spiking model as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chipflow.snn.analog_activations import analog_activations
from chipflow.snn.neuron_options import threshold_of
from chipflow.snn.stateful import StatefulLayer
from chipflow.snn.trace import sharing_copy
from chipflow.tables import table

HEADER = ("layer", "kind", "output", "parameters", "neurons", "threshold", "scale")


NOT_SPIKING = "not spiking"


@dataclass(frozen=True)
class LayerRow:
    """One layer of a spiking model.

    Attributes:
        name: dotted name.
        kind: its class.
        output_shape: of one sample in one time step; None if not known.
        parameters: that no layer above has, too.
        is_neurons: whether it has states.
        threshold: of neurons that spike; None for others, and where it is not one number.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...] | None
    parameters: int
    is_neurons: bool
    threshold: float | None

    @property
    def neurons(self) -> int | None:
        """How many; None for other layers, or if the shape is not known."""
        return math.prod(self.output_shape) if self.is_neurons and self.output_shape is not None else None


def summary_of(model: nn.Module, input_shape: tuple[int, ...] | None, scales: Mapping[str, float]) -> str:
    """The table of `Network.summary`; layers stand in the order in which they run if the shape of a sample is known."""
    rows = list(_rows(model, {} if input_shape is None else _output_shapes(model, input_shape)))
    modules = dict(_layers(model))
    analog = analog_activations([(row.name, modules[row.name]) for row in rows])
    cells = [
        (row.name, row.kind, _shape(row.output_shape), f"{row.parameters:,}",
         NOT_SPIKING if row.name in analog else _number(row.neurons), _number(row.threshold), _number(scales.get(row.name)))
        for row in rows
    ]  # fmt: skip
    neurons = [row.neurons for row in rows if row.is_neurons]
    total = None if None in neurons else sum(number or 0 for number in neurons)
    cells.append(("total", "", "", f"{sum(row.parameters for row in rows):,}", _number(total), "", ""))
    shape = "unknown" if input_shape is None else _shape(input_shape)
    names = ", ".join(f"'{name}'" for name in analog)
    note = f"\nNot spiking: {names}. Only ReLUs become neurons." if analog else ""
    return table(f"{type(model).__name__}, input {shape}", HEADER, cells) + note


def _rows(model: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[LayerRow]:
    layers = dict(_layers(model))
    counted: set[int] = set()
    for name in sorted(layers, key=lambda name: list(shapes).index(name) if name in shapes else len(shapes)):
        layer = layers[name]
        is_neurons = isinstance(layer, StatefulLayer)
        sizes = {
            id(parameter): parameter.numel() for parameter in layer.parameters(recurse=is_neurons) if id(parameter) not in counted
        }
        counted.update(sizes)
        threshold = threshold_of(layer) if is_neurons else None
        yield LayerRow(name, type(layer).__name__, shapes.get(name), sum(sizes.values()), is_neurons, threshold)


def _layers(model: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Layers with states, modules without children, and what else has parameters of its own."""
    children = [] if isinstance(model, StatefulLayer) else list(model.named_children())
    if not children or next(model.parameters(recurse=False), None) is not None:
        yield name, model
    for child_name, child in children:
        yield from _layers(child, f"{name}.{child_name}".lstrip("."))


def _output_shapes(model: nn.Module, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Of one sample in one time step, by layer name, in the order in which the layers run."""
    copied = sharing_copy(model).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in _layers(copied):

        def note(layer: nn.Module, args: Any, output: Any, name: str = name) -> None:
            if isinstance(output, Tensor):
                shapes.setdefault(name, tuple(output.shape[1:]))

        layer.register_forward_hook(note)
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    with torch.no_grad():
        copied(torch.zeros((1, 1, *input_shape)).to(like))
    return shapes


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else " x ".join(map(str, shape))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
