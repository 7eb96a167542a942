"""A spiking network as a chain of cores: pools, then a convolution or linear layer, then integrate-and-fire neurons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch.fx
from torch import nn

from chipflow.errors import UnsupportedModelError
from chipflow.snn.chip.reshaping import called, flattened_axes, is_size, place_of
from chipflow.snn.chip.taps import Pair
from chipflow.snn.iaf import IAF
from chipflow.snn.pooling import SumPool2d

Synapses = nn.Conv2d | nn.Linear
LIBRARIES = ("torch.nn.", "chipflow.snn.")
"""Modules whose `forward` comes from here are one layer; others are looked into."""

KNOWN = "Known are Conv2d, Linear, IAF, AvgPool2d, SumPool2d, Flatten, Dropout and Identity, one after the other."
FUNCTIONS = "Of functions only torch.flatten(x, 1) and x.view(x.size(0), -1) are known; use modules for others."
ADVICE: dict[str, str] = {
    **dict.fromkeys(
        ("BatchNorm1d", "BatchNorm2d"),
        "a core has weights only: multiply it into the convolution first (torch.nn.utils.fusion.fuse_conv_bn_eval)",
    ),
    "ReLU": "neurons of a core spike: convert the network with chipflow.from_model and use its spiking_model",
    "AdaptiveAvgPool2d": "write its window out as an AvgPool2d",
    "MaxPool2d": "the chip sums when it pools: use AvgPool2d or SumPool2d",
    **dict.fromkeys(
        ("LIF", "ALIF", "ExpLeak"), "neurons of a core do not leak but by a constant: use IAF, and a bias for the leak"
    ),
    **dict.fromkeys(("IAFRecurrent", "LIFRecurrent", "ALIFRecurrent"), "no core reads its own spikes: use IAF"),
}


@dataclass(frozen=True, eq=False)
class Part:
    """What one core does.

    Attributes:
        name: of the convolution or linear layer, which is the core's name in a program too.
        synapses: that layer.
        neuron_name: of the neurons.
        neurons: the neurons.
        pool: (y, x), over which spikes are summed in front.
        factor: on the weights, for the areas of average pools.
        flattened: whether a Flatten lies in front.
    """

    name: str
    synapses: Synapses
    neuron_name: str
    neurons: IAF
    pool: Pair
    factor: float
    flattened: bool


@dataclass
class _Front:
    """What has been met since the last neurons."""

    pool: Pair = (1, 1)
    factor: float = 1.0
    flattened: bool = False
    synapses: tuple[str, Synapses] | None = None
    last_pool: str | None = None


@dataclass
class _Chain:
    """The chain so far."""

    parts: list[Part] = field(default_factory=list[Part])
    front: _Front = field(default_factory=_Front)

    def add(self, name: str, module: nn.Module) -> None:
        """The next layer."""
        front = self.front
        if isinstance(module, nn.Dropout | nn.Dropout2d | nn.Identity):
            return
        if isinstance(module, IAF) and front.synapses is not None:
            _check_neurons(name, module, self.parts)
            self.parts.append(Part(*front.synapses, name, module, front.pool, front.factor, front.flattened))
            self.front = _Front()
            return
        if isinstance(module, IAF):
            raise refused(name, "the neurons do not stand directly behind a Conv2d or Linear layer: put one between")
        if front.synapses is not None:
            where = f"{_kind(module)} stands between '{front.synapses[0]}' and its neurons"
            raise refused(
                name, f"{where}: {ADVICE.get(_kind(module), 'put IAF directly behind the weights, and this behind it')}"
            )
        self._add_in_front(name, module)

    def _add_in_front(self, name: str, module: nn.Module) -> None:
        front = self.front
        if isinstance(module, nn.Conv2d | nn.Linear):
            _check_synapses(name, module, front.flattened)
            if any(name == part.name for part in self.parts):
                raise refused(name, "runs twice: a core holds one use, give each place its own module")
            front.synapses = (name, module)
        elif isinstance(module, nn.AvgPool2d | SumPool2d):
            if front.flattened:
                raise refused(name, "pools what is flattened: pool before flattening")
            size = _window(name, module)
            front.pool, front.last_pool = (front.pool[0] * size[0], front.pool[1] * size[1]), name
            if isinstance(module, nn.AvgPool2d):
                front.factor *= 1 / (size[0] * size[1])
        elif isinstance(module, nn.Flatten):
            if (module.start_dim, module.end_dim) != (1, -1):
                raise refused(name, f"flattens axes {module.start_dim} to {module.end_dim}: use start_dim=1, end_dim=-1")
            front.flattened = True
        else:
            raise refused(name, f"{_kind(module)} is nothing that a core does: {ADVICE.get(_kind(module), KNOWN)}")

    def call(self, node: torch.fx.Node) -> None:
        """The next call of a function, which may flatten."""
        axes, front = flattened_axes(node), self.front
        if axes is None:
            raise UnsupportedModelError(f"The call of {called(node)} {place_of(node)} is nothing that a core does. {FUNCTIONS}")
        if axes != (1, -1):
            start, end = axes
            raise UnsupportedModelError(
                f"The call of flatten {place_of(node)} flattens axes {start} to {end}: use torch.flatten(x, 1)."
            )
        if front.synapses is not None:
            raise UnsupportedModelError(
                f"The call of {called(node)} {place_of(node)} stands between '{front.synapses[0]}' and its neurons: put IAF directly behind the "
                "weights, and this behind it."
            )
        front.flattened = True


def chain_of(model: nn.Module) -> tuple[list[Part], bool]:
    """The cores of a model, and whether its output is flattened.

    Raises:
        UnsupportedModelError: for a model that is no such chain; the message names the layer, the reason and the way out.
    """
    model = nn.Sequential(model) if _is_one_layer(model) else model
    chain = _Chain()
    last: Any = None
    for node in _traced(model).nodes:
        if node.op == "placeholder" and last is None:
            last = node
            continue
        if is_size(node):
            continue
        if node.op in ("placeholder", "get_attr") or [read for read in node.all_input_nodes if not is_size(read)] != [last]:
            raise UnsupportedModelError(
                f"{_subject(node)} does not read just the output of the layer before it, and here cores are one chain: write the model "
                "without branches, further inputs and parameters outside of layers."
            )
        if node.op == "call_module":
            chain.add(str(node.target), model.get_submodule(str(node.target)))
        elif node.op != "output":
            chain.call(node)
        last = node
    return _finished(chain)


def _subject(node: torch.fx.Node) -> str:
    """A node in messages."""
    if node.op == "call_module":
        return f"Layer '{node.target}'"
    if node.op in ("placeholder", "get_attr"):
        return f"The {'input' if node.op == 'placeholder' else 'parameter'} '{node.target}'"
    return "The output" if node.op == "output" else f"The call of {called(node)} {place_of(node)}"


def refused(name: str, problem: str) -> UnsupportedModelError:
    """The error for one layer."""
    return UnsupportedModelError(f"Layer '{name}': {problem}.")


def pair(value: Any) -> Pair:
    """One number for both axes, or (y, x)."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def padding_of(conv: nn.Conv2d) -> Pair:
    """Padding (y, x) of a convolution that was accepted, in numbers."""
    if isinstance(conv.padding, str):
        return (0, 0) if conv.padding == "valid" else (conv.kernel_size[0] // 2, conv.kernel_size[1] // 2)
    return pair(conv.padding)


def _finished(chain: _Chain) -> tuple[list[Part], bool]:
    front = chain.front
    if front.synapses is not None:
        raise refused(front.synapses[0], "no neurons behind it: add IAF, or convert with add_spiking_output=True")
    if front.last_pool is not None:
        raise refused(front.last_pool, "no layer reads this pool: take it out, or add a layer and neurons behind it")
    if not chain.parts:
        raise UnsupportedModelError(f"The model has no Conv2d or Linear layer with IAF neurons behind it. {KNOWN}")
    return chain.parts, front.flattened


def _check_neurons(name: str, neurons: IAF, before: list[Part]) -> None:
    problems = [
        (
            neurons.reset not in ("subtract", "zero"),
            f"reset is {neurons.reset!r}: a core subtracts the threshold or becomes 0, use 'subtract' or 'zero'",
        ),
        (
            neurons.max_spikes is not None,
            f"max_spikes is {neurons.max_spikes}, but a core has no time steps: it gives at most one spike an event; use max_spikes=None",
        ),
        (neurons.decay("syn") is not None, "tau_syn is given, but a core has no synaptic current: use tau_syn=None"),
        (any(neurons is part.neurons for part in before), "the same neurons stand at two places: give each place its own"),
    ]
    wrong = [text for is_wrong, text in problems if is_wrong]
    if wrong:
        raise refused(name, "; ".join(wrong))


def _check_synapses(name: str, module: Synapses, flattened: bool) -> None:
    if isinstance(module, nn.Linear):
        return
    problems = [
        (flattened, "reads what is flattened: put it before the Flatten"),
        (module.groups != 1, f"groups is {module.groups}, a core has dense kernels: use groups=1"),
        (pair(module.dilation) != (1, 1), f"dilation is {module.dilation}: use dilation=1 and a larger kernel"),
        (module.padding_mode != "zeros", f"padding_mode is {module.padding_mode!r}: use 'zeros'"),
        (
            module.padding == "same" and any(side % 2 == 0 for side in module.kernel_size),
            "padding is 'same' for a kernel of even size, which is not the same on both sides: write it in numbers",
        ),
    ]
    wrong = [text for is_wrong, text in problems if is_wrong]
    if wrong:
        raise refused(name, "; ".join(wrong))


def _window(name: str, module: Any) -> Pair:
    size, step = pair(module.kernel_size), pair(module.stride)
    if size != step:
        raise refused(name, f"kernel {size} and stride {step} differ: windows of the chip do not overlap, use equal ones")
    if any(pair(getattr(module, "padding", 0))) or getattr(module, "ceil_mode", False):
        raise refused(name, "padding and ceil_mode do not exist on the chip: use padding=0 and ceil_mode=False")
    if getattr(module, "divisor_override", None) is not None:
        raise refused(name, f"divisor_override is {module.divisor_override}: leave it out, or use SumPool2d")
    return size


def _traced(model: nn.Module) -> torch.fx.Graph:
    class Tracer(torch.fx.Tracer):
        record_stack_traces = True  # for messages

        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return _is_one_layer(m)

    try:
        return Tracer().trace(model)
    except Exception as error:
        raise UnsupportedModelError(
            f"torch.fx cannot trace {type(model).__name__}: {error}; let `forward` call layers without conditions that depend on data"
        ) from error


def _is_one_layer(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return False
    owner = next(kind for kind in type(module).__mro__ if "forward" in vars(kind))
    return owner.__module__.startswith(LIBRARIES)


def _kind(module: nn.Module) -> str:
    return type(module).__name__
