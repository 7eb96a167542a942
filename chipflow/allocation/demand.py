"""What each layer needs of each memory, and which cores have it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from chipflow.ir.plan import LayerPlan
from hwconfig.chip import ChipSpec, CoreSpec
from hwconfig.memory import KINDS, MemoryNeed, memory_need


@dataclass(frozen=True)
class Demand:
    """A layer's need, in words, and the cores that could hold it, best first."""

    layer: str
    need: MemoryNeed
    cores: tuple[int, ...]


def demands(plans: Iterable[LayerPlan], chip: ChipSpec) -> tuple[Demand, ...]:
    """One demand per layer. Small memories come first, so that large ones stay free for layers that need them; the cores with
    parallel computing, which are made for input layers, come last for all others."""
    plans = tuple(plans)
    hidden = {name for plan in plans for name, _ in plan.targets}
    return tuple(_demand(plan, chip, avoided=chip.parallel_cores if plan.name in hidden else ()) for plan in plans)


def _demand(plan: LayerPlan, chip: ChipSpec, avoided: Collection[int]) -> Demand:
    need = layer_need(plan)
    fitting = [core for core in chip.cores if fits(need, core)]
    fitting.sort(key=lambda core: (core.id in avoided, core.kernel_words + core.neuron_words, core.id))
    return Demand(plan.name, need, tuple(core.id for core in fitting))


def layer_need(plan: LayerPlan) -> MemoryNeed:
    """Words of each memory for one layer."""
    inputs, outputs = plan.input_shape, plan.output_shape
    has_bias = plan.biases is not None and bool(plan.biases.any())
    shapes = (inputs[0], inputs[1], inputs[2]), (outputs[0], outputs[1], outputs[2])
    return memory_need(*shapes, plan.weights.shape[-1], has_bias=has_bias)


def capacity(core: CoreSpec) -> MemoryNeed:
    """A core's memories, in words."""
    return MemoryNeed(core.kernel_words, core.neuron_words, core.bias_words)


def fits(need: MemoryNeed, core: CoreSpec) -> bool:
    """Whether every memory is large enough."""
    return all(getattr(need, kind) <= getattr(capacity(core), kind) for kind in KINDS)
