"""From a model to a program: the one place that knows the order of the stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chipflow.allocation.solve import allocate
from chipflow.emit import core_config, emit
from chipflow.errors import CompileError
from chipflow.frontends import torch_fx
from chipflow.ir.graph import Graph
from chipflow.ir.plan import LayerPlan, make_plan
from chipflow.passes.fold_batchnorm import FoldBatchNorm
from chipflow.passes.lower_linear import LowerLinear
from chipflow.passes.lower_pooling import LowerPooling, pooling_factors
from chipflow.passes.quantize import Mode, Quantize
from chipflow.program import LayerRecord, Program
from chipflow.program_file import graph_hash
from hwconfig import ChipSpec, Provenance, Report, check_core, get_chip


def compile(
    model: Any,
    chip: str | Path | ChipSpec = "speck2f",
    input_shape: tuple[int, ...] | None = None,
    *,
    layer2core_map: Mapping[str, int] | str = "auto",
    calibration: Any = None,
    monitor: Sequence[str] | None = None,
    quantization: Mode = "default",
    time_step_us: int = 1000,
) -> Program:
    """A program that runs on the chip, or on its emulator.

    Args:
        model: a `chipflow.Network`, a spiking torch module, or an ANN (converted first, with a spiking output).
        chip: a known chip's name, the path of a chip's TOML, or a ChipSpec.
        input_shape: (features, y, x); taken from a Network that knows it.
        layer2core_map: "auto", or layer name -> core for the layers that you want to pin.
        calibration: images or recordings; only for an ANN, see `chipflow.from_model`.
        monitor: names of the layers whose spikes are reported; the last one by default.
        quantization: "default", or "sinabs" for exactly the numbers of sinabs.
        time_step_us: microseconds of one time step of the model; biases are added once per step, by the slow clock.

    Raises:
        UnsupportedModelError: layers that no core can do, all at once, with what to use instead.
        QuantizationError: a layer that cannot fire any more, and why.
        CompileError: layers beyond the chip's limits, all at once.
        MappingError: layers that do not find a core, with needs and capacities.
    """
    spec = chip if isinstance(chip, ChipSpec) else get_chip(chip)
    if time_step_us < 1:
        raise CompileError(f"time_step_us is {time_step_us}, it must be at least 1")
    graph = FoldBatchNorm()(torch_fx.load(model, input_shape, calibration))
    factors = pooling_factors(graph)
    lowered = LowerLinear()(LowerPooling()(graph))
    quantised, scales = Quantize(spec.limits, quantization)(lowered)
    plans = make_plan(quantised)
    _check_limits(plans, spec)
    monitored = _monitored(monitor, plans)
    allocation = allocate(plans, spec, _pins(layer2core_map))
    provenance = Provenance(
        tool=f"chipflow {version('chipflow')}",
        model_hash=graph_hash(graph),
        options={"quantization": quantization, "time_step_us": time_step_us, "calibrated": calibration is not None},
    )
    config = emit(plans, allocation.placement, spec, monitored, provenance)
    report = config.violations()
    if not report.ok:
        raise CompileError(f"the compiled configuration breaks design rules:\n{report}")
    records = [LayerRecord(plan.name, allocation.placement[plan.name], factors[plan.name], scales[plan.name]) for plan in plans]
    return Program(
        config=config,
        graph=quantised,
        layers=tuple(records),
        entries=(allocation.placement[plans[0].name],),
        slow_clock_period_us=time_step_us if _leaks(plans) else None,
    )


def lower(model: Any, input_shape: tuple[int, ...] | None = None, *, calibration: Any = None) -> Graph:
    """The model's graph as the quantiser gets it: convolutions, neurons and sum pools, in floats."""
    return LowerLinear()(LowerPooling()(FoldBatchNorm()(torch_fx.load(model, input_shape, calibration))))


def _check_limits(plans: Sequence[LayerPlan], chip: ChipSpec) -> None:
    """The design rules of single cores, under the user's layer names, before any placement."""
    found = [v for plan in plans for v in check_core(core_config(plan), chip, f"layer {plan.name!r}").errors]
    if found:
        raise CompileError(f"layers beyond the limits of {chip.name}:\n{Report(tuple(found))}")


def _monitored(monitor: Sequence[str] | None, plans: Sequence[LayerPlan]) -> tuple[str, ...]:
    names = [plan.name for plan in plans]
    chosen = (names[-1],) if monitor is None else tuple(monitor)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise CompileError(f"monitor names {unknown[0]!r}; the layers are {', '.join(names)}")
    return chosen


def _pins(layer2core_map: Mapping[str, int] | str) -> Mapping[str, int]:
    if not isinstance(layer2core_map, str):
        return layer2core_map
    if layer2core_map != "auto":
        raise CompileError(f"layer2core_map is {layer2core_map!r}; give 'auto' or a mapping from layer name to core")
    return {}


def _leaks(plans: Sequence[LayerPlan]) -> bool:
    return any(plan.biases is not None and bool(plan.biases.any()) for plan in plans)
