"""What a model does on a batch: its layers in the order in which they run, and the activations seen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from chipflow.errors import UnsupportedModelError

SAMPLE_NDIM: dict[type[nn.Module], int] = {
    nn.Linear: 1,
    nn.Conv1d: 2,
    nn.Conv2d: 3,
    nn.BatchNorm2d: 3,
    nn.AvgPool2d: 3,
    nn.Conv3d: 4,
}
"""Axes of one sample at the input of a layer; layers that are not listed take any number."""


@dataclass
class Trace:
    """Leaf modules in the order of their first call, and how often each ran.

    Attributes:
        order: dotted names.
        calls: number of calls of each name.
        broken: the first layer whose input was not the output of the layer before it; None for a chain.
    """

    order: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    broken: str | None = None


def leaves(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules without children in order of registration, each under every name it has."""
    for name, module in model.named_modules(remove_duplicate=False):
        if next(module.children(), None) is None:
            yield name, module


def sample_ndim_of(model: nn.Module) -> int | None:
    """Axes of one sample, from the first layer that needs a certain number; None after nn.Flatten or if there is none."""
    for _, module in leaves(model):
        if isinstance(module, (nn.Flatten, nn.Unflatten)):
            return None
        for kind, ndim in SAMPLE_NDIM.items():
            if isinstance(module, kind):
                return ndim
    return None


def eval_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode that can be run and changed without touching the user's model.

    A layer without parameters that stands under several names (one nn.ReLU written into a chain twice) becomes several layers.
    """
    copied = copy.deepcopy(model)
    for name, module in list(leaves(copied)):
        if name and next(module.parameters(), None) is None and next(module.buffers(), None) is None:
            parent, _, child = name.rpartition(".")
            setattr(copied.get_submodule(parent), child, copy.deepcopy(module))
    return copied.eval()


def run_traced(model: nn.Module, batch: Tensor, observe: Callable[[str, Tensor], None] | None = None) -> Trace:
    """Run `model` on `batch` [batch, ...] and record the layers; `observe` is called with each leaf's name and output.

    Raises:
        UnsupportedModelError: if the model cannot run on a batch of this shape.
    """
    trace = Trace()
    with _recording(model, trace, observe), torch.no_grad():
        try:
            model(batch)
        except RuntimeError as error:
            where = f" after layer '{trace.order[-1]}'" if trace.order else ""
            shape = list(batch.shape[1:])
            raise UnsupportedModelError(f"The model cannot run on samples of shape {shape}{where}: {error}") from error
    return trace


@contextmanager
def _recording(model: nn.Module, trace: Trace, observe: Callable[[str, Tensor], None] | None) -> Iterator[None]:
    previous: list[Tensor] = []

    def hook_for(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def before(module: nn.Module, args: tuple[Any, ...]) -> None:
            if name not in trace.calls:
                trace.order.append(name)
            trace.calls[name] = trace.calls.get(name, 0) + 1
            if previous and not (args and _same_values(previous[0], args[0])):
                trace.broken = trace.broken or name

        def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor):
                previous[:] = [output]
                if observe is not None:
                    observe(name, output)

        return before, after

    handles: list[Any] = []
    for name, module in leaves(model):
        before, after = hook_for(name)
        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _same_values(one: Tensor, other: Any) -> bool:
    """Whether both are the same memory, perhaps reshaped."""
    return isinstance(other, Tensor) and one.data_ptr() == other.data_ptr() and one.numel() == other.numel()
