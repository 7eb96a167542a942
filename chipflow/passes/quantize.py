"""Floats to integers, one scale per layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chipflow.errors import QuantizationError
from chipflow.ir.graph import Graph
from chipflow.ir.rewrite import Rewrite
from chipflow.passes.agreement import (
    Lane,
    Layer,
    Maps,
    displacement,
    displacement_of,
    run_beside,
    weighted_layers,
)
from chipflow.passes.recordings import checked_recordings
from chipflow.quantization import Agreement, LayerScale, Measure, Mode, QuantizedLayer, quantize_layer
from hwconfig.chip import Limits

__all__ = ["Mode", "Quantize"]

Quantised = dict[str, tuple[Layer, LayerScale]]
"""Layers in integers, and how they came about, by the convolution's name."""


@dataclass(frozen=True)
class Quantize:
    """Multiplies weights, biases, threshold and lower bound of a layer by one scale and rounds (chipflow.quantization).

    Attributes:
        limits: of the chip, for the widths of the integers.
        mode: how scales are chosen.
        recordings: rasters [time, *input shape] of spike counts, one for each sample (a mapping by the name of the input where the network
            has several). With them, each layer's record tells how far its spikes agree with the float network's, and mode "search" makes
            them agree: layer by layer, and as a whole, since the default scales stay if they displace the network's outputs less.
    """

    limits: Limits
    mode: Mode = "default"
    recordings: Sequence[Any] | None = field(default=None, compare=False)

    def __call__(self, graph: Graph) -> tuple[Graph, dict[str, LayerScale]]:
        """The integer graph, and for each weighted layer what became of its numbers.

        Raises:
            QuantizationError: layers that cannot fire any more, all of them; recordings that do not fit the network.
        """
        quantised = self._all_layers(graph, self.mode)
        if self.recordings is not None and quantised:
            quantised = self._compared(graph, quantised, self.recordings)
        change = Rewrite(graph)
        for layer, _ in quantised.values():
            for node in layer:
                change.replace(node)
        return change.done(), {name: record for name, (_, record) in quantised.items()}

    def _all_layers(self, graph: Graph, mode: Mode) -> Quantised:
        """By their numbers alone."""
        done: Quantised = {}
        refusals: list[str] = []
        for name, layer in weighted_layers(graph).items():
            try:
                done[name] = self._layer(layer, mode)
            except QuantizationError as error:
                refusals.append(str(error))
        if refusals:
            raise QuantizationError("\n".join(refusals))
        return done

    def _layer(self, layer: Layer, mode: Mode, measure: Measure | None = None) -> tuple[Layer, LayerScale]:
        conv, neuron = layer
        result = quantize_layer(
            conv.weight,
            conv.bias,
            neuron.threshold,
            neuron.lower_bound,
            mode=mode,
            weight_bits=self.limits.weight_bits,
            state_bits=self.limits.state_bits,
            name=conv.name,
            measure=measure,
        )
        return _in_integers(layer, result), result.record

    def _compared(self, graph: Graph, quantised: Quantised, recordings: Sequence[Any]) -> Quantised:
        """With each layer's agreement with the float network, and for mode "search" with the scales that agree best."""
        rasters = checked_recordings(graph, recordings)
        default = quantised if self.mode == "default" else self._default(graph)

        def chosen(layer: Layer, inputs: Maps, wanted: Maps) -> Layer:
            name = layer[0].name
            if self.mode == "search":
                quantised[name] = self._searched(layer, inputs, wanted)
            return quantised[name][0]

        versions = [chosen]
        if default is not None and self.mode != "default":
            versions.append(lambda layer, inputs, wanted: default[layer[0].name][0])
        floats, lane, *others = run_beside(graph, rasters, versions)
        plain = lane if self.mode == "default" else next(iter(others), None)
        if self.mode == "search" and default is not None and plain is not None:
            found, before = (_at_outputs(graph, other, floats) for other in (lane, plain))
            if found > before:
                note = f"default scale kept: after the search, outputs would be displaced by {found} spikes x steps, not {before}"
                return _recorded(default, plain, plain, rasters, (note,))
        return _recorded(quantised, lane, plain, rasters)

    def _default(self, graph: Graph) -> Quantised | None:
        try:
            return self._all_layers(graph, "default")
        except QuantizationError:
            return None

    def _searched(self, layer: Layer, inputs: Maps, wanted: Maps) -> tuple[Layer, LayerScale]:
        def measure(result: QuantizedLayer, enough: float) -> float:
            return displacement_of(_in_integers(layer, result), inputs, wanted, enough)

        return self._layer(layer, "search", measure)


def _at_outputs(graph: Graph, lane: Lane, floats: Lane) -> int:
    """How far the network's outputs are displaced; a convolution that is one, which no core can do, has no spikes."""
    return sum(displacement(lane.values[name], floats.values[name]) for name in graph.outputs if name in lane.values)


def _in_integers(layer: Layer, result: QuantizedLayer) -> Layer:
    conv, neuron = layer
    return (
        replace(conv, weight=result.weights, bias=result.biases),
        replace(neuron, threshold=result.threshold, lower_bound=result.lower_bound),
    )


def _recorded(
    quantised: Quantised, lane: Lane, plain: Lane | None, rasters: Sequence[Mapping[str, Any]], notes: tuple[str, ...] = ()
) -> Quantised:
    """The layers with their agreement in their records."""
    steps = sum(len(next(iter(raster.values()))) for raster in rasters)
    done: Quantised = {}
    for name, (layer, record) in quantised.items():
        tally = lane.tallies[name]
        agreement = Agreement(
            recordings=len(rasters),
            steps=steps,
            spikes=tally.spikes,
            found=tally.found,
            default=None if plain is None else plain.tallies[name].found,
            silent_features=tally.silent_features,
            busy_features=tally.busy_features,
        )
        done[name] = layer, replace(record, notes=(*record.notes, *notes), agreement=agreement)
    return done
