"""Recordings that a user gives to a pass: rasters of spike counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from chipflow.errors import QuantizationError
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import Values
from chipflow.ir.nodes import Input


def checked_recordings(graph: Graph, recordings: Sequence[Any]) -> list[dict[str, Values]]:
    """Rasters by the name of the input. A vector is taken for a map of one pixel.

    Raises:
        QuantizationError: none, of another shape, not numbers, or for other inputs.
    """
    if not len(recordings):
        raise QuantizationError("recordings are empty: give at least one raster [time, features, y, x], or None.")
    return [_by_input(graph, i, recording) for i, recording in enumerate(recordings)]


def _by_input(graph: Graph, i: int, recording: Any) -> dict[str, Values]:
    names = [node.name for node in graph.inputs]
    rasters = cast("Mapping[str, Any]", recording) if isinstance(recording, Mapping) else {names[0]: recording}
    if sorted(rasters) != sorted(names):
        raise QuantizationError(f"recording {i} is for inputs {sorted(rasters)}, the network has {names}.")
    found = {node.name: _raster(i, node, rasters[node.name]) for node in graph.inputs}
    steps = {len(raster) for raster in found.values()}
    if len(steps) > 1:
        raise QuantizationError(f"recording {i} has inputs of {sorted(steps)} time steps; give all the same number.")
    return found


def _raster(i: int, node: Input, given: Any) -> Values:
    raster = np.asarray(given, dtype=np.float64)
    if (*raster.shape[1:], 1, 1) == node.shape:
        raster = raster.reshape(len(raster), *node.shape)
    if raster.ndim == 0 or raster.shape[1:] != node.shape:
        wanted = ", ".join(map(str, node.shape))
        raise QuantizationError(f"recording {i} has shape {raster.shape}, the network reads [time, {wanted}].")
    if not len(raster) or not np.isfinite(raster).all():
        raise QuantizationError(f"recording {i} has {'values that are not finite' if len(raster) else 'no time steps'}.")
    return raster
