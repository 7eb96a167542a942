"""Design rules: one named function each, from a configuration to the places that break it. All of them run, always.

Grades as in the chip model: A stated by the vendor or seen on silicon, B deduced from such a statement, C our choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwconfig.chip import ChipSpec
from hwconfig.config import ChipConfig, CoreConfig, Destination
from hwconfig.memory import KINDS
from hwconfig.violations import Report, Violation

Findings = Iterator[Violation]
CoreCheck = Callable[[CoreConfig, ChipSpec, str], Findings]
NetworkCheck = Callable[[ChipConfig], Findings]


@dataclass(frozen=True)
class Rule:
    """A rule as documentation: its name, one sentence, and how surely it is known."""

    name: str
    sentence: str
    grade: str


RULES: dict[str, Rule] = {}
_CORE_CHECKS: list[CoreCheck] = []
_NETWORK_CHECKS: list[NetworkCheck] = []


def _core_rule(name: str, sentence: str, grade: str) -> Callable[[CoreCheck], CoreCheck]:
    RULES[name] = Rule(name, sentence, grade)

    def register(check: CoreCheck) -> CoreCheck:
        _CORE_CHECKS.append(check)
        return check

    return register


def _network_rule(name: str, sentence: str, grade: str) -> Callable[[NetworkCheck], NetworkCheck]:
    RULES[name] = Rule(name, sentence, grade)

    def register(check: NetworkCheck) -> NetworkCheck:
        _NETWORK_CHECKS.append(check)
        return check

    return register


def check(config: ChipConfig) -> Report:
    """Every rule broken by the configuration, rules about single cores first."""
    found: list[Violation] = []
    for core_id, core in config.cnn_layers.items():
        found.extend(check_core(core, config.chip, f"core {core_id}").violations)
    for network_check in _NETWORK_CHECKS:
        found.extend(network_check(config))
    return Report(tuple(found))


def check_core(core: CoreConfig, chip: ChipSpec, subject: str) -> Report:
    """The rules that concern one core wherever it is placed; `subject` names it in the report."""
    return Report(tuple(violation for core_check in _CORE_CHECKS for violation in core_check(core, chip, subject)))


# --- one core, wherever it is placed ---


@_core_rule("map-size", "Input and neuron maps have at least one and at most the chip's number of pixels per axis.", "A")
def map_size(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet 2.4."""
    maps = (
        ("input", core.dimensions.input_shape, chip.limits.input_size),
        ("output", core.dimensions.output_shape, chip.limits.output_size),
    )
    for which, (_, height, width), most in maps:
        if not (1 <= height <= most and 1 <= width <= most):
            fix = "use a larger stride, pool before this layer, or crop the input"
            problem = f"{which} map is {height} x {width} (y x x), allowed is 1 to {most} per axis"
            yield Violation("map-size", subject, problem, fix, max(height, width), most, "pixels")


@_core_rule("features", "Features in and out are at least one and at most the chip's limit.", "A")
def features(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet 2.4."""
    most = chip.limits.features
    for which, count in (("input", core.dimensions.input_shape[0]), ("output", core.dimensions.output_shape[0])):
        if not 1 <= count <= most:
            problem = f"{count} {which} features, allowed is 1 to {most}"
            yield Violation("features", subject, problem, "use fewer features in this layer", count, most, "features")


@_core_rule("kernel-size", "The kernel is square and its side within the chip's limit.", "A")
def kernel_size(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet 2.4."""
    size, most = core.dimensions.kernel_size, chip.limits.kernel_size
    if not 1 <= size <= most:
        fix = "use a smaller kernel, or pool before a fully connected layer"
        yield Violation("kernel-size", subject, f"kernel size {size}, allowed is 1 to {most}", fix, size, most, "pixels")


@_core_rule("stride", "Strides are among the chip's, per axis.", "A")
def stride(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet 2.4."""
    wrong = [value for value in core.dimensions.stride if value not in chip.limits.strides]
    if wrong:
        problem = f"stride {core.dimensions.stride} (y, x), allowed per axis are {list(chip.limits.strides)}"
        yield Violation("stride", subject, problem, "use one of these strides", wrong[0])


@_core_rule("padding", "Padding is within the chip's limit, per axis.", "A")
def padding(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet 2.4."""
    most = chip.limits.padding
    wrong = [value for value in core.dimensions.padding if not 0 <= value <= most]
    if wrong:
        problem = f"padding {core.dimensions.padding} (y, x), allowed is 0 to {most} per axis"
        yield Violation("padding", subject, problem, "use less padding", wrong[0], most, "pixels")


@_core_rule("map-formula", "The neuron map is what input, kernel, stride and padding give, rounded down.", "A")
def map_formula(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """sinabs, DynapcnnLayer; datasheet 3.2.4."""
    expected, found = core.dimensions.expected_map(), core.dimensions.output_shape[1:]
    if expected != found:
        problem = f"output map is {found} (y, x), but input, kernel, stride and padding give {expected}"
        yield Violation("map-formula", subject, problem, f"set output_shape's map to {expected}")


@_core_rule("array-shape", "Weights, biases and initial values have the shapes that the dimensions say.", "A")
def array_shape(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """The configuration object's own layout."""
    size = core.dimensions
    kernel = (size.output_shape[0], size.input_shape[0], size.kernel_size, size.kernel_size)
    expected = {"weights": kernel, "biases": (size.output_shape[0],), "neurons_initial_value": size.output_shape}
    for name, shape in expected.items():
        found = getattr(core, name).shape
        if found != shape:
            problem = f"{name} has shape {found}, the dimensions say {shape}"
            yield Violation("array-shape", subject, problem, f"give {name} that shape, or correct the dimensions")


@_core_rule("value-range", "Weights, thresholds, biases and initial values fit the chip's words.", "A")
def value_range(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet, table 3."""
    yield from _array_range("weights", core.weights, chip.limits.weight_range, subject)
    for name in ("biases", "neurons_initial_value"):
        yield from _array_range(name, getattr(core, name), chip.limits.state_range, subject)
    low, high = chip.limits.state_range
    for name, allowed in (("threshold_high", (1, high)), ("threshold_low", (low, high))):
        value = getattr(core, name)
        if not allowed[0] <= value <= allowed[1]:
            problem = f"{name} is {value}, allowed is {allowed[0]} to {allowed[1]}"
            yield Violation("value-range", subject, problem, "quantise with another scale", value, allowed[1])


def _array_range(name: str, values: npt.NDArray[np.integer[Any]], allowed: tuple[int, int], subject: str) -> Findings:
    outside = values[(values < allowed[0]) | (values > allowed[1])]
    if outside.size:
        worst = int(outside[np.argmax(np.abs(outside.astype(np.int64)))])
        problem = f"{outside.size} of {values.size} {name} outside of {allowed[0]} to {allowed[1]}, the farthest is {worst}"
        yield Violation("value-range", subject, problem, "quantise with a smaller scale", worst, allowed[1])


@_core_rule("threshold-low", "The lower bound is -1 or less: 0 is a documented hardware bug.", "A")
def threshold_low(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet 3.2.4.6.3."""
    if core.threshold_low > -1:
        problem = f"threshold_low is {core.threshold_low}, allowed is -1 or less (0 is a documented hardware bug)"
        yield Violation("threshold-low", subject, problem, "use -1", core.threshold_low, -1)


@_core_rule("decimator", "The decimator's interval is an index into the chip's table of ratios.", "A")
def decimator(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet, table 4."""
    most = len(chip.limits.decimator_ratios) - 1
    if not 0 <= core.output_decimator_interval <= most:
        problem = f"output_decimator_interval is {core.output_decimator_interval}, allowed is 0 to {most}"
        yield Violation("decimator", subject, problem, "use one of these", core.output_decimator_interval, most)


@_core_rule("fan-out", "A core has at most the chip's number of destinations.", "A")
def fan_out(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet 3.2.4.8."""
    count, most = len(core.destinations), chip.limits.destinations
    if count > most:
        fix = "let fewer layers read this one"
        yield Violation("fan-out", subject, f"{count} destinations, allowed are {most}", fix, count, most, "destinations")


@_core_rule("pooling", "A destination pools by one of the chip's sizes and shifts features by 0 or more.", "A")
def pooling(core: CoreConfig, chip: ChipSpec, subject: str) -> Findings:
    """datasheet 2.4."""
    for destination in core.enabled_destinations:
        if destination.pooling not in chip.limits.poolings:
            problem = f"pooling {destination.pooling} towards core {destination.layer}, allowed are {list(chip.limits.poolings)}"
            yield Violation(
                "pooling", subject, problem, "use one of these sizes, or a convolution with stride", destination.pooling
            )
        if destination.feature_shift < 0:
            problem = f"feature_shift {destination.feature_shift} towards core {destination.layer} is negative"
            yield Violation("pooling", subject, problem, "use 0 or more", destination.feature_shift, 0)


# --- the network of cores ---


@_network_rule("core-id", "Configured cores exist on the chip.", "A")
def core_id(config: ChipConfig) -> Findings:
    """The chip's description."""
    known = config.chip.core_ids
    for core in config.active_cores:
        if core not in known:
            problem = f"{config.chip.name} has no such core, its cores are {known[0]} to {known[-1]}"
            yield Violation("core-id", f"core {core}", problem, "move the layer to a core that exists", core)


@_network_rule("memory", "Kernel, neuron and bias memory of each core hold its layer.", "A")
def memory(config: ChipConfig) -> Findings:
    """datasheet 3.2.4.1; hwconfig.memory has the formulas."""
    for core_id_, core in config.cnn_layers.items():
        size = core.dimensions
        if core_id_ not in config.chip.core_ids or min(*size.input_shape, *size.output_shape, size.kernel_size) < 1:
            continue  # other rules name these
        need, spec = core.memory_need(), config.chip.core(core_id_)
        for kind in KINDS:
            needed, available = getattr(need, kind), getattr(spec, f"{kind}_words")
            if needed > available:
                problem = f"needs {needed} words of {kind} memory, available are {available}"
                fix = "place the layer on a core with more, or use fewer features or a smaller map"
                yield Violation("memory", f"core {core_id_}", problem, fix, needed, available, f"{kind} words")


@_network_rule("destination-exists", "Enabled destinations are configured cores, or the readout block.", "A")
def destination_exists(config: ChipConfig) -> Findings:
    """datasheet 3.2.5.3 for the readout block's id."""
    for subject, _, destination in _links(config):
        if destination.layer not in config.cnn_layers and destination.layer != config.chip.layers.readout:
            problem = f"sends to core {destination.layer}, which is not configured"
            yield Violation(
                "destination-exists", subject, problem, "configure that core, or disable the destination", destination.layer
            )


@_network_rule("destination-shape", "Map and features match along every enabled destination, after pooling and shift.", "A")
def destination_shape(config: ChipConfig) -> Findings:
    """The vendor's validator; hardware facts, section 6.5."""
    reached: dict[int, int] = {}
    for subject, (count, height, width), destination in _links(config):
        if destination.layer not in config.cnn_layers or destination.pooling < 1:
            continue
        target = config.core(destination.layer).dimensions.input_shape
        sent = (height // destination.pooling, width // destination.pooling)
        if sent != target[1:]:
            problem = f"sends a map of {sent} (y, x) to core {destination.layer}, which expects {target[1:]}"
            yield Violation("destination-shape", subject, problem, "make the two sizes equal")
        last = destination.feature_shift + count
        reached[destination.layer] = max(reached.get(destination.layer, 0), last)
        if last > target[0]:
            problem = f"sends features up to {last - 1} to core {destination.layer}, which has {target[0]}"
            yield Violation("destination-shape", subject, problem, "make features and shift fit", last, target[0], "features")
    for core, count in reached.items():
        expected = config.core(core).dimensions.input_shape[0]
        if count < expected:
            problem = f"expects {expected} features, its sources send {count}"
            yield Violation(
                "destination-shape", f"core {core}", problem, "make the two counts equal", expected, count, "features"
            )


@_network_rule("loop", "Destinations form no loop: the vendor warns of deadlock.", "A")
def loop(config: ChipConfig) -> Findings:
    """sinabs' page on network architectures."""
    cores = _cores_on_loops(config)
    if cores:
        problem = f"destinations form a loop through cores {cores}"
        yield Violation("loop", f"core {cores[0]}", problem, "remove a destination of one of them")


def _cores_on_loops(config: ChipConfig) -> list[int]:
    """Cores left after removing, again and again, those without a successor or without a predecessor."""
    targets = {
        core: {d.layer for d in part.enabled_destinations} & set(config.cnn_layers) for core, part in config.cnn_layers.items()
    }
    left = set(targets)
    while True:
        inner = {core for core in left if targets[core] & left and any(core in targets[other] for other in left)}
        if inner == left:
            return sorted(left)
        left = inner


def _links(config: ChipConfig) -> Iterator[tuple[str, tuple[int, int, int], Destination]]:
    """(who sends, its output shape, where to) for every enabled destination, the sensor's first."""
    shape = config.dvs_layer.output_shape(config.chip.sensor.size)
    for destination in config.dvs_layer.enabled_destinations:
        yield "sensor", shape, destination
    for core_id_, core in config.cnn_layers.items():
        for destination in core.enabled_destinations:
            yield f"core {core_id_}", core.dimensions.output_shape, destination
