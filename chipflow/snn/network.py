"""The spiking network beside the network it was made from, and the handling of batch and time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError
from chipflow.snn.stateful import stateful_layers, unfold_time


@dataclass(eq=False)
class TimeAxes:
    """Forward hooks that let a model of single samples run on [batch, time, ...].

    Before the model runs, batch and time are merged into one axis and the neurons learn the number of time steps; afterwards
    the output is unfolded again. Input whose batch and time were merged already keeps them merged.

    Attributes:
        sample_ndim: number of axes of one sample; None if unknown, then every input is taken as [batch, time, ...].
        input_shape: shape of one sample, if known.
        batch_size: used for merged input if `num_timesteps` is None.
        num_timesteps: used for merged input.
    """

    sample_ndim: int | None
    input_shape: tuple[int, ...] | None = None
    batch_size: int | None = None
    num_timesteps: int | None = None
    _unfold: int | None = field(default=None, repr=False)

    def attach(self, model: nn.Module) -> None:
        """Register the two hooks on `model`."""
        model.register_forward_pre_hook(self.before)
        model.register_forward_hook(self.after)

    def before(self, model: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Merge batch and time of the first argument."""
        if not args or not isinstance(args[0], Tensor):
            raise ChipflowError("The spiking model takes one tensor [batch, time, ...] as its first argument.")
        input = args[0]
        merged = self._is_merged(input)
        steps = self._steps_of_merged(input) if merged else input.shape[1]
        if steps == 0 or input.shape[0] == 0:
            raise ChipflowError(f"The input has shape {list(input.shape)}: there is no sample or no time step in it.")
        for name, layer in stateful_layers(model):
            layer.name, layer.num_timesteps, layer.once_per_pass, layer.ran = name, steps, True, False
        self._unfold = None if merged else steps
        return (input if merged else input.flatten(0, 1), *args[1:])

    def after(self, model: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Unfold the output into [batch, time, ...]."""
        if self._unfold is None:
            return output
        if not isinstance(output, Tensor):
            raise ChipflowError(f"The model returned {type(output).__name__}; a spiking model has to return one tensor.")
        return unfold_time(output, self._unfold)

    def _is_merged(self, input: Tensor) -> bool:
        extra = input.ndim - self.sample_ndim if self.sample_ndim is not None else (2 if input.ndim > 2 else 0)
        sample = tuple(input.shape[extra:]) if extra > 0 else ()
        if extra not in (1, 2) or (self.input_shape is not None and sample != self.input_shape):
            raise ChipflowError(f"The input has shape {list(input.shape)}, expected {self._expected()}.")
        return extra == 1

    def _steps_of_merged(self, input: Tensor) -> int:
        if self.num_timesteps is not None:
            unfold_time(input, self.num_timesteps)
            return self.num_timesteps
        if self.batch_size is None:
            raise ChipflowError(
                f"The input has shape {list(input.shape)}, expected {self._expected()}. "
                "If batch and time are merged in its first axis, give from_model batch_size or num_timesteps."
            )
        if input.shape[0] % self.batch_size:
            raise ChipflowError(
                f"The first axis of the input (shape {list(input.shape)}) holds batch * time = {input.shape[0]} entries, "
                f"which is no multiple of batch_size = {self.batch_size}."
            )
        return input.shape[0] // self.batch_size

    def _expected(self) -> str:
        if self.input_shape is not None:
            sample = ", ".join(map(str, self.input_shape))
        else:
            sample = {1: "features", 2: "channels, x", 3: "channels, y, x"}.get(self.sample_ndim or 0, "...")
        merged = f" or [batch * time, {sample}]" if self.batch_size or self.num_timesteps else ""
        return f"[batch, time, {sample}]{merged}"


class Network(nn.Module):
    """A spiking network and the network it was made from.

    Calling it calls the spiking model, on [batch, time, ...].

    Attributes:
        analog_model: the user's model itself, as it was given.
        spiking_model: its spiking copy; takes [batch, time, ...] when called by itself, too.
        input_shape: shape of one sample without batch and time; None if not known.
        scales: activation of every neuron layer that stands for a rate of 1 (divided by the threshold asked for), by layer
            name; empty without calibration.
    """

    analog_model: nn.Module
    spiking_model: nn.Module

    def __init__(
        self,
        analog_model: nn.Module,
        spiking_model: nn.Module,
        input_shape: tuple[int, ...] | None = None,
        scales: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.analog_model = analog_model
        self.spiking_model = spiking_model
        self.input_shape = input_shape
        self.scales: dict[str, float] = dict(scales or {})

    def forward(self, input: Tensor) -> Tensor:
        """Run the spiking model; states continue from the previous call."""
        return cast(Tensor, self.spiking_model(input))

    def reset_states(self) -> None:
        """Set every neuron back to zero."""
        for _, layer in stateful_layers(self.spiking_model):
            layer.reset_states()

    @property
    def states(self) -> dict[str, torch.Tensor]:
        """Membrane potentials [batch, ...] by layer name, of the layers that have run since the last reset."""
        return {name: layer.states["v_mem"] for name, layer in stateful_layers(self.spiking_model) if layer.states}
