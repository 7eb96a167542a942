"""The numbers of a program's cores before they were rounded, from the model's graph in floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator.time_steps_numbers import CoreNumbers, Floats
from chipflow.errors import CompileError
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Conv2d, Iaf
from chipflow.program import LayerRecord, Program
from hwconfig import CoreConfig

HALF = 0.5 + 1e-6  # what rounding may change, and the last bits of a product


def float_numbers(program: Program, graph: Graph) -> dict[int, CoreNumbers]:
    """By core id.

    Args:
        program: compiled from the model.
        graph: of the model, as `chipflow.compiler.lower` returns it.

    Raises:
        CompileError: the graph is not the one that the program was compiled from: times the program's scales it does not round to the
            program's integers.
    """
    numbers: dict[int, CoreNumbers] = {}
    for record in program.layers:
        found = _of_core(record, program.config.core(record.core), graph)
        _check(record, program.config.core(record.core), found)
        numbers[record.core] = found
    return numbers


def _of_core(record: LayerRecord, part: CoreConfig, graph: Graph) -> CoreNumbers:
    name = record.layer or record.name
    if name not in graph:
        raise CompileError(f"the model has no layer {name!r}, which the program has: give the model that was compiled")
    conv, neurons = graph[name], [graph[target] for target in graph.targets(name)]
    if not isinstance(conv, Conv2d) or len(neurons) != 1 or not isinstance(neurons[0], Iaf):
        raise CompileError(
            f"layer {name!r} of the model is no convolution with neurons behind it: give the model that was compiled, lowered"
        )
    biases = np.zeros(len(conv.weight)) if conv.bias is None else conv.bias
    low = neurons[0].lower_bound
    return CoreNumbers(
        weights=_features(conv.weight, record, part),
        biases=_features(biases, record, part),
        threshold=float(neurons[0].threshold),
        lower_bound=-np.inf if low is None else float(low),
        initial=np.asarray(part.neurons_initial_value) / record.quantization.scale,
    )


def _features(values: npt.NDArray[Any], record: LayerRecord, part: CoreConfig) -> Floats:
    """A layer's values as the core holds them: some of its features, or with features between them that never fire."""
    features = part.dimensions.output_shape[0]
    found = np.zeros((features, *values.shape[1:]))
    mine = slice(-record.first_feature % record.feature_step, features, record.feature_step)
    first = -(-record.first_feature // record.feature_step)
    chosen = values[first : first + len(range(features)[mine])]
    found[mine][: len(chosen)] = chosen
    return found


def _check(record: LayerRecord, part: CoreConfig, found: CoreNumbers) -> None:
    """The integers must be the floats times the scale, rounded; but for weights beyond the range, which became its end."""
    if found.weights.shape != part.weights.shape:
        raise CompileError(
            f"layer {record.name!r} has weights {part.weights.shape} in the program and {found.weights.shape} in the model: "
            "give the model that was compiled"
        )
    limits = np.iinfo(np.int8)
    scale, unlimited = record.quantization.scale, (-np.inf, np.inf)
    _check_rounds(record, "weight", found.weights, part.weights, scale, (limits.min, limits.max))
    _check_rounds(record, "bias", found.biases, part.biases, scale, unlimited)
    _check_rounds(record, "threshold", np.array([found.threshold]), np.array([part.threshold_high]), scale, unlimited)


def _check_rounds(
    record: LayerRecord, what: str, floats: Floats, integers: npt.NDArray[Any], scale: float, limits: tuple[float, float]
) -> None:
    scaled = floats * scale
    wrong = np.abs(np.clip(scaled, *limits) - integers) > HALF
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise CompileError(
            f"layer {record.name!r}: {what} {place} is {floats[place]:.6g} in the model, {scaled[place]:.6g} times the program's scale, but "
            f"{integers[place]} in the program ({np.count_nonzero(wrong)} of {wrong.size} differ): give the model that was compiled"
        )
