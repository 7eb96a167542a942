"""What all layers with states have in common: the states themselves, the axes of batch and time, and what input is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError


class StatefulLayer(nn.Module):
    """A layer whose output in a time step depends on its states, which the input of earlier steps has left.

    States are buffers [batch, ...] that are None until the layer runs; they are not part of the state dict. They go on from one forward
    call to the next, gradients included, until `detach()` cuts these (truncated backpropagation through time) or `reset_states()`
    forgets the states. A call with another batch size or another shape of a sample starts from zero.

    Shape:
        [batch, time, ...] in and out. With `batch_size` or `num_timesteps`, batch and time are merged in the first axis: [batch * time, ...].

    Attributes:
        name: dotted name in the network it is part of, for messages; None for a layer of its own.
        batch_size: number of samples in merged axes; not used if `num_timesteps` is given.
        num_timesteps: number of time steps of a sample in merged axes.
        once_per_pass: whether a second call before `ran` is set back is an error; a network sets this for its layers.
        ran: whether the layer was called.

    Raises:
        ChipflowError: for input that is no floating-point tensor of finite numbers with the axes above.
    """

    def __init__(self, state_names: tuple[str, ...], batch_size: int | None = None, num_timesteps: int | None = None) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("num_timesteps", num_timesteps)):
            if value is not None and not (isinstance(value, int) and value >= 1):
                raise self.error(f"{name} is {value!r}, it must be a whole number of at least 1.")
        self.name: str | None = None
        self.batch_size = batch_size
        self.num_timesteps = num_timesteps
        self.state_names = state_names
        self.once_per_pass, self.ran = False, False
        for name in state_names:
            self.register_buffer(name, None, persistent=False)

    @property
    def states(self) -> dict[str, Tensor]:
        """The states [batch, ...] by name; empty before the first forward call and after `reset_states()`."""
        values = {name: getattr(self, name) for name in self.state_names}
        return {name: value for name, value in values.items() if value is not None}

    def reset_states(self) -> None:
        """Forget the states; the next forward call starts from zero."""
        for name in self.state_names:
            setattr(self, name, None)

    def detach(self) -> None:
        """Keep the states and cut their gradients: backpropagation ends here."""
        for name, value in self.states.items():
            setattr(self, name, value.detach())

    def forward(self, input: Tensor) -> Tensor:
        """Run over the time axis; the output has the shape of the input."""
        if self.once_per_pass and self.ran:
            raise self.error("it runs more than once a pass, and has one state: give every place a layer of its own.")
        self.ran = True
        if self.num_timesteps is None and self.batch_size is None:
            return self._run(self._checked(input, 3))
        merged = self._checked(input, 2)
        return self._run(unfold_time(merged, self.num_timesteps, self.batch_size, self.label)).flatten(0, 1)

    def _run(self, input: Tensor) -> Tensor:
        """Run on [batch, time, ...] and keep the states."""
        raise NotImplementedError

    def _zeros_or(self, name: str, sample: Tensor) -> Tensor:
        """A state, or zeros where there is none for samples [batch, ...] like this."""
        state = getattr(self, name)
        if state is None or state.shape != sample.shape:
            return torch.zeros_like(sample)
        if not torch.compiler.is_compiling() and state.is_inference() and not torch.is_inference_mode_enabled():
            state = state.clone()  # a tensor of inference mode can take no part in training
        return state.to(dtype=sample.dtype, device=sample.device)

    def _checked(self, input: Tensor, least_axes: int) -> Tensor:
        if not isinstance(input, Tensor) or input.ndim < least_axes:
            found = f"shape {list(input.shape)}" if isinstance(input, Tensor) else f"type {type(input).__name__}"
            expected = "[batch, time, ...]" if least_axes == 3 else "[batch * time, ...]"
            raise self.error(f"the input has {found}, expected {expected} with at least one axis for the neurons.")
        if 0 in input.shape:
            raise self.error(f"the input has shape {list(input.shape)}: there is no sample, time step or neuron in it.")
        if not input.is_floating_point():
            if input.is_complex():
                raise self.error(f"the input is {input.dtype}, expected real numbers.")
            return input.to(torch.get_default_dtype())
        return input

    @property
    def label(self) -> str:
        """The layer in messages: its class, and its name where it has one."""
        kind = type(self).__name__
        return kind if getattr(self, "name", None) is None else f"Layer '{self.name}' ({kind})"

    def error(self, text: str) -> ChipflowError:
        """An error about this layer."""
        return ChipflowError(f"{self.label}: {text}")

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which cannot hold a graph: states without their gradients."""
        found = self.__dict__.copy()
        found["_buffers"] = {name: None if value is None else value.detach() for name, value in self._buffers.items()}
        return found


def stateful_layers(model: nn.Module) -> Iterator[tuple[str, StatefulLayer]]:
    """All layers with states in a model, with their dotted names."""
    for name, module in model.named_modules():
        if isinstance(module, StatefulLayer):
            yield name, module


def spiking_part(model: nn.Module) -> nn.Module:
    """The spiking model of a converted network; any other model itself."""
    found = getattr(model, "spiking_model", None)
    return found if isinstance(found, nn.Module) else model


def unfold_time(input: Tensor, num_timesteps: int | None, batch_size: int | None = None, label: str | None = None) -> Tensor:
    """[batch * time, ...] to [batch, time, ...], by the number of time steps or else that of samples.

    Raises:
        ChipflowError: if the first axis is no multiple of that number.
    """
    name, size = ("num_timesteps", num_timesteps) if num_timesteps is not None else ("batch_size", batch_size)
    if size is None or size < 1 or input.shape[0] % size:
        where = "" if label is None else f"{label}: "
        raise ChipflowError(
            f"{where}The first axis of the input (shape {list(input.shape)}) holds batch * time = {input.shape[0]} entries, "
            f"which is no multiple of {name} = {size}."
        )
    rest = input.shape[0] // size
    return input.unflatten(0, (rest, size) if num_timesteps is not None else (size, rest))
