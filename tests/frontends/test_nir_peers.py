"""Other libraries' NIR: sinabs, both ways, and the file of the network that ran on silicon."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from chipflow.frontends.nir import from_nir, load, to_nir
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import interpret
from chipflow.ir.nodes import (
    Conv2d,
    Flatten,
    Iaf,
    Input,
    Linear,
    SumPool2d,
)
from chipflow.snn import IAF
from tests.emulator.silicon import data_folder
from tests.nmnist import INPUT_SHAPE, nmnist_network

nir = pytest.importorskip("nir", reason="nir is an extra: pip install -e '.[nir]'")


def sinabs_network(low: float | None, threshold: float) -> nn.Sequential:
    """Everything that sinabs exports and a core can do."""
    sl = pytest.importorskip("sinabs.layers", reason="sinabs is an extra: pip install -e '.[sinabs]'")
    torch.manual_seed(3)

    def iaf() -> nn.Module:
        return sl.IAFSqueeze(batch_size=1, min_v_mem=low, spike_threshold=torch.tensor(threshold))

    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=(2, 1)), iaf(), sl.SumPool2d(2),
        nn.Conv2d(4, 3, 3, bias=False, padding="same"), iaf(),
        nn.Flatten(), nn.Linear(24, 5), iaf(),
    )  # fmt: skip
    with torch.no_grad():
        for weight in (p for p in model.parameters() if p.ndim > 1):
            weight.mul_(2).add_(0.02)
    return model


@pytest.mark.filterwarnings("ignore:.*being deprecated in favour of:DeprecationWarning")
@pytest.mark.parametrize(("low", "threshold"), [(-1.0, 1.0), (-0.5, 0.75), (None, 1.0)])
def test_a_network_of_sinabs_spikes_as_in_sinabs(low: float | None, threshold: float) -> None:
    model = sinabs_network(low, threshold)
    import sinabs.nir

    raster = np.random.default_rng(1).poisson(0.5, (30, 2, 8, 8)).astype(np.float32)
    with torch.no_grad():
        exported = sinabs.nir.to_nir(model, torch.from_numpy(raster[:1]))
        for layer in model.modules():
            if hasattr(layer, "reset_states"):
                layer.reset_states()
        spikes = model(torch.from_numpy(raster)).numpy()
    graph = from_nir(exported, (2, 8, 8), min_v_mem=low)
    assert set(graph.names) == {"input", *map(str, range(8))}
    assert spikes.sum() > 20
    np.testing.assert_allclose(interpret(graph, raster)["7"], spikes, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*being deprecated in favour of:DeprecationWarning")
def test_sinabs_reads_what_is_written() -> None:
    sinabs_nir = pytest.importorskip("sinabs.nir", reason="sinabs is an extra: pip install -e '.[sinabs]'")
    rng = np.random.default_rng(4)
    graph = Graph.chain(
        [
            Input("input", (2, 8, 8)),
            Conv2d("conv", rng.normal(0.1, 0.3, (3, 2, 3, 3)), None, (1, 1), (1, 1)),
            Iaf("if", 1.0, -1.0),  # as sinabs reads every IF
            SumPool2d("pool", (2, 2)),
            Flatten("flat"),
            Linear("fc", rng.normal(0.05, 0.2, (4, 48)), rng.normal(0, 0.1, 4)),
            Iaf("out", 1.0, -1.0),
        ]
    )
    raster = rng.poisson(0.5, (20, 2, 8, 8)).astype(np.float64)
    model = sinabs_nir.from_nir(to_nir(graph), batch_size=1)
    with torch.no_grad():
        answer = model(torch.from_numpy(raster).float())
    spikes = (answer[0] if isinstance(answer, tuple) else answer).numpy()
    assert spikes.sum() > 20
    np.testing.assert_allclose(interpret(graph, raster)["out"], spikes, rtol=1e-5)


def test_the_network_of_the_silicon() -> None:
    """As the torch network that is built from the same file by hand."""
    path = data_folder("silicon") / "cnn_sinabs.nir"
    graph = load(path, INPUT_SHAPE)
    assert graph.outputs == ("12",)
    assert {(node.threshold, node.lower_bound) for node in graph.nodes if isinstance(node, Iaf)} == {(1.0, -1.0)}
    raster = np.random.default_rng(0).poisson(0.3, (8, *INPUT_SHAPE)).astype(np.float64)
    with torch.no_grad():
        spikes = nmnist_network(path, lambda: IAF(num_timesteps=8)).double()(torch.from_numpy(raster)).numpy()
    assert spikes.sum() > 20
    np.testing.assert_allclose(interpret(graph, raster)["12"], spikes, rtol=1e-5)
    assert from_nir(to_nir(graph)) == graph
