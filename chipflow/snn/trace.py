"""What a model does on a batch: its layers in the order in which they run, and the activations seen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from chipflow.errors import ChipflowError, UnsupportedModelError
from chipflow.snn.known_layers import MAKE_PLAIN

SAMPLE_NDIM: dict[type[nn.Module], int] = {
    nn.Linear: 1,
    nn.Conv1d: 2,
    nn.Conv2d: 3,
    nn.BatchNorm2d: 3,
    nn.AvgPool2d: 3,
    nn.Conv3d: 4,
}
"""Axes of one sample at the input of a layer; layers that are not listed take any number."""

FEATURES = {nn.Linear: "in_features", nn.Conv1d: "in_channels", nn.Conv2d: "in_channels", nn.Conv3d: "in_channels"}
"""What layers call the size of the first of these axes."""

PARAMETRISATIONS = "parametrizations"
"""Where torch keeps what computes the weights of a layer, see torch.nn.utils.parametrize."""

RESHAPES = ("flatten", "view", "reshape")
"""Functions and methods that give the same values in another shape."""


@dataclass
class Trace:
    """Leaf modules in the order of their first call, and how often each ran.

    Attributes:
        order: dotted names.
        calls: number of calls of each name.
        broken: the first layer whose input was not the output of the layer before it, or the model's input; None for a chain.
        ends: whether the model returned the output of the last layer.
        output: what the model returned.
    """

    order: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    broken: str | None = None
    ends: bool = False
    output: Any = None


def leaves(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules without children in order of registration, each under every name it has; parametrisations of weights are no children."""
    for name, module in model.named_modules(remove_duplicate=False):
        if PARAMETRISATIONS not in name.split(".") and module._modules.keys() <= {PARAMETRISATIONS}:
            yield name, module


def sample_shape_of(model: nn.Module) -> tuple[int | None, ...] | None:
    """What a model tells of the shape of one sample: None for an axis of any size, or for any number of axes.

    The first layer that needs a certain number of axes decides that, unless nn.Flatten comes before it. Where it is the first of a chain, its
    number of features holds for the sample.
    """
    first = model
    while isinstance(first, nn.Sequential) and len(first) and type(first).forward is nn.Sequential.forward:
        first = first[0]
    for _, layer in leaves(model):
        if isinstance(layer, (nn.Flatten, nn.Unflatten)):
            return None
        for kind, ndim in SAMPLE_NDIM.items():
            if isinstance(layer, kind):
                features = getattr(layer, FEATURES[kind]) if layer is first and kind in FEATURES else None
                return (features, *([None] * (ndim - 1)))
    return None


def eval_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode that can be run and changed without touching the user's model.

    A layer that stands under several names (one nn.ReLU written into a chain twice) becomes several layers, unless it has weights of its
    own; layers inside of which there are weights share them.

    Raises:
        UnsupportedModelError: for a model that cannot be copied.
    """
    copied = _copied(model, {})
    seen: set[int] = set()
    for name in [name for name, _ in copied.named_modules(remove_duplicate=False)]:
        module = copied.get_submodule(name)
        has_weights = bool(module._parameters) or bool(module._buffers)
        if id(module) in seen and not has_weights:
            parent, _, child = name.rpartition(".")
            copied.get_submodule(parent)._modules[child] = sharing_copy(module)
        seen.add(id(module))
    return copied.eval()


def sharing_copy(module: nn.Module) -> nn.Module:
    """A copy with the same parameters and buffers, not copies of them."""
    tensors = (*module.parameters(), *module.buffers())
    return _copied(module, {id(tensor): tensor for tensor in tensors})


def _copied(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:  # whatever the user's objects do
        raise UnsupportedModelError(
            f"{type(module).__name__} cannot be copied, and only a copy is changed: {error}. Where weights are computed anew in each call "
            f"(weight or spectral normalisation, pruning): {MAKE_PLAIN} Detach other tensors that are kept as attributes."
        ) from error


@contextmanager
def refusing(subject: Callable[[], str]) -> Iterator[None]:
    """Turn whatever the user's code raises into an UnsupportedModelError that begins with `subject()`; chipflow's own errors pass."""
    try:
        yield
    except ChipflowError:
        raise
    except Exception as error:
        raise UnsupportedModelError(f"{subject()}: {error}") from error


def layers_as_they_run(model: nn.Module) -> tuple[list[str], bool]:
    """Names of the layers in the order in which they run, and whether the last one's output is the model's.

    As far as torch.fx can tell; otherwise the order is that of registration.
    """
    if next(model.children(), None) is None:
        return [""], True
    try:
        nodes = list(torch.fx.Tracer().trace(model).nodes)
    except Exception:  # whatever the user's code does with torch.fx's stand-ins for tensors
        return [name for name, _ in leaves(model)], True
    layers = [node for node in nodes if node.op == "call_module"]
    last = nodes[-1].args[0]
    while isinstance(last, torch.fx.Node) and getattr(last.target, "__name__", last.target) in RESHAPES:
        last = last.args[0]
    return list(dict.fromkeys(str(node.target) for node in layers)), bool(layers) and last is layers[-1]


def run_traced(model: nn.Module, batch: Tensor, observe: Callable[[str, Tensor], None] | None = None) -> Trace:
    """Run `model` on `batch` [batch, ...] and record the layers; `observe` is called with each leaf's name and output.

    Raises:
        UnsupportedModelError: if the model cannot run on a batch of this shape.
    """
    trace = Trace()

    def subject() -> str:
        where = f" in or after layer '{trace.order[-1]}'" if trace.order else ""
        return f"The model cannot run on samples of shape {list(batch.shape[1:])}{where}"

    with _recording(model, batch, trace, observe) as previous, torch.no_grad(), refusing(subject):
        trace.output = model(batch)
    trace.ends = bool(trace.order) and previous[0].holds(trace.output)
    return trace


@contextmanager
def _recording(
    model: nn.Module, batch: Tensor, trace: Trace, observe: Callable[[str, Tensor], None] | None
) -> Iterator[list[_Memory]]:
    """Yields a list that holds the output of the layer that ran last, or, before any has, the model's input."""
    previous = [_Memory(batch)]

    def hook_for(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def before(module: nn.Module, args: tuple[Any, ...]) -> None:
            if name not in trace.calls:
                trace.order.append(name)
            trace.calls[name] = trace.calls.get(name, 0) + 1
            if not (args and previous[0].holds(args[0])):
                trace.broken = trace.broken or name

        def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor):
                previous[:] = [_Memory(output)]
                if observe is not None:
                    observe(name, output)

        return before, after

    handles: list[Any] = []
    for name, module in leaves(model):
        before, after = hook_for(name)
        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield previous
    finally:
        for handle in handles:
            handle.remove()


class _Memory:
    """What a layer gave, to be found again."""

    def __init__(self, values: Tensor) -> None:
        self._values, self._version = values, values._version

    def holds(self, other: Any) -> bool:
        """Whether both are the same memory, perhaps reshaped, into which nothing was written since."""
        one = self._values
        is_same = isinstance(other, Tensor) and one.data_ptr() == other.data_ptr() and one.numel() == other.numel()
        return is_same and other._version == self._version
