"""Floats to integers, one scale per layer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Literal

from chipflow.errors import QuantizationError
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Conv2d, Iaf, Node
from chipflow.quantization import LayerScale, quantize_layer
from hwconfig.chip import Limits

Mode = Literal["default", "sinabs"]


@dataclass(frozen=True)
class Quantize:
    """Multiplies weights, biases, threshold and lower bound of a layer by one scale and rounds (chipflow.quantization)."""

    limits: Limits
    mode: Mode = "default"

    def __call__(self, graph: Graph) -> tuple[Graph, dict[str, LayerScale]]:
        """The integer graph, and for each weighted layer what became of its numbers.

        Raises:
            QuantizationError: layers that cannot fire any more, all of them.
        """
        nodes = list(graph.nodes)
        kept: list[Node] = list(nodes)
        records: dict[str, LayerScale] = {}
        refusals: list[str] = []
        for i, (conv, neuron) in enumerate(itertools.pairwise(nodes)):
            if not (isinstance(conv, Conv2d) and isinstance(neuron, Iaf)):
                continue
            try:
                kept[i], kept[i + 1], records[conv.name] = self._layer(conv, neuron)
            except QuantizationError as error:
                refusals.append(str(error))
        if refusals:
            raise QuantizationError("\n".join(refusals))
        return Graph.chain(kept), records

    def _layer(self, conv: Conv2d, neuron: Iaf) -> tuple[Node, Node, LayerScale]:
        layer = quantize_layer(
            conv.weight,
            conv.bias,
            neuron.threshold,
            neuron.lower_bound,
            mode=self.mode,
            weight_bits=self.limits.weight_bits,
            state_bits=self.limits.state_bits,
            name=conv.name,
        )
        quantised = replace(conv, weight=layer.weights, bias=layer.biases)
        return quantised, replace(neuron, threshold=layer.threshold, lower_bound=layer.lower_bound), layer.record
