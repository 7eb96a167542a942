"""Activations of an analog model beside the rates of the spiking one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError
from chipflow.snn.functional_relu import with_relu_modules
from chipflow.snn.stateful import StatefulLayer, stateful_layers, unfold_time
from chipflow.snn.trace import eval_copy, run_traced, sharing_copy
from chipflow.tables import table

SPIKE_OUTPUT = "spike_output"
"""Name of the neurons that `from_model` appends; they stand for max(0, output of the analog model)."""


@dataclass(frozen=True, eq=False)
class LayerComparison:
    """One layer of neurons and the ReLU it came from.

    Attributes:
        name: of the layer in the spiking model.
        analog: activations [batch, ...].
        spiking: spikes of a neuron in a time step times `scale`, [batch, ...]; equal to `analog` for a perfect conversion.
        scale: activation that one spike in each time step stands for.
    """

    name: str
    analog: Tensor
    spiking: Tensor
    scale: float

    @property
    def mean_rate(self) -> float:
        """Spikes of a neuron in a time step, on average."""
        return float(self.spiking.double().mean()) / self.scale

    @property
    def rms_error(self) -> float:
        """Root of the mean squared difference, in units of the activations."""
        return float((self.spiking.double() - self.analog.double()).square().mean().sqrt())

    @property
    def correlation(self) -> float:
        """Pearson's correlation over all neurons and samples; NaN where either does not vary."""
        one, other = (values.double().flatten() - values.double().mean() for values in (self.analog, self.spiking))
        return float((one @ other) / (one.norm() * other.norm()))


@dataclass(frozen=True, eq=False)
class ActivationComparison:
    """All layers of neurons of a network, in the order in which they run. Prints as a table.

    Attributes:
        layers: by name in the spiking model.
        num_timesteps: over which the rates were counted.
    """

    layers: dict[str, LayerComparison]
    num_timesteps: int

    def __getitem__(self, layer: str) -> LayerComparison:
        return self.layers[layer]

    def summary(self) -> str:
        """One row for each layer; activations are means over all neurons and samples."""
        rows = [
            (layer.name, f"{layer.scale:.4g}", f"{layer.mean_rate:.4g}", f"{layer.analog.double().mean():.4g}",
             f"{layer.spiking.double().mean():.4g}", f"{layer.rms_error:.3g}", f"{layer.correlation:.4f}")
            for layer in self.layers.values()
        ]  # fmt: skip
        header = ("layer", "scale", "spikes / step", "activation", "spikes / step x scale", "rms error", "correlation")
        return table(f"Activations and rates over {self.num_timesteps} time steps", header, rows)

    def __str__(self) -> str:
        return self.summary()


def compare(
    analog_model: nn.Module, spiking_model: nn.Module, data: Any, scale_of: Callable[[str], float], input_scale: float
) -> ActivationComparison:
    """Run both models on copies, see `Network.compare_activations`.

    Args:
        analog_model: takes samples [batch, ...].
        spiking_model: takes rasters [batch, time, ...].
        data: rasters.
        scale_of: from the name of a layer of neurons to the activation that a rate of 1 stands for.
        input_scale: the analog model gets the mean over time, times this.
    """
    like = next((p for p in spiking_model.parameters() if p.is_floating_point()), torch.zeros(()))
    rates = _Rates(sharing_copy(spiking_model).eval(), torch.as_tensor(data).to(like))
    activations = _activations(analog_model, rates.mean_input * input_scale, rates.by_layer)
    layers: dict[str, LayerComparison] = {}
    for name, rate in rates.by_layer.items():
        scale, analog = scale_of(name), activations[name]
        if analog.shape != rate.shape:
            raise ChipflowError(
                f"Layer '{name}' has rates {list(rate.shape)} [batch, ...], and its counterpart in the analog model activations "
                f"{list(analog.shape)}: these are not the same networks."
            )
        layers[name] = LayerComparison(name, analog, rate * scale, scale)
    return ActivationComparison(layers, rates.num_timesteps)


class _Rates:
    """Spikes of each neuron in a time step, summed up while a copy of the spiking model runs.

    Attributes:
        by_layer: [batch, ...] by layer name, in the order in which the layers run.
        mean_input: of the model over time, [batch, ...].
        num_timesteps: that ran.
    """

    def __init__(self, model: nn.Module, data: Tensor) -> None:
        self.by_layer: dict[str, Tensor] = {}
        self._steps_of: Callable[[Tensor], Tensor] | None = None  # as its layers read their input while they run
        self._input = data
        for name, layer in stateful_layers(model):
            layer.reset_states()
            layer.register_forward_hook(self._hook_for(name))
        model.register_forward_pre_hook(self._keep_input)  # behind the network's own, which has merged batch and time
        with torch.no_grad():
            model(data)
        if self._steps_of is None:
            raise ChipflowError("The spiking model has no layer of neurons that ran: there is nothing to compare.")
        steps = self._steps_of(self._input)
        self.mean_input, self.num_timesteps = steps.mean(1), steps.shape[1]

    def _keep_input(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        self._input = args[0]

    def _hook_for(self, name: str) -> Callable[..., None]:
        def add(layer: StatefulLayer, args: tuple[Any, ...], output: Tensor) -> None:
            self._steps_of = partial(_unfolded, num_timesteps=layer.num_timesteps, batch_size=layer.batch_size)
            self.by_layer[name] = self._steps_of(output).mean(1)

        return add


def _unfolded(raster: Tensor, num_timesteps: int | None, batch_size: int | None) -> Tensor:
    """[batch, time, ...], however a layer gets it."""
    merged = num_timesteps is not None or batch_size is not None
    return unfold_time(raster, num_timesteps, batch_size) if merged else raster


def _activations(model: nn.Module, batch: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """Outputs [batch, ...] of the ReLUs from which the layers `names` of the spiking model came."""
    analog = with_relu_modules(eval_copy(model)).model
    known = {name for name, _ in analog.named_modules(remove_duplicate=False)}
    layers = [name for name in names if name in known or name != SPIKE_OUTPUT]
    counterparts = {name if name in known else _inside(name): name for name in layers}
    unknown = [layer for name, layer in counterparts.items() if name not in known]
    if unknown:
        raise ChipflowError(
            f"The analog model has no layers {unknown}, which the spiking model has: these are not the same networks."
        )
    outputs: dict[str, Tensor] = {}

    def observe(name: str, output: Tensor) -> None:
        if name in counterparts:
            outputs[counterparts[name]] = output.clone()  # forward may write over it

    def keep(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        outputs.setdefault(SPIKE_OUTPUT, output)

    analog.register_forward_hook(keep)
    run_traced(analog, batch, observe)
    return outputs if SPIKE_OUTPUT in layers else outputs | {SPIKE_OUTPUT: outputs[SPIKE_OUTPUT].relu()}


def _inside(name: str) -> str:
    """The name of a layer in the model that `from_model` made the layer 'model' of an nn.Sequential."""
    return "" if name == "model" else name.removeprefix("model.")
