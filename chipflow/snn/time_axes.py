"""Batch and time of a spiking network: how layers made for single samples run on [batch, time, ...]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError
from chipflow.snn.stateful import StatefulLayer, stateful_layers, unfold_time

SampleShape = tuple[int | None, ...]
"""Shape of one sample; None for an axis of any size."""

AXES = {1: ("features",), 2: ("channels", "x"), 3: ("channels", "y", "x"), 4: ("channels", "z", "y", "x")}
"""Names of the axes of a sample, for messages."""


@dataclass(eq=False)
class TimeAxes:
    """Forward hooks that let a model of single samples run on [batch, time, ...].

    Before the model runs, batch and time are merged into one axis and the layers with states learn the number of time steps; afterwards
    the output is unfolded again. Input whose batch and time were merged already keeps them merged. Integers and booleans become
    numbers of the dtype of the model's parameters.

    Attributes:
        input_shape: of one sample; None if unknown, then every input is taken as [batch, time, ...].
        batch_size: used for merged input if `num_timesteps` is None.
        num_timesteps: used for merged input.
    """

    input_shape: SampleShape | None
    batch_size: int | None = None
    num_timesteps: int | None = None
    _unfold: int | None = field(default=None, repr=False)
    _running: list[StatefulLayer] = field(default_factory=list["StatefulLayer"], repr=False)

    def attach(self, model: nn.Module) -> None:
        """Register the two hooks on `model`, and let its layers with states know their names."""
        for name, layer in stateful_layers(model):
            layer.name = name
        model.register_forward_pre_hook(self.before)
        model.register_forward_hook(self.after)

    def before(self, model: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Merge batch and time of the first argument.

        Raises:
            ChipflowError: for input of another shape, or with values that are not finite.
        """
        if not args or not isinstance(args[0], Tensor):
            found = type(args[0]).__name__ if args else "none"
            raise ChipflowError(
                f"The spiking model takes one tensor {self._expected()} as its first positional argument, found {found}."
            )
        input = args[0]
        merged = self._is_merged(input)
        steps = self._steps_of_merged(input) if merged else input.shape[1]
        if 0 in input.shape:
            raise ChipflowError(
                f"The network's input has shape {list(input.shape)}: there is no sample, no time step or no value in it."
            )
        input = _as_numbers(input, model)
        layers = list(stateful_layers(model))
        for name, layer in layers:
            layer.name, layer.num_timesteps, layer.once_per_pass, layer.ran = name, steps, True, False
        self._running = [layer for _, layer in layers]
        self._unfold = None if merged else steps
        return (input if merged else input.flatten(0, 1), *args[1:])

    def after(self, model: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Unfold the output into [batch, time, ...]; also the tensors of a tuple, list or dictionary. Layers become again what they are alone."""
        for layer in self._running:
            layer.num_timesteps, layer.once_per_pass, layer.ran = None, False, False
        self._running = []
        return output if self._unfold is None else _unfolded(output, self._unfold)

    def _is_merged(self, input: Tensor) -> bool:
        shape = self.input_shape
        extra = input.ndim - len(shape) if shape is not None else (2 if input.ndim > 2 else 0)
        if extra not in (1, 2) or (shape is not None and not fits(input, shape)):
            raise ChipflowError(f"The network's input has shape {list(input.shape)}, expected {self._expected()}.")
        return extra == 1

    def _steps_of_merged(self, input: Tensor) -> int:
        if self.num_timesteps is None and self.batch_size is None:
            raise ChipflowError(
                f"The network's input has shape {list(input.shape)}, expected {self._expected()}: the time axis is missing. "
                "If batch and time are merged in its first axis, give from_model batch_size or num_timesteps."
            )
        return unfold_time(input, self.num_timesteps, self.batch_size, "The network").shape[1]

    def _expected(self) -> str:
        sample = axes_of(self.input_shape)
        merged = f" or [batch * time, {sample}]" if self.batch_size or self.num_timesteps else ""
        return f"[batch, time, {sample}]{merged}"


def _unfolded(output: Any, num_timesteps: int) -> Any:
    """Of a tensor, or of all tensors of a tuple, list or dictionary."""
    if isinstance(output, Tensor):
        return unfold_time(output, num_timesteps)
    if type(output) in (tuple, list):
        return type(output)(_unfolded(value, num_timesteps) for value in output)
    if type(output) is dict:
        return {name: _unfolded(value, num_timesteps) for name, value in output.items()}
    raise ChipflowError(f"The model returned {type(output).__name__}; a spiking model has to return tensors.")


def fits(data: Tensor, sample: SampleShape) -> bool:
    """Whether the last axes of `data` can be a sample of this shape."""
    sizes = data.shape[data.ndim - len(sample) :]
    return all(size in (found, None) for found, size in zip(sizes, sample, strict=True))


def axes_of(sample: SampleShape | None) -> str:
    """The shape of a sample for messages, names where the size does not matter."""
    if sample is None:
        return "..."
    names = AXES.get(len(sample), ("...",) * len(sample))
    return ", ".join(name if size is None else str(size) for name, size in zip(names, sample, strict=True))


def _as_numbers(input: Tensor, model: nn.Module) -> Tensor:
    """Input in the dtype of the model's parameters, refused if it is not finite: before any state has changed.

    Under autocast floats stay what they are.
    """
    if input.is_complex():
        raise ChipflowError(f"The network's input is {input.dtype}, expected real numbers.")
    if input.is_floating_point() and not torch.compiler.is_compiling() and not bool(torch.isfinite(input.sum())):
        bad = input.numel() - int(torch.isfinite(input).sum())  # the sum may have overflown, too
        if bad:
            raise ChipflowError(
                f"The network's input: {bad} of {input.numel()} values (shape {list(input.shape)}) are not finite numbers. "
                "The states are as they were; look at the data."
            )
    if input.is_floating_point() and torch.is_autocast_enabled(input.device.type):
        return input
    floating = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return input.to(next(floating, input.dtype if input.is_floating_point() else torch.get_default_dtype()))
