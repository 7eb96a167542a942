"""The same layer of neurons in several libraries, as near as each comes to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["IAF", "LIF"]
Run = Callable[["Tensor"], "Tensor"]
"""All time steps from reset states: input to output."""

OURS = "chipflow"
KINDS: tuple[Kind, ...] = ("IAF", "LIF")
TAU = 20.0
DECAY = math.exp(-1 / TAU)


@dataclass(frozen=True)
class Library:
    """A library and its neurons with threshold 1 and a reset that subtracts it; LIF with a time constant of TAU steps.

    Attributes:
        name: of the package.
        time_first: whether its axes are [time, batch, ...]; else [batch, time, ...].
        make: a layer of a kind; raises ImportError where the package is missing.
        differs: how its neurons are not those of the others; empty where they are the same.
    """

    name: str
    time_first: bool
    make: Callable[[Kind], Run]
    differs: str = ""

    def layer(self, kind: Kind, shape: Sequence[int]) -> Layer:
        """A layer with input and gradient of this shape: [batch, time, neurons ...]."""
        input, gradient = make_data(shape)
        if self.time_first:
            input, gradient = (one.transpose(0, 1).contiguous() for one in (input, gradient))
        return Layer(self.make(kind), input, gradient)


@dataclass(frozen=True)
class Layer:
    """A layer of a library, with input and gradient in its order of axes."""

    run: Run
    input: Tensor
    gradient: Tensor

    def once(self) -> tuple[Tensor, Tensor]:
        """Forward and backward: the output and the gradient of the input."""
        leaf = self.input.detach().requires_grad_()
        output = self.run(leaf)
        output.backward(self.gradient)
        assert leaf.grad is not None
        return output.detach(), leaf.grad

    def act(self) -> None:
        """The same, and free what came out, as a step of training would."""
        self.once()


def make_data(shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Input that makes some neurons spike several times in a step and drives others to their lower bound, and a gradient."""
    import torch

    random = torch.Generator().manual_seed(0)
    input = torch.empty(*shape).normal_(0.25, 1.0, generator=random)
    return input, torch.empty(*shape).normal_(generator=random)


def _chipflow(kind: Kind) -> Run:
    from chipflow.snn import IAF, LIF

    layer = IAF(threshold=1.0, min_v_mem=-1.0) if kind == "IAF" else LIF(tau_mem=TAU, norm_input=False)
    return _after_reset(layer, layer.reset_states)


def _sinabs(kind: Kind) -> Run:
    from sinabs import layers

    layer = layers.IAF(min_v_mem=-1.0) if kind == "IAF" else layers.LIF(tau_mem=TAU, norm_input=False)
    return _after_reset(layer, layer.reset_states)


def _spikingjelly(kind: Kind) -> Run:
    from spikingjelly.activation_based import neuron

    if kind == "IAF":
        layer = neuron.IFNode(v_reset=None, step_mode="m")
    else:  # it decays by 1 - 1 / tau
        layer = neuron.LIFNode(tau=1 / (1 - DECAY), decay_input=False, v_reset=None, step_mode="m")
    return _after_reset(layer, layer.reset)


def _snntorch(kind: Kind) -> Run:
    import snntorch
    import torch

    layer = snntorch.Leaky(beta=1.0 if kind == "IAF" else DECAY, reset_delay=False)

    def run(input: Tensor) -> Tensor:
        v_mem, output = layer.reset_mem(), []
        for step in input:
            spikes, v_mem = layer(step, v_mem)
            output.append(spikes)
        return torch.stack(output)

    return run


def _norse(kind: Kind) -> Run:
    import torch
    from norse import torch as norse
    from norse.torch.functional.lif_box import LIFBoxParameters
    from norse.torch.functional.reset import reset_subtract

    if kind == "IAF":
        layer = norse.IAF()
    else:  # its input is multiplied by 1 - DECAY, and so the threshold is; the rate is one per second, for steps of 1 ms
        rate, threshold = torch.tensor(1e3 * (1 - DECAY)), torch.tensor(1 - DECAY)
        layer = norse.Lift(norse.LIFBoxCell(LIFBoxParameters(tau_mem_inv=rate, v_th=threshold, reset_method=reset_subtract)))
    return lambda input: layer(input)[0]


def _after_reset(layer: Callable[[Tensor], Tensor], reset: Callable[[], Any]) -> Run:
    def run(input: Tensor) -> Tensor:
        reset()
        return layer(input)

    return run


LIBRARIES = (
    Library(OURS, False, _chipflow),
    Library("sinabs", False, _sinabs),
    Library("spikingjelly", True, _spikingjelly, "at most one spike a step, no lower bound, derivative of a sigmoid"),
    Library(
        "snntorch", True, _snntorch,
        "at most one spike a step, no lower bound, derivative of an arctangent and none through the reset",
    ),
    Library(
        "norse", True, _norse,
        "at most one spike a step, no lower bound, derivative of SuperSpike; IAF resets to zero, LIF is a LIFBoxCell whose threshold "
        "is scaled as its input is",
    ),
)  # fmt: skip


def installed(kind: Kind, shape: Sequence[int]) -> tuple[dict[str, Layer], dict[str, str]]:
    """By name the layers that can be made here, chipflow's first, and of the other libraries why not."""
    found: dict[str, Layer] = {}
    missing: dict[str, str] = {}
    for library in LIBRARIES:
        try:
            found[library.name] = library.layer(kind, shape)
        except ImportError as error:
            if library.name == OURS:
                raise
            missing[library.name] = str(error)
    return found, missing


def named(name: str) -> Library:
    """One of LIBRARIES."""
    (library,) = (one for one in LIBRARIES if one.name == name)
    return library
