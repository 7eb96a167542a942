"""From a model to a program: the one place that knows the order of the stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from chipflow.allocation.solve import Allocation, Objective, allocate
from chipflow.emit import emit
from chipflow.errors import CompileError, UnsupportedModelError
from chipflow.frontends.load import load
from chipflow.ir.graph import Graph
from chipflow.ir.make_plan import make_plan
from chipflow.ir.nodes import Sensor
from chipflow.ir.plan import NetworkPlan
from chipflow.passes.fold_batchnorm import FoldBatchNorm
from chipflow.passes.fold_pooling import PoolBefore, PoolBehind
from chipflow.passes.lower_linear import LowerLinear
from chipflow.passes.lower_pooling import LowerPooling, input_factors
from chipflow.passes.lower_sums import LowerSums
from chipflow.passes.order_inputs import OrderInputs
from chipflow.passes.quantize import Mode, Quantize
from chipflow.passes.readout import WidenForReadout
from chipflow.passes.sensor import LowerSensor, with_sensor
from chipflow.passes.spiking import MakeSpiking
from chipflow.passes.split import Split
from chipflow.passes.square_kernels import SquareKernels
from chipflow.program import LayerRecord, Program
from chipflow.program_file import graph_hash
from chipflow.quantization import LayerScale
from hwconfig import ChipSpec, Provenance, ReadoutConfig, chip_names, get_chip

Pins = Mapping[str, int | Sequence[int]]
InputShape = tuple[int, ...] | Mapping[str, tuple[int, ...]] | None


class Pass(Protocol):
    """Graph to graph."""

    def __call__(self, graph: Graph) -> Graph: ...


def float_passes(chip: ChipSpec) -> tuple[Pass, ...]:
    """What brings a graph to what a core can do, in order; each keeps what the network computes."""
    return (
        FoldBatchNorm(),
        MakeSpiking(),
        LowerLinear(),
        PoolBehind(),
        LowerSums(chip.limits),
        LowerPooling(),
        LowerSensor(chip.sensor),
        PoolBefore(chip.limits),
        OrderInputs(),
        SquareKernels(chip.limits),
    )


@dataclass(frozen=True)
class Prepared:
    """A network in integers, before it is placed.

    Attributes:
        chip: for which it was made.
        model_hash: of the network as it was given.
        graph: in integers.
        scales: layer -> how it was quantised.
        factors: layer -> factors of average pools and scales on its input features.
        plan: of all cores, before any layer is split.
    """

    chip: ChipSpec
    model_hash: str
    graph: Graph
    scales: dict[str, LayerScale]
    factors: dict[str, tuple[float, ...]]
    plan: NetworkPlan


def compile(
    model: Any,
    chip: str | Path | ChipSpec = "speck2f",
    input_shape: InputShape = None,
    *,
    layer2core_map: Pins | str = "auto",
    calibration: Any = None,
    monitor: Sequence[str] | None = None,
    quantization: Mode = "default",
    time_step_us: int = 1000,
    objective: Objective = "memory",
    recording: Any = None,
    split: bool = True,
    sensor: bool | Sensor = False,
    readout: bool | ReadoutConfig = False,
) -> Program:
    """A program that runs on the chip, or on its emulator.

    Args:
        model: a `chipflow.Network`; a torch module, spiking (also of sinabs) or an ANN, which is converted first, with a spiking
            output; a `nir.NIRGraph` or the path of a NIR file.
        chip: a known chip's name, the path of a chip's TOML, or a ChipSpec.
        input_shape: (features, y, x), or by the names of the inputs where there are several; a Network and NIR may know it.
        layer2core_map: "auto", or layer name -> core for the layers that you want to pin; several cores split the layer over these.
        calibration: images or recordings [N, time, ...]; they balance an ANN, see `chipflow.from_model`, and with
            quantization="search" scales are chosen by the spikes on the recordings.
        monitor: names of the layers whose spikes are reported; the outputs by default.
        quantization: "default", "sinabs" for exactly the numbers of sinabs, or "search" for scales that keep more of the network.
        time_step_us: microseconds of one time step of the model; biases are added once per step, by the slow clock.
        objective: "memory" keeps cores with large memories free, "speed" puts the layers with most work on the fastest cores.
        recording: events from which "speed" counts each layer's synaptic operations; without it, multiply-accumulates count.
        split: whether a layer that fits no core may be split over several.
        sensor: True if events come through the chip's sensor block, or what that block does with them first; input_shape is then
            (2, y, x) of what the block sees, all of the sensor by default.
        readout: True if the readout block counts the output's spikes, or its configuration.

    Raises:
        UnsupportedModelError: layers that no core can do, all at once, with what to use instead.
        QuantizationError: a layer that cannot fire any more, and why.
        MappingError: layers beyond the chip's limits, or that do not find a core; `.report` has the reasons and what would help.
        CompileError: options that do not fit the network.
    """
    spec = chip if isinstance(chip, ChipSpec) else get_chip(chip)
    _check_options(time_step_us, quantization, monitor, recording, objective)
    prepared = prepare(
        model, spec, input_shape, calibration=calibration, quantization=quantization, sensor=sensor, readout=readout
    )
    options: dict[str, Any] = {
        "quantization": quantization, "time_step_us": time_step_us, "calibrated": calibration is not None,
        "objective": objective, "split": split,
    }  # fmt: skip
    block = ReadoutConfig(enable=True, readout_pin_monitor_enable=True) if readout is True else readout or None

    pins, others = pins_of(layer2core_map), other_chips(spec, sensor, readout)

    def place(synops: Mapping[str, int] | None = None) -> Program:
        shape = prepared.plan.shape
        allocation = allocate(shape, spec, pins, objective=objective, synops=synops, split=split, other_chips=others)
        return _program(prepared, allocation, monitor, time_step_us, block, options)

    first = place()
    return first if recording is None else place(_synops(first, recording))


def prepare(
    model: Any,
    chip: ChipSpec,
    input_shape: InputShape = None,
    *,
    calibration: Any = None,
    quantization: Mode = "default",
    sensor: bool | Sensor = False,
    readout: bool | ReadoutConfig = False,
) -> Prepared:
    """All stages before placement; arguments and errors as `compile`."""
    given = _given(model, input_shape, calibration, sensor, chip)
    lowered, factors = _lowered(given, chip)
    recordings = _recordings(calibration) if quantization == "search" else None
    quantised, scales = Quantize(chip.limits, quantization, recordings)(lowered)
    plan = make_plan(quantised, readout=bool(readout))
    if readout:
        plan = WidenForReadout(chip)(plan)
    return Prepared(chip, graph_hash(given), quantised, scales, factors, plan)


def sketch(
    model: Any,
    chip: ChipSpec,
    input_shape: InputShape = None,
    *,
    sensor: bool | Sensor = False,
    readout: bool | ReadoutConfig = False,
) -> NetworkPlan:
    """The plan of a network that need not be trained: sizes and destinations, with floats in the place of integers."""
    lowered, _ = _lowered(_given(model, input_shape, None, sensor, chip), chip)
    plan = make_plan(lowered, readout=bool(readout))
    biased = [replace(layer, shape=replace(layer.shape, has_bias=layer.biases is not None)) for layer in plan.layers]
    plan = replace(plan, layers=tuple(biased))
    return WidenForReadout(chip)(plan) if readout else plan


def lower(model: Any, input_shape: tuple[int, ...] | None = None, *, calibration: Any = None, chip: str = "speck2f") -> Graph:
    """The model's graph as the quantiser gets it: convolutions, neurons and sum pools, in floats."""
    return _lowered(load(model, input_shape, calibration), get_chip(chip))[0]


def _given(model: Any, input_shape: InputShape, calibration: Any, sensor: bool | Sensor, chip: ChipSpec) -> Graph:
    """The network as it was given, behind the sensor's front end where one is asked for."""
    if not isinstance(sensor, Sensor):
        graph = load(model, input_shape, calibration)
        return with_sensor(graph, Sensor(pixels=chip.features.pixels), graph.inputs[0].shape) if sensor else graph
    if sensor.pixels and not chip.features.pixels:
        raise UnsupportedModelError(f"sensor: {chip.name} has no pixels of its own: use Sensor(..., pixels=False)")
    if isinstance(input_shape, Mapping):
        raise CompileError("input_shape names several inputs; a sensor front end needs a network with one")
    seen = tuple(input_shape or (2, chip.sensor.size, chip.sensor.size))
    try:
        shape = sensor.output_shape(seen)
    except ValueError as error:
        raise UnsupportedModelError(f"sensor: {error}") from None
    return with_sensor(load(model, shape, calibration), sensor, seen)


def _lowered(graph: Graph, chip: ChipSpec) -> tuple[Graph, dict[str, tuple[float, ...]]]:
    """The graph after all passes in floats, and the factors that one of them multiplied into each layer's weights."""
    factors: dict[str, tuple[float, ...]] = {}
    for each in float_passes(chip):
        if isinstance(each, LowerPooling):
            factors = {name: _distinct(found) for name, found in input_factors(graph).items()}
        graph = each(graph)
    return graph, factors


def _distinct(factors: Any) -> tuple[float, ...]:
    """Neighbours of equal value as one."""
    change = np.flatnonzero(np.diff(factors)) + 1
    return tuple(float(value) for value in factors[[0, *change]])


def _program(
    prepared: Prepared,
    allocation: Allocation,
    monitor: Sequence[str] | None,
    time_step_us: int,
    readout: ReadoutConfig | None,
    options: Mapping[str, Any],
) -> Program:
    plan = split_as_placed(prepared.plan, allocation)
    placement = allocation.placement
    provenance = Provenance(tool=f"chipflow {version('chipflow')}", model_hash=prepared.model_hash, options=dict(options))
    config = emit(plan, placement, prepared.chip, _monitored(monitor, plan), provenance, readout)
    period = time_step_us if _has_ticks(plan, readout) else None
    records = [
        LayerRecord(
            name=layer.name,
            core=placement[layer.name],
            pooling_factor=_one_or_all(prepared.factors[layer.layer]),
            quantization=prepared.scales[layer.layer],
            layer=layer.layer,
            first_feature=layer.first_feature,
            feature_step=layer.feature_step,
        )
        for layer in plan.layers
    ]
    inputs = {name: tuple(placement[reader] for reader in readers) for name, readers in plan.entries.items()}
    program = Program(config=config, graph=prepared.graph, layers=tuple(records), inputs=inputs, slow_clock_period_us=period)
    report = program.violations()
    if not report.ok:
        raise CompileError(f"the compiled configuration breaks design rules:\n{report}")
    return program


def split_as_placed(plan: NetworkPlan, allocation: Allocation) -> NetworkPlan:
    """The plan with every layer in the parts that the allocation made of it."""
    parts: dict[str, list[tuple[str, int, int]]] = {}
    for part in allocation.parts:
        parts.setdefault(part.layer, []).append((part.name, part.first_feature, part.features))
    return Split(parts)(plan)


def _check_options(time_step_us: int, quantization: str, monitor: Any, recording: Any, objective: str) -> None:
    wrong = [
        (time_step_us < 1, f"time_step_us is {time_step_us}, it must be at least 1"),
        (
            quantization not in get_args(Mode),
            f"quantization is {quantization!r}; known are {', '.join(map(repr, get_args(Mode)))}",
        ),
        (isinstance(monitor, str), f"monitor is {monitor!r}: give a list of layer names"),
        (recording is not None and objective != "speed", 'recording is only used with objective="speed": leave it out'),
    ]
    found = [text for is_wrong, text in wrong if is_wrong]
    if found:
        raise CompileError("; ".join(found))


def _one_or_all(factors: tuple[float, ...]) -> float | tuple[float, ...]:
    return factors[0] if len(factors) == 1 else factors


def _monitored(monitor: Sequence[str] | None, plan: NetworkPlan) -> list[str]:
    """Names of the parts of the layers to monitor."""
    wanted = plan.outputs if monitor is None else tuple(monitor)
    known = {layer.layer for layer in plan.layers} | {layer.name for layer in plan.layers}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise CompileError(
            f"monitor names {unknown[0]!r}; the layers are {', '.join(dict.fromkeys(p.layer for p in plan.layers))}"
        )
    return [layer.name for layer in plan.layers if layer.layer in wanted or layer.name in wanted]


def pins_of(layer2core_map: Pins | str) -> Pins:
    """The layers that a user pins."""
    if isinstance(layer2core_map, Mapping):
        return layer2core_map
    if layer2core_map != "auto":
        raise CompileError(f"layer2core_map is {layer2core_map!r}; give 'auto' or a mapping from layer name to core")
    return {}


def _has_ticks(plan: NetworkPlan, readout: ReadoutConfig | None) -> bool:
    return any(layer.shape.has_bias for layer in plan.layers) or (readout is not None and readout.enable)


def other_chips(chip: ChipSpec, sensor: bool | Sensor, readout: bool | ReadoutConfig) -> list[ChipSpec]:
    """All that are known beside this one, with the blocks that are asked for, and for which a network is lowered in the same way."""
    found = [get_chip(name) for name in chip_names() if name != chip.name]
    if readout:
        found = [other for other in found if other.features.readout and other.readout == chip.readout]
    return [other for other in found if other.features.pixels or not (isinstance(sensor, Sensor) and sensor.pixels)]


def _synops(program: Program, recording: Any) -> dict[str, int]:
    """Synaptic operations of each of the user's layers on a recording, by the emulator."""
    result = program.run(recording, on_outside="drop", strict=False)
    counted: dict[str, int] = {}
    for layer in program.layers:
        counted[layer.layer] = counted.get(layer.layer, 0) + result.counters[layer.core].synops
    return counted


def _recordings(calibration: Any) -> Any:
    """Calibration data as rasters [time, ...], where it is one; images say nothing about spikes."""
    if calibration is None:
        return None
    data = np.asarray(calibration)
    return list(data) if data.ndim == 5 else None
