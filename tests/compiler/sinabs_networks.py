"""The networks of sinabs' own tests for its chip backend, written anew, as modules of sinabs.

`NETWORKS` says which of sinabs' test files (of its source distribution, version 3.1.3, folder `tests`) each one corresponds to, and
`LEFT_OUT` which of these files have none, and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.compiler.sinabs_modules import (
    DVSLayer,
    batchnorm,
    complex_graph,
    deep,
    discretized,
    doorbell,
    flatten_linear,
    leaking,
    mnist,
    one_kernel_of_all,
    one_neuron,
    residual,
    sensor,
    sequential_long,
    sequential_short,
    sinabs,
    sl,
    small_mnist,
    split_and_merge,
    strided,
    two_branches_merging,
    two_networks,
    two_pools,
)

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Network:
    """One network of sinabs' tests.

    Attributes:
        source: the files of `FILES` that have it, and behind a colon the test in the file.
        build: makes it.
        input_shape: (features, y, x).
        sensor: events come through the sensor's front end (in sinabs: dvs_input=True), which then is not part of the module.
    """

    source: str
    build: Callable[[], Any]
    input_shape: Shape
    sensor: bool = False


_CASES, _DVS = "test_dynapcnn/individual_cases:", "test_dynapcnn/dvs_input:"
_CROP = {"crop": ((20, 62), (12, 32)), "pool": (1, 2), "size": 128}

NETWORKS: dict[str, Network] = {
    "sequential_short": Network("test_dynapcnnnetwork/model_dummy_seq", sequential_short, (2, 30, 30)),
    "sequential_long": Network("test_dynapcnnnetwork/model_dummy_seq", sequential_long, (2, 30, 30)),
    "residual": Network("test_dynapcnnnetwork/model_dummy_1", residual, (2, 34, 34)),
    "split_and_merge": Network(
        "test_dynapcnnnetwork/model_dummy_2, test_dynapcnnlayer/model_dummy_2, test_graph_extractor/model_dummy_2",
        split_and_merge,
        (2, 34, 34),
    ),
    "two_branches_merging": Network(
        "test_dynapcnnnetwork/model_dummy_3, test_dynapcnnlayer/model_dummy_3, test_graph_extractor/model_dummy_3",
        two_branches_merging,
        (2, 34, 34),
    ),
    "complex_graph": Network("test_dynapcnnnetwork/model_dummy_4", complex_graph, (2, 34, 34)),
    "two_networks": Network("test_dynapcnnnetwork/model_dummy_5", two_networks, (2, 34, 34)),
    "deep_1": Network("test_dynapcnn/large_net, test_dynapcnn/learning", deep(1), (2, 128, 128)),
    "deep_2": Network("test_dynapcnn/large_net", deep(2), (2, 128, 128)),
    "deep_12": Network("test_dynapcnn/large_net", deep(12), (2, 128, 128)),
    "deep_sensor": Network("test_dynapcnn/monitoring", deep(8), (2, 128, 128), sensor=True),
    "doorbell": Network("test_dynapcnn/doorbell", doorbell, (2, 64, 64)),
    "mnist": Network(
        "test_dynapcnn/config_making, test_dynapcnn/auto_mapping, test_dynapcnn/device_movement", mnist, (1, 28, 28)
    ),
    "small_mnist": Network("test_dynapcnn/config_making", small_mnist, (1, 28, 28)),
    "one_neuron": Network("test_dynapcnn/single_neuron_hardware", one_neuron, (1, 1, 1)),
    "with_class": Network(f"{_CASES} with_class", strided(), (2, 16, 16)),
    "initial_pooling": Network(
        f"{_CASES} initial_pooling, with_sinabs_batch", strided(nn.AvgPool2d((2, 1), (2, 1))), (2, 16, 16)
    ),
    "initial_sumpooling": Network(f"{_CASES} initial_sumpooling", strided(sl.SumPool2d((2, 1), (2, 1))), (2, 16, 16)),
    "initial_pooling_sensor": Network(
        f"{_CASES} initial_pooling", strided(nn.AvgPool2d((2, 1), (2, 1))), (2, 16, 16), sensor=True
    ),
    "pooling_consolidation": Network(
        f"{_CASES} pooling_consolidation", two_pools(nn.AvgPool2d(2, 2), nn.AvgPool2d(2, 2)), (2, 16, 16)
    ),
    "sumpooling_consolidation": Network(
        f"{_CASES} sumpooling_consolidation", two_pools(sl.SumPool2d(2, 2), sl.SumPool2d(2, 2)), (2, 16, 16)
    ),
    "different_sides": Network(f"{_CASES} different_xy_input", two_pools(nn.AvgPool2d(2, 2), bias=False), (2, 16, 32)),
    "bias_and_none": Network(f"{_CASES} bias_nobias", two_pools(nn.AvgPool2d(2, 2)), (2, 16, 32)),
    "batchnorm": Network(f"{_CASES} batchnorm_after_conv", batchnorm, (2, 16, 16)),
    "flatten_linear": Network(f"{_CASES} flatten_linear", flatten_linear, (2, 16, 16)),
    "leaking": Network("test_dynapcnn/neuron_leak", leaking, (1, 64, 64), sensor=True),
    "discretized": Network("test_dynapcnn/discretized", discretized, (2, 32, 32)),
    "no_pooling_sensor": Network(f"{_DVS} no_pooling, test_dynapcnn/speck2e", strided(), (2, 16, 16), sensor=True),
    "pooled_behind_sensor": Network(f"{_DVS} pooling_2d", sensor(nn.AvgPool2d((2, 4))), (2, 16, 16)),
    "pooled_sensor": Network(f"{_DVS} pooling_2d", strided(nn.AvgPool2d((2, 4))), (2, 16, 16), sensor=True),
    "cropped": Network(f"{_DVS} crop", sensor(**_CROP), (2, 128, 128)),
    "cropped_and_merged": Network(
        f"{_DVS} crop", sensor(**_CROP, channels=1, merge_polarities=True, disable_pixel_array=False), (2, 128, 128)
    ),
    **{
        f"mirrored_{x:d}{y:d}{swap:d}": Network(f"{_DVS} mirroring", sensor(flip_x=x, flip_y=y, swap_xy=swap), (2, 16, 16))
        for x in (False, True)
        for y in (False, True)
        for swap in (False, True)
    },
    "sensor_alone": Network(f"{_CASES} no_conv_layers", lambda: nn.Sequential(DVSLayer((10, 10))), (2, 10, 10)),
    "one_kernel_of_all": Network(f"{_DVS} whether_dvs_mirror_cfg_is_all_switched_off", one_kernel_of_all(), (1, 128, 128)),
    "one_kernel_of_all_sensor": Network(
        f"{_DVS} whether_dvs_mirror_cfg_is_all_switched_off", one_kernel_of_all(sl.SumPool2d((1, 1))), (1, 128, 128), sensor=True
    ),
}

FILES = {
    "test_dynapcnn": (
        "auto_mapping", "compatible_layer_build", "config_making", "device_movement", "device_name_mapping", "discover_device",
        "discretized", "doorbell", "dvs_input", "dvs_layer", "event_conversion", "individual_cases", "large_net", "learning",
        "monitoring", "neuron_leak", "single_neuron_hardware", "speck2e", "visualizer",
    ),
    "test_dynapcnnlayer": ("model_dummy_1", "model_dummy_2", "model_dummy_3", "model_dummy_4"),
    "test_dynapcnnnetwork": (
        "failcases", "model_dummy_1", "model_dummy_2", "model_dummy_3", "model_dummy_4", "model_dummy_5", "model_dummy_seq",
    ),
    "test_graph_extractor": ("model_dummy_1", "model_dummy_2", "model_dummy_3", "model_dummy_4"),
}  # fmt: skip
"""What these folders of sinabs' tests hold, `test_` before names left out."""

LEFT_OUT = {
    **dict.fromkeys(
        ("test_dynapcnnlayer/model_dummy_1", "test_graph_extractor/model_dummy_1"),
        "beyond the limits: pools by 3, chips pool by 1, 2 and 4 (else as residual)",
    ),
    **dict.fromkeys(
        ("test_dynapcnnlayer/model_dummy_4", "test_graph_extractor/model_dummy_4"),
        "beyond the limits: pools by 3 and 5 (else as complex_graph)",
    ),
    "test_dynapcnn/compatible_layer_build": "pools without a network; pools in a row are pooling_consolidation and sequential_long",
    "test_dynapcnn/dvs_layer": "no network: DVSLayer alone, here in tests/frontends/test_sinabs.py",
    "test_dynapcnn/visualizer": "needs a board and a screen; its network ends in a pool, which no core reads",
    "test_dynapcnn/discover_device": "needs a board",
    "test_dynapcnn/device_name_mapping": "names of boards, no network",
    "test_dynapcnn/event_conversion": "events of the vendor's package, no network",
    "test_dynapcnnnetwork/failcases": "networks that are refused, in test_sinabs_networks.py",
}


def build(name: str) -> nn.Module:
    """The network's spiking module; every layer spikes, and weights are multiples of 1/1024, so that sums are exact in float32."""
    torch.manual_seed(len(name))
    model = spiking(NETWORKS[name].build())
    with torch.no_grad():
        for layer in weighted(model):
            inputs = layer.weight[0].numel()
            layer.weight.copy_(threshold(model) * (0.5 * torch.randn(layer.weight.shape) / inputs**0.5 + 2.0 / inputs))
            for parameter in layer.parameters():
                parameter.copy_((parameter * 1024).round() / 1024)
    return model.eval()


def build_excitatory(name: str) -> nn.Module:
    """The network without biases, weights between 0 and the threshold: how often a neuron spikes does not depend on any order."""
    torch.manual_seed(len(name))
    model = spiking(NETWORKS[name].build())
    with torch.no_grad():
        for layer in weighted(model):
            kept = torch.rand(layer.weight.shape) * layer.weight[0].numel() < 6
            layer.weight.copy_(threshold(model) * (0.2 + 0.75 * torch.rand(layer.weight.shape)) * kept)
            if layer.bias is not None:
                layer.bias.zero_()
        for norm in (layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)):
            norm.reset_parameters()
    return model.eval()


def spiking(made: Any) -> nn.Module:
    """The module itself, or the spiking one that sinabs.from_model made."""
    return made.spiking_model if isinstance(made, sinabs.network.Network) else made


def threshold(model: nn.Module) -> float:
    """Of all its neurons."""
    return next(float(layer.spike_threshold) for layer in model.modules() if isinstance(layer, sl.IAF))


def weighted(model: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def raster(name: str, rate: float = 0.4, seed: int = 0) -> Any:
    """Spike counts [time, *input_shape], fewer steps where the map is large."""
    shape = NETWORKS[name].input_shape
    return np.random.default_rng(seed).poisson(rate, (2 if shape[-1] > 64 else 6, *shape))
