"""From a trained network with ReLUs to a spiking one."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError, UnsupportedModelError
from chipflow.snn.balance import Balance, apply_balance, check_chain, measure
from chipflow.snn.network import Network, TimeAxes
from chipflow.snn.iaf import IAF
from chipflow.snn.trace import eval_copy, leaves, run_traced, sample_ndim_of

SPIKE_OUTPUT = "spike_output"


def from_model(
    model: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    *,
    add_spiking_output: bool = False,
    calibration: Tensor | np.ndarray[Any, Any] | None = None,
    balance: Balance = "weights",
    percentile: float = 99.9,
    threshold: float = 1.0,
    min_v_mem: float | Literal["-threshold"] | None = "-threshold",
    batch_size: int | None = None,
    num_timesteps: int | None = None,
) -> Network:
    """Make a spiking copy of `model`: every nn.ReLU becomes an IAF neuron. The model itself is not changed.

    The copy is in evaluation mode (batch normalisation uses its trained statistics); call `train()` on it to train it.

    Args:
        model: a trained module.
        input_shape: shape of one sample, e.g. (1, 28, 28). Without it the first layer decides the number of axes.
        add_spiking_output: append neurons named 'spike_output', unless the model ends with a ReLU. An nn.Sequential gets them as
            its last layer; another module becomes the layer 'model' of an nn.Sequential.
        calibration: images [N, ...] with intensities as rates, or recordings [N, time, ...], whose mean over time is the rate.
            The activations of the analog model on them balance the layers (see `chipflow.snn.balance`).
        balance: "weights" or "thresholds": what calibration changes.
        percentile: of the positive activations that becomes a rate of 1 / threshold; 100 for the maximum.
        threshold: of the neurons (of all of them, unless balance is "thresholds").
        min_v_mem: lower bound of the state at this threshold; None for none.
        batch_size: for input whose batch and time are merged in the first axis; not used if num_timesteps is given.
        num_timesteps: for the same.

    Raises:
        UnsupportedModelError: for a model without ReLU, or one that calibration has no exact rule for.
        ChipflowError: for arguments out of range or calibration data of a wrong shape.
    """
    low = -threshold if min_v_mem == "-threshold" else min_v_mem
    neuron = IAF(threshold, low)
    _check_options(balance, percentile, batch_size, num_timesteps)
    shape = None if input_shape is None else tuple(int(size) for size in input_shape)
    relus = [name for name, module in leaves(model) if isinstance(module, nn.ReLU)]
    if not relus and not add_spiking_output:
        raise UnsupportedModelError(
            "The model has no nn.ReLU module that could become spiking neurons. "
            "Use nn.ReLU modules (not torch.relu or F.relu), or add_spiking_output=True."
        )
    ndim = len(shape) if shape is not None else sample_ndim_of(model)
    rates = None if calibration is None else _rates(calibration, ndim, shape, model)
    if rates is not None:
        shape = tuple(rates.shape[1:])
    analog = eval_copy(model)
    order = _probe(analog, shape, relus)
    wrap, output = _output_place(model, order, add_spiking_output)
    spiking = _spiking_copy(model, neuron, wrap, output)
    scales: dict[str, float] = {}
    if rates is not None:
        scales = _balanced(analog, spiking, rates, relus, wrap, output, balance, percentile, threshold)
    TimeAxes(_time_ndim(ndim, batch_size, num_timesteps), shape, batch_size, num_timesteps).attach(spiking)
    return Network(model, spiking, shape, scales)


def _balanced(
    analog: nn.Module,
    spiking: nn.Module,
    rates: Tensor,
    relus: list[str],
    wrap: bool,
    output: bool,
    balance: Balance,
    percentile: float,
    threshold: float,
) -> dict[str, float]:
    """Measure and balance; the added output neurons stand for max(0, output of the analog model)."""
    first = run_traced(analog, rates[:1])
    check_chain(analog, first, set(relus))
    last = first.order[-1]
    neurons = {name for name in relus if name in first.calls}
    _, measured = measure(analog, rates, percentile, neurons | ({last} if output else set()))
    prefix = "model." if wrap else ""
    order, lambdas = [_join(prefix, name) for name in first.order], {_join(prefix, name): measured[name] for name in neurons}
    if output:
        order.append(SPIKE_OUTPUT)
        lambdas[SPIKE_OUTPUT] = measured[last]
    return apply_balance(dict(spiking.named_modules(remove_duplicate=False)), order, lambdas, balance, threshold)


def _join(prefix: str, name: str) -> str:
    return (prefix + name).rstrip(".")


def _spiking_copy(model: nn.Module, neuron: IAF, wrap: bool, output: bool) -> nn.Module:
    parameter = next(model.parameters(), None)
    if parameter is not None:
        neuron = neuron.to(device=parameter.device, dtype=parameter.dtype)
    spiking = copy.deepcopy(model)
    if isinstance(spiking, nn.ReLU):
        spiking = copy.deepcopy(neuron)
    for name in [name for name, module in leaves(spiking) if isinstance(module, nn.ReLU)]:
        parent, _, child = name.rpartition(".")
        setattr(spiking.get_submodule(parent), child, copy.deepcopy(neuron))
    if output and wrap:
        spiking = nn.Sequential(OrderedDict([("model", spiking), (SPIKE_OUTPUT, neuron)]))
    elif output:
        spiking.add_module(SPIKE_OUTPUT, neuron)
    return spiking.eval()


def _output_place(model: nn.Module, order: list[str], wanted: bool) -> tuple[bool, bool]:
    """(whether the model has to be wrapped, whether output neurons are added)."""
    modules = dict(model.named_modules(remove_duplicate=False))
    shapeless = (nn.Flatten, nn.Identity, nn.Dropout)
    tail = [name for name in order if not isinstance(modules[name], shapeless)]
    if not wanted or (tail and isinstance(modules[tail[-1]], nn.ReLU)):
        return False, False
    if hasattr(model, SPIKE_OUTPUT):
        raise UnsupportedModelError(f"The model has a layer named '{SPIKE_OUTPUT}' already; rename it.")
    return not isinstance(model, nn.Sequential), True


def _probe(analog: nn.Module, shape: tuple[int, ...] | None, relus: list[str]) -> list[str]:
    """Leaf names in the order in which they run, or of registration where the shape of a sample is not known."""
    if shape is None:
        return [name for name, _ in leaves(analog)]
    parameter = next(analog.parameters(), torch.zeros(()))
    trace = run_traced(analog, torch.zeros((1, *shape), dtype=parameter.dtype, device=parameter.device))
    modules = dict(analog.named_modules(remove_duplicate=False))
    shared = [name for name in trace.order if trace.calls[name] > 1 and isinstance(modules[name], nn.ReLU)]
    if shared:
        raise UnsupportedModelError(
            f"ReLU modules that run more than once: {shared}. A neuron has a state: give every place its own nn.ReLU."
        )
    return trace.order


def _rates(calibration: Any, ndim: int | None, shape: tuple[int, ...] | None, model: nn.Module) -> Tensor:
    """Calibration data as rates [N, ...] of the model's dtype."""
    parameter = next(model.parameters(), torch.zeros(()))
    data = torch.as_tensor(calibration).to(device=parameter.device, dtype=parameter.dtype)
    if ndim is None:
        raise ChipflowError("calibration needs input_shape, because the first layer takes samples of any number of axes.")
    expected = ", ".join(map(str, shape)) if shape is not None else f"... ({ndim} axes)"
    extra = data.ndim - ndim
    if extra not in (1, 2) or data.numel() == 0 or (shape is not None and tuple(data.shape[extra:]) != shape):
        raise ChipflowError(f"calibration has shape {list(data.shape)}, expected [N, {expected}] or [N, time, {expected}].")
    if not bool(torch.isfinite(data).all()):
        raise ChipflowError("calibration holds values that are not finite numbers.")
    return data.mean(1) if extra == 2 else data


def _time_ndim(ndim: int | None, batch_size: int | None, num_timesteps: int | None) -> int | None:
    if ndim is None and (batch_size is not None or num_timesteps is not None):
        raise ChipflowError(
            "batch_size and num_timesteps need input_shape here: the first layer takes samples of any number of axes, "
            "so that merged input could not be told from [batch, time, ...]."
        )
    return ndim


def _check_options(balance: Any, percentile: float, batch_size: int | None, num_timesteps: int | None) -> None:
    if balance not in ("weights", "thresholds"):
        raise ChipflowError(f"balance is {balance!r}, it must be 'weights' or 'thresholds'.")
    if not 0 < percentile <= 100:
        raise ChipflowError(f"percentile is {percentile}, it must be above 0 and at most 100.")
    for name, value in (("batch_size", batch_size), ("num_timesteps", num_timesteps)):
        if value is not None and value < 1:
            raise ChipflowError(f"{name} is {value}, it must be at least 1.")
