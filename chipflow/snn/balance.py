r"""Balancing a converted network with activations seen on calibration data.

Let a_l be the activations of ReLU layer l of the analog model, lambda_l their maximum (Diehl et al. 2015, "Fast-classifying,
high-accuracy spiking deep networks through weight and threshold balancing") or a percentile of the positive ones (Rueckauer
et al. 2017, "Conversion of continuous-valued deep networks to efficient event-driven networks for image classification"),
theta_l the threshold asked for in that layer, and k how many times larger the analog model's input is than the mean input of a time
step (`bias_rescaling`; usually 1). With s_0 = k for the input and s_l = theta_l * lambda_l, both ways make the rate of every
neuron r_l = a_l / s_l, spikes in a time step, and give the same spikes:

- weights:     W_l <- W_l * theta_l * s_(l-1) / s_l,   b_l <- b_l * theta_l / s_l,   threshold_l = theta_l
- thresholds:  W_l as they are,                        b_l <- b_l / s_(l-1),         threshold_l = s_l / s_(l-1)

With all theta_l = 1 these are the papers' W_l * lambda_(l-1) / lambda_l, b_l / lambda_l. A layer with theta_l = 2 fires half as often as
with 1, and the next layer makes up for it. The lower bound, and a value that the state is reset to, scale with the threshold.
The rate follows exactly for a reset by subtraction and without a lower bound; other resets lose what lies above the threshold.

Between two neuron layers values are multiples of the analog ones: they enter as a / s_(l-1) and leave times o = theta_l / s_l
(weights) or 1 / s_(l-1) (thresholds). A layer y = W x + b whose input is scaled by i is exact with W * o / i and b * o; a batch
normalisation with gamma * o / i, mean * i, beta * o. So the first of several affine layers takes the factor and the others only
scale their biases. Average and sum pools and flattening are linear without constants and need nothing; the maximum of the spikes of a
time step is not the maximum of rates, so that pools of maxima are refused. A layer that follows the last neurons
keeps the analog output (weights), or gives it divided by s_L (thresholds).

Without calibration, weights and thresholds stay, and only k has an effect: the whole network works on input k times smaller, so that every
layer's biases (and means of batch normalisations) are divided by k, i = o = 1 / k.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from chipflow.errors import UnsupportedModelError
from chipflow.snn.iaf import IAF
from chipflow.snn.known_layers import NORMS, POOLS_OF_MAXIMA, WEIGHTED, is_known, refuse_recomputed
from chipflow.snn.trace import Trace, run_traced

Balance = Literal["weights", "thresholds"]

CHUNK = 128
"""Samples that run through the analog model at a time."""


def measure(model: nn.Module, batch: Tensor, percentile: float, names: set[str]) -> tuple[Trace, dict[str, float]]:
    """lambda of every layer in `names`: the percentile of its positive outputs on `batch` [N, ...], 0 where there is none.

    `model` is in evaluation mode.
    """
    seen: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def observe(name: str, output: Tensor) -> None:
        if name in seen:
            positive = output[output > 0].cpu().numpy()
            if percentile >= 100.0:
                positive = positive.max(initial=0.0, keepdims=True)
            seen[name].append(positive)

    trace = Trace()
    for index, chunk in enumerate(batch.split(CHUNK)):
        now = run_traced(model, chunk, observe)
        trace = now if index == 0 else trace
    return trace, {name: _percentile(parts, percentile) for name, parts in sorted(seen.items())}


def _percentile(parts: list[np.ndarray], percentile: float) -> float:
    values = np.concatenate(parts) if parts else np.empty(0)
    return float(np.percentile(values, percentile)) if values.size else 0.0


def check_chain(model: nn.Module, trace: Trace, neurons: set[str], ends_with_neurons: bool = False) -> None:
    """Refuse what cannot be balanced exactly.

    Args:
        model: the analog model.
        trace: of a run of it.
        neurons: names of its ReLUs.
        ends_with_neurons: whether the model's output drives neurons that are added.

    Raises:
        UnsupportedModelError: for layers that run twice or share weights or compute them anew, branches, functions before and between the
            layers, and unknown layers.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    refuse_recomputed(modules, ("weight", "bias"), "calibration")
    twice = [name for name in trace.order if trace.calls[name] > 1]
    unknown = [
        f"'{name}' ({type(modules[name]).__name__}{_advice(modules[name])})"
        for name in trace.order
        if name not in neurons and not is_known(modules[name])
    ]
    problems = []
    if twice:
        problems.append("layers that run more than once: " + ", ".join(f"'{name}'" for name in twice))
    shared = _sharing_weights({name: modules[name] for name in trace.order})
    if shared:
        problems.append("layers that share weights: " + ", ".join(f"'{name}'" for name in shared))
    if trace.broken is not None:
        first = trace.broken == trace.order[0]
        missing = (
            "the model's input as it is (let the data be what that becomes)"
            if first
            else "the output of the layer that ran before it"
        )
        problems.append(f"'{trace.broken}' does not take {missing}")
    if ends_with_neurons and not trace.ends:
        problems.append("a function behind the last layer, whose output drives the added neurons")
    if unknown:
        problems.append("layers without a known rule: " + ", ".join(unknown))
    if problems:
        raise UnsupportedModelError(
            "calibration needs a sequential chain of known layers, but there are " + "; ".join(problems)
            + ". Convert without calibration, or write the model as a chain of Conv, Linear, BatchNorm, pooling and ReLU modules."
        )  # fmt: skip


def _advice(layer: nn.Module) -> str:
    if isinstance(layer, POOLS_OF_MAXIMA):
        return ": the maximum of spikes in a time step is not that of rates, use AvgPool2d or SumPool2d"
    return ""


def _sharing_weights(layers: Mapping[str, nn.Module]) -> list[str]:
    owners: dict[int, list[str]] = {}
    for name, layer in layers.items():
        for parameter in layer.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(name)
    return list(dict.fromkeys(name for names in owners.values() if len(names) > 1 for name in names))


def apply_balance(
    modules: Mapping[str, nn.Module],
    order: list[str],
    lambdas: Mapping[str, float],
    thresholds: Mapping[str, float],
    balance: Balance,
    input_scale: float = 1.0,
) -> dict[str, float]:
    """Scale weights and thresholds of the spiking copy in place.

    Args:
        modules: the spiking copy's modules by the names in `order`.
        order: leaf names as they run.
        lambdas: of every neuron layer.
        thresholds: theta_l of every neuron layer.
        balance: "weights" or "thresholds".
        input_scale: k, see above.

    Returns:
        s_l by layer name.

    Raises:
        UnsupportedModelError: for a layer that was never active; nothing is changed then.
    """
    _refuse_silent_layers([name for name in order if name in lambdas and not lambdas[name] > 0])
    scales: dict[str, float] = {}
    scale, group = input_scale, list[nn.Module]()
    for name in order:
        module = modules[name]
        if name not in lambdas:
            group.append(module)
            continue
        theta = thresholds[name]
        assert isinstance(module, IAF)  # from_model refuses calibration for others
        scales[name] = theta * lambdas[name]
        wanted = theta / scales[name] if balance == "weights" else 1 / scale
        _set_threshold(module, _scale_group(group, 1 / scale, wanted) * scales[name], theta)
        scale, group = scales[name], []
    _scale_group(group, 1 / scale, 1.0 if balance == "weights" else 1 / scale)
    return scales


def _refuse_silent_layers(silent: list[str]) -> None:
    if silent:
        names = ", ".join(f"'{name}'" for name in silent)
        raise UnsupportedModelError(
            f"Never active on the calibration data: {names}. Zero activations cannot be scaled; give other data, or train again."
        )


def _scale_group(group: list[nn.Module], entering: float, leaving: float) -> float:
    """Make a chain of layers, whose input is `entering` times the analog one, give `leaving` times the analog output.

    Returns what it gives in the end: `entering` if there is no layer with weights in it.
    """
    factor = entering
    for module in group:
        if isinstance(module, (*WEIGHTED, *NORMS)):
            _scale_affine(module, factor, leaving)
            factor = leaving
    return factor


def _scale_affine(module: nn.Module, i: float, o: float) -> None:
    assert isinstance(module, (*WEIGHTED, *NORMS))
    with torch.no_grad():
        if isinstance(module, NORMS):
            if module.running_mean is None:
                raise UnsupportedModelError(
                    f"{module}: calibration needs the statistics of training, and this layer keeps none "
                    "(track_running_stats=False)."
                )
            if module.weight is None:
                module.affine = True
                module.weight = nn.Parameter(torch.ones_like(module.running_mean))
                module.bias = nn.Parameter(torch.zeros_like(module.running_mean))
            module.running_mean.mul_(i)
        module.weight.mul_(o / i)
        if module.bias is not None:
            module.bias.mul_(o)


def _set_threshold(neuron: IAF, threshold: float, before: float) -> None:
    neuron.threshold.fill_(threshold)
    if neuron.min_v_mem is not None:
        neuron.min_v_mem.mul_(threshold / before)
    if not isinstance(neuron.reset, str):
        neuron.reset *= threshold / before
