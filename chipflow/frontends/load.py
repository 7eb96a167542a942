"""Whatever a user calls a model, as a graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chipflow.errors import UnsupportedModelError
from chipflow.frontends import sinabs
from chipflow.frontends.torch_fx import from_torch
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Iaf, Shape


def load(model: Any, input_shape: Shape | Mapping[str, Shape] | None = None, calibration: Any = None) -> Graph:
    """The graph of a chipflow `Network`, a torch module (spiking or with ReLUs, of sinabs too), a NIR graph or file.

    Args:
        model: a Network of chipflow or sinabs (its spiking model is read, and its input shape where none is given), an nn.Module, a
            `nir.NIRGraph`, the path of a NIR file, or a Graph, which is returned as it is.
        input_shape: (features, y, x) or (n,); by input where the network has several; a NIR graph and a DVSLayer have their own.
        calibration: images or recordings, which balance an ANN, see `chipflow.snn.from_model`; not used for a spiking model.

    Raises:
        UnsupportedModelError: no input shape, or layers that no core can do.
    """
    if isinstance(model, Graph):
        return model
    if isinstance(model, str | Path) or type(model).__module__.split(".")[0] == "nir":
        from chipflow.frontends.nir import from_nir

        return from_nir(model, _one(input_shape))
    if not hasattr(model, "named_modules"):
        raise UnsupportedModelError(
            f"the model is a {type(model).__name__}: give a torch module, a NIR graph or the path of a NIR file"
        )
    return _load_torch(model, input_shape, calibration)


def _load_torch(model: Any, input_shape: Shape | Mapping[str, Shape] | None, calibration: Any) -> Graph:
    from chipflow.snn import Network, from_model

    if isinstance(model, Network):
        return from_torch(model.spiking_model, _known(input_shape or model.input_shape))
    if sinabs.is_network(model):
        model, input_shape = model.spiking_model, input_shape or model.input_shape
    shape = _known(input_shape or sinabs.own_input_shape(model))
    graph = from_torch(model, shape)
    if calibration is None or any(isinstance(node, Iaf) for node in graph.nodes):
        return graph
    network = from_model(model, _one(shape), add_spiking_output=True, calibration=calibration)
    return from_torch(network.spiking_model, shape)


def _known(shape: Shape | Mapping[str, Shape] | None) -> Any:
    """The shape of one input, or of each."""
    if shape is None:
        raise UnsupportedModelError("input_shape is not known: give it as (features, y, x)")
    shapes = dict(shape) if isinstance(shape, Mapping) else {"input": shape}
    checked = {name: tuple(int(side) for side in given) for name, given in shapes.items()}
    for name, sides in checked.items():
        if len(sides) not in (1, 3) or min(sides) < 1:
            raise UnsupportedModelError(
                f"input_shape of {name!r} is {sides}: give (features, y, x), or (n,), in whole numbers from 1"
            )
    return checked if isinstance(shape, Mapping) else checked["input"]


def _one(shape: Shape | Mapping[str, Shape] | None) -> Shape | None:
    if isinstance(shape, Mapping):
        raise UnsupportedModelError("input_shape is a mapping: this model has one input, give (features, y, x)")
    return None if shape is None else tuple(shape)
