"""From a trained network with ReLUs to a spiking one."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError, UnsupportedModelError
from chipflow.snn.analog_activations import analog_activations
from chipflow.snn.arguments import calibration_tensor, check_model, check_numbers, checked_shape
from chipflow.snn.balance import Balance, apply_balance, check_chain, measure
from chipflow.snn.bias_rescaling import rescaled
from chipflow.snn.comparison import SPIKE_OUTPUT
from chipflow.snn.dynamics import Reset
from chipflow.snn.functional_relu import Modular, check_same, with_relu_modules
from chipflow.snn.network import Network
from chipflow.snn.neuron_options import LowerBound, NeuronOptions, threshold_of
from chipflow.snn.relu_watch import refuse_relus
from chipflow.snn.stateful import StatefulLayer
from chipflow.snn.surrogate import SurrogateFunction
from chipflow.snn.synops_counter import SynopsCounter
from chipflow.snn.time_axes import SampleShape, TimeAxes, axes_of, fits
from chipflow.snn.trace import Trace, eval_copy, layers_as_they_run, leaves, run_traced, sample_shape_of, sharing_copy


def from_model(
    model: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    *,
    add_spiking_output: bool = False,
    calibration: Tensor | np.ndarray[Any, Any] | None = None,
    balance: Balance = "weights",
    percentile: float | Literal["max"] = 99.9,
    threshold: float | Mapping[str, float] | None = None,
    min_v_mem: LowerBound | Mapping[str, LowerBound] = "-threshold",
    reset: Reset | None = None,
    max_spikes: int | None = None,
    surrogate: SurrogateFunction | None = None,
    neuron: StatefulLayer | None = None,
    bias_rescaling: float = 1.0,
    batch_size: int | None = None,
    num_timesteps: int | None = None,
) -> Network:
    """Make a spiking copy of `model`: every ReLU becomes neurons. The model itself is not changed.

    A ReLU is an nn.ReLU module, or a call of F.relu, torch.relu or x.relu() (also in place) anywhere in a `forward` that torch.fx can trace.
    Each place gets neurons of its own: a call becomes the layer `relu`, the next one `relu_1`, of the module whose `forward` calls it, and an
    nn.ReLU (or a module with ReLUs inside) that runs again becomes `act_1` beside `act`. All other layers keep their names and parameters,
    and every module its class. Other activations (nn.ReLU6, nn.Sigmoid, ...) stay as they are; a warning names those that are modules.

    The copy is in evaluation mode (batch normalisation uses its trained statistics); call `train()` on it to train it.

    Args:
        model: a trained module.
        input_shape: shape of one sample, e.g. (1, 28, 28). Without it the first layer decides the number of axes.
        add_spiking_output: append neurons named 'spike_output', unless the model ends with a ReLU. An nn.Sequential gets them as
            its last layer; another module, and one with a `forward` of its own, becomes the layer 'model' of an nn.Sequential.
        calibration: images [N, ...] with intensities as rates, or recordings [N, time, ...], whose mean over time is the rate.
            The activations of the analog model on them balance the layers (see `chipflow.snn.balance`), which are a chain of nn.Linear,
            convolutions, batch normalisations, ReLUs, and average and sum pools. nn.MaxPool2d is refused: the maximum of the spikes of a
            time step is not the maximum of rates.
        balance: "weights" or "thresholds": what calibration changes.
        percentile: of the positive activations that becomes a rate of 1 / threshold; 100 or "max" for the maximum.
        threshold: of the neurons: one number, or by layer name (layers that are not named get 1). The names are those of the ReLUs in `model`,
            and 'spike_output'. The default is 1, or the template's. Without calibration the weights stay as they are, so that a layer with
            threshold 2 answers with half the spikes; with calibration the next layer makes up for it (see `chipflow.snn.balance`).
        min_v_mem: lower bound of the state: "-threshold", a number, None for none, or these by layer name. With
            balance="thresholds" it is scaled along with the threshold.
        reset: "subtract" (the default), "zero", or the value that the state takes after a spike.
        max_spikes: most spikes in a time step; None for any number.
        surrogate: derivative of spikes by potential; see `chipflow.snn.surrogate`. The default is SingleExponential().
        neuron: neurons that are copied into each place instead of IAF, e.g. LIF(tau_mem=20.0). Their options are the template's own, but for
            `threshold`.
        bias_rescaling: biases are divided by this number, which is that of time steps over which the input of one analog sample is spread.
            A bias acts in every time step: a model trained on frames that sum up 100 time steps, and which then gets one step after the
            other, needs 100. A model trained on rates (intensities as spike probabilities in a step) needs 1. `calibration` is what arrives in
            a time step, in either case. Batch normalisations are rescaled too. Constants and functions in `forward` are not: the model is run
            to see that there are none, and where no shape is known, only chains of known layers are taken.
        batch_size: for input whose batch and time are merged in the first axis; not used if num_timesteps is given.
        num_timesteps: for the same.

    Raises:
        UnsupportedModelError: for what is no module, a model without ReLU, one whose relu calls torch.fx cannot replace, or one that
            calibration or bias_rescaling has no exact rule for.
        ChipflowError: for arguments out of range or calibration data of a wrong shape.
    """
    check_model(model)
    percentile = 100.0 if percentile == "max" else percentile
    check_numbers(balance, percentile, bias_rescaling, batch_size, num_timesteps)
    options = NeuronOptions(threshold, min_v_mem, reset, max_spikes, surrogate, neuron)
    options.check_template()
    if calibration is not None:
        options.check_calibration()
    shape = checked_shape(input_shape)
    modular = with_relu_modules(eval_copy(model))
    relus = [name for name, module in leaves(modular.model) if isinstance(module, nn.ReLU)]
    sample = shape if shape is not None else sample_shape_of(modular.model)
    rates = None if calibration is None else _rates(calibration, sample, model)
    sample = sample if rates is None else tuple(rates.shape[1:])
    shape = None if sample is None or None in sample else cast("tuple[int, ...]", sample)
    _check_traced(modular, shape)
    _check_merged(sample, batch_size, num_timesteps)
    trace = _trace(model, modular.model, shape)
    modules = dict(modular.model.named_modules(remove_duplicate=False))
    layers = [(name, modules[name]) for name in trace.order]
    place = _output_place(model, add_spiking_output and not (trace.ends and _is_relu_last(layers)), trace.output)
    neurons = _neurons(options, relus, place, modular.model)
    body = modular.model
    if rates is None and bias_rescaling != 1:
        body = rescaled(body, bias_rescaling, None if shape is None else _random(model, (2, *shape)))
    spiking = _spiking_copy(body, neurons, place)
    scales: dict[str, float] = {}
    if rates is not None:
        scales = _balanced(modular.model, spiking, neurons, rates, place, balance, percentile, bias_rescaling)
    TimeAxes(sample, batch_size, num_timesteps).attach(spiking)
    if shape is not None:
        untraced = {place.name_of(name): reason for name, reason in modular.untraced.items()}
        _try_out(sharing_copy(spiking), place, _zeros(model, (1, 1, *shape)), untraced)
    if not neurons:
        raise UnsupportedModelError(
            "The model has no ReLU that could become spiking neurons. Use nn.ReLU modules or relu functions, or add_spiking_output=True."
        )
    SynopsCounter.attach(spiking)
    _warn_of_activations([*layers, *([(SPIKE_OUTPUT, neurons[SPIKE_OUTPUT])] if place.added else [])])
    return Network(model, spiking, shape, scales, bias_rescaling)


@dataclass(frozen=True)
class OutputPlace:
    """Where the added output neurons stand.

    Attributes:
        added: whether there are any.
        wrapped: whether the model becomes the layer 'model' of an nn.Sequential.
    """

    added: bool
    wrapped: bool

    def name_of(self, name: str) -> str:
        """The name in the spiking model of a layer of the analog one."""
        return f"model.{name}".rstrip(".") if self.wrapped and name != SPIKE_OUTPUT else name


def _output_place(model: nn.Module, wanted: bool, output: Any) -> OutputPlace:
    if not wanted:
        return OutputPlace(False, False)
    if hasattr(model, SPIKE_OUTPUT):
        raise UnsupportedModelError(f"The model has a layer named '{SPIKE_OUTPUT}' already; rename it.")
    if output is not None and not isinstance(output, Tensor):
        raise UnsupportedModelError(
            f"add_spiking_output=True: the model returns a {type(output).__name__}, and neurons take one tensor. Return one tensor, or leave "
            "add_spiking_output out."
        )
    return OutputPlace(True, getattr(model.forward, "__func__", None) is not nn.Sequential.forward)


def _neurons(options: NeuronOptions, relus: list[str], place: OutputPlace, model: nn.Module) -> dict[str, StatefulLayer]:
    """Neurons by the names of the ReLUs, and the output's; of the model's device and dtype."""
    names = [*relus, *([SPIKE_OUTPUT] if place.added else [])]
    options.check_names(names)
    like = _zeros(model, ())
    return {name: options.neurons_of(name).to(device=like.device, dtype=like.dtype) for name in names}


def _spiking_copy(analog: nn.Module, neurons: Mapping[str, StatefulLayer], place: OutputPlace) -> nn.Module:
    spiking = copy.deepcopy(analog)
    for name in [name for name in neurons if not (place.added and name == SPIKE_OUTPUT)]:
        if not name:
            spiking = neurons[name]
            break
        parent, _, child = name.rpartition(".")
        setattr(spiking.get_submodule(parent), child, neurons[name])
    if place.wrapped:
        spiking = nn.Sequential(OrderedDict([("model", spiking), (SPIKE_OUTPUT, neurons[SPIKE_OUTPUT])]))
    elif place.added:
        spiking.add_module(SPIKE_OUTPUT, neurons[SPIKE_OUTPUT])
    return spiking.eval()


def _balanced(
    analog: nn.Module,
    spiking: nn.Module,
    neurons: Mapping[str, StatefulLayer],
    rates: Tensor,
    place: OutputPlace,
    balance: Balance,
    percentile: float,
    input_scale: float,
) -> dict[str, float]:
    """Measure and balance; the added output neurons stand for max(0, output of the analog model)."""
    batch = rates * input_scale
    first = run_traced(analog, batch[:1])
    check_chain(analog, first, set(neurons), ends_with_neurons=place.added)
    last = first.order[-1]
    ran = [name for name in neurons if name in first.calls]
    _, measured = measure(analog, batch, percentile, {*ran, *([last] if place.added else [])})
    order, lambdas = [place.name_of(name) for name in first.order], {place.name_of(name): measured[name] for name in ran}
    if place.added:
        order.append(SPIKE_OUTPUT)
        lambdas[SPIKE_OUTPUT] = measured[last]
    thresholds = {place.name_of(name): threshold_of(layer) or 1.0 for name, layer in neurons.items()}
    modules = dict(spiking.named_modules(remove_duplicate=False))
    return apply_balance(modules, order, lambdas, thresholds, balance, input_scale)


def _check_traced(modular: Modular, shape: tuple[int, ...] | None) -> None:
    if modular.untraced and shape is None:
        name, reason = next(iter(modular.untraced.items()))
        module = modular.model.get_submodule(name)
        where = f"layer '{name}' ({type(module).__name__})" if name else type(module).__name__
        raise UnsupportedModelError(
            f"torch.fx cannot trace {where}: {reason}. The model has to run once to see whether it calls relu there: give input_shape."
        )


def _trace(model: nn.Module, analog: nn.Module, shape: tuple[int, ...] | None) -> Trace:
    """Runs the model, if the shape of a sample is known, and refuses what cannot be converted; there is no output otherwise."""
    if shape is None:
        order, ends = layers_as_they_run(analog)
        return Trace(order, ends=ends)
    trace = run_traced(analog, _zeros(model, (1, *shape)))
    modules = dict(analog.named_modules(remove_duplicate=False))
    shared = [name for name in trace.order if trace.calls[name] > 1 and isinstance(modules[name], nn.ReLU)]
    if shared:
        raise UnsupportedModelError(
            f"ReLU modules that run more than once, where torch.fx cannot tell the places apart: {shared}. A neuron has a state: give every "
            "place its own nn.ReLU."
        )
    check_same(eval_copy(model), analog, _random(model, (2, *shape)))
    return trace


def _is_relu_last(layers: list[tuple[str, nn.Module]]) -> bool:
    tail = [layer for _, layer in layers if not isinstance(layer, (nn.Flatten, nn.Identity, nn.Dropout))]
    return bool(tail) and isinstance(tail[-1], nn.ReLU)


def _try_out(spiking: nn.Module, place: OutputPlace, sample: Tensor, untraced: Mapping[str, str]) -> None:
    """Run a copy of the spiking model, and refuse relus that are left in it, and an added output that does not run."""
    ran: list[bool] = []
    if place.added:
        spiking.get_submodule(SPIKE_OUTPUT).register_forward_hook(lambda *_: ran.append(True))
    refuse_relus(spiking, sample, untraced)
    if place.added and not ran:
        raise UnsupportedModelError(
            f"add_spiking_output=True: {type(spiking).__name__} does not run the layer '{SPIKE_OUTPUT}' that was appended to it. Put the model "
            "into an nn.Sequential."
        )


def _warn_of_activations(layers: list[tuple[str, nn.Module]]) -> None:
    modules = dict(layers)
    names = [f"'{name}' ({type(modules[name]).__name__})" for name in analog_activations(layers)]
    if names:
        warnings.warn(
            f"These activations do not become neurons and compute with numbers in the spiking network: {', '.join(names)}. Use nn.ReLU.",
            stacklevel=3,
        )


def _random(model: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """The same normal numbers every time, of the device and dtype of the model's parameters."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(_zeros(model, ()))


def _zeros(model: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Of the device and dtype of the model's parameters."""
    floating = (parameter for parameter in model.parameters() if parameter.is_floating_point())
    return torch.zeros(shape).to(next(floating, torch.zeros(())))


def _rates(calibration: Any, sample: SampleShape | None, model: nn.Module) -> Tensor:
    """Calibration data as rates [N, ...] of the model's dtype."""
    data = calibration_tensor(calibration).to(_zeros(model, ()))
    if sample is None:
        raise ChipflowError("calibration needs input_shape, because the first layer takes samples of any number of axes.")
    extra = data.ndim - len(sample)
    if extra not in (1, 2) or data.numel() == 0 or not fits(data, sample):
        axes = axes_of(sample)
        raise ChipflowError(f"calibration has shape {list(data.shape)}, expected [N, {axes}] or [N, time, {axes}].")
    if not bool(torch.isfinite(data).all()):
        raise ChipflowError("calibration holds values that are not finite numbers.")
    return data.mean(1) if extra == 2 else data


def _check_merged(sample: SampleShape | None, batch_size: int | None, num_timesteps: int | None) -> None:
    if sample is None and (batch_size is not None or num_timesteps is not None):
        raise ChipflowError(
            "batch_size and num_timesteps need input_shape here: the first layer takes samples of any number of axes, "
            "so that merged input could not be told from [batch, time, ...]."
        )
