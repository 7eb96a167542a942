"""A core's numbers: shapes and ranges of its arrays, thresholds, and numbers that do nothing or too much."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwconfig.chip import ChipSpec
from hwconfig.core_config import CoreConfig
from hwconfig.rules.catalogue import Finding, Findings, core_rule


@core_rule(
    "array-shape",
    "Weights, biases, initial values and kill bits have the shapes that the dimensions say.",
    grade="A",
    source="the vendor's configuration object",
    fix="give the array that shape, or correct the dimensions",
)
def array_shape(core: CoreConfig, chip: ChipSpec) -> Findings:
    size = core.dimensions
    kernel = (size.output_shape[0], size.input_shape[0], size.kernel_size, size.kernel_size)
    features = (size.output_shape[0],)
    expected = {
        "weights": kernel,
        "biases": features,
        "neurons_initial_value": size.output_shape,
        "weights_kill_bit": kernel,
        "biases_kill_bit": features,
        "neurons_value_kill_bit": size.output_shape,
    }
    for name, shape in expected.items():
        array = getattr(core, name)
        if array is not None and array.shape != shape:
            yield Finding(f"{name} has shape {array.shape}, the dimensions say {shape}")


@core_rule(
    "value-range",
    "Weights, thresholds, biases and initial values fit the chip's words.",
    grade="A",
    source="Speck Dev Kit datasheet, table 3",
    fix="quantise with a smaller scale",
)
def value_range(core: CoreConfig, chip: ChipSpec) -> Findings:
    yield from _array_range("weights", core.weights, chip.limits.weight_range)
    for name in ("biases", "neurons_initial_value"):
        yield from _array_range(name, getattr(core, name), chip.limits.state_range)
    low, high = chip.limits.state_range
    for name, least in (("threshold_high", 1), ("threshold_low", low)):
        value = getattr(core, name)
        if not least <= value <= high:
            yield Finding(f"{name} is {value}, allowed is {least} to {high}", value, high)


def _array_range(name: str, values: npt.NDArray[np.integer], allowed: tuple[int, int]) -> Findings:
    outside = values[(values < allowed[0]) | (values > allowed[1])]
    if outside.size:
        least, most = int(outside.min()), int(outside.max())
        worst = max(least, most, key=abs)
        problem = f"{outside.size} of {values.size} {name} outside of {allowed[0]} to {allowed[1]}, the farthest is {worst}"
        yield Finding(problem, worst, allowed[0] if worst < 0 else allowed[1])


@core_rule(
    "threshold-low",
    "The lower bound is not positive, and on chips with the erratum not 0 either: that is a documented hardware bug.",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.4.6.3",
    fix="use -1, the closest that works",
    suppressible=True,
)
def threshold_low(core: CoreConfig, chip: ChipSpec) -> Findings:
    buggy = chip.has_erratum("threshold-low-zero")
    most = -1 if buggy else 0
    if core.threshold_low > most:
        note = " (0 is a documented hardware bug)" if buggy else ""
        yield Finding(f"threshold_low is {core.threshold_low}, allowed is {most} or less{note}", core.threshold_low, most)


@core_rule(
    "weight-above-threshold",
    "No weight, and no bias that is added, is larger than the threshold, unless spikes reset to 0: a neuron spikes once per "
    "update, keeps the rest, and so goes on spiking at its next updates, whatever they bring.",
    severity="warning",
    grade="B",
    source="sinabs' tips for training (weight clipping)",
    fix="clip the weights in training, or raise the threshold",
)
def weight_above_threshold(core: CoreConfig, chip: ChipSpec) -> Findings:
    if core.return_to_zero:
        return  # nothing is kept after a spike
    added = {"weights": _alive(core.weights, core.weights_kill_bit)}
    if core.leak_enable:
        added["biases"] = _alive(core.biases, core.biases_kill_bit)
    for name, values in added.items():
        count = int(np.count_nonzero(values > core.threshold_high))
        if count:
            most = int(values.max())
            problem = (
                f"{count} of {values.size} {name} are larger than threshold_high {core.threshold_high}, the largest is {most}: "
                "the neuron keeps firing"
            )
            yield Finding(problem, most, core.threshold_high)


@core_rule(
    "initial-value",
    "Initial membrane potentials lie from the lower bound up to below the threshold.",
    severity="warning",
    grade="C",
    source="our choice, as the emulator has it: nothing happens to them until the neuron's next update",
    fix="start below the threshold and not under the lower bound",
)
def initial_value(core: CoreConfig, chip: ChipSpec) -> Findings:
    values = _alive(core.neurons_initial_value, core.neurons_value_kill_bit)
    high, low = int(np.count_nonzero(values >= core.threshold_high)), int(np.count_nonzero(values < core.threshold_low))
    if high:
        problem = f"{high} of {values.size} initial values are at or above threshold_high {core.threshold_high}"
        yield Finding(problem, int(values.max()), core.threshold_high)
    if low:
        problem = f"{low} of {values.size} initial values are below threshold_low {core.threshold_low}"
        yield Finding(problem, int(values.min()), core.threshold_low)


@core_rule(
    "silent-core",
    "A core has something that can make it spike: a positive weight, a positive bias that is added, or an initial value at the threshold.",
    severity="warning",
    grade="B",
    source="follows from what one event does to a neuron",
    fix="look at the layer's weights before and after quantisation, or remove it",
)
def silent_core(core: CoreConfig, chip: ChipSpec) -> Findings:
    if not np.any(spiking_features(core)):
        yield Finding("it can never spike: no weight is positive, nor any bias that is added")


def spiking_features(core: CoreConfig) -> npt.NDArray[np.bool_]:
    """Which features can spike at all, [feature out]. Arrays whose shapes differ are another rule's business, and count for nothing."""
    features = core.weights.shape[0]
    able: npt.NDArray[np.bool_] = np.any(_alive(core.weights, core.weights_kill_bit) > 0, axis=(1, 2, 3))
    if core.leak_enable and core.biases.shape == (features,):
        able = able | (_alive(core.biases, core.biases_kill_bit) > 0)
    if core.neurons_initial_value.shape[0] == features:
        able = able | np.any(core.neurons_initial_value >= core.threshold_high, axis=(1, 2))
    killed = core.neurons_value_kill_bit
    return able & ~np.all(killed, axis=(1, 2)) if killed is not None and killed.shape[0] == features else able


def _alive(values: npt.NDArray[np.integer], killed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.integer]:
    """The values, 0 where a kill bit leaves them without effect."""
    return values if killed is None or killed.shape != values.shape else np.where(killed, 0, values)


@core_rule(
    "bias-without-leak",
    "Biases that are not 0 are added, that is, leak_enable is on.",
    severity="warning",
    grade="A",
    source="the vendor's page on the configuration (leak_enable)",
    fix="enable leak_enable, or set the biases to 0",
)
def bias_without_leak(core: CoreConfig, chip: ChipSpec) -> Findings:
    count = int(np.count_nonzero(_alive(core.biases, core.biases_kill_bit)))
    if count and not core.leak_enable:
        yield Finding(f"{count} biases are not 0, but leak_enable is off: they are never added", count)


@core_rule(
    "internal-clock-without-leak",
    "The internal slow clock is chosen for a leak that is enabled.",
    severity="warning",
    grade="A",
    source="the vendor's page on the configuration (leak_internal_slow_clk_enable needs leak_enable)",
    fix="enable leak_enable, or disable leak_internal_slow_clk_enable",
)
def internal_clock_without_leak(core: CoreConfig, chip: ChipSpec) -> Findings:
    if core.leak_internal_slow_clk_enable and not core.leak_enable:
        yield Finding("leak_internal_slow_clk_enable is on, leak_enable is off: the clock has nothing to do")


@core_rule(
    "pooled-monitor",
    "A monitor reports spikes before pooling: coordinates are those of the neuron map, not of the next core's input.",
    severity="warning",
    grade="A",
    source="sinabs, monitor_layers",
    fix="divide the reported x and y by the pooling, or monitor the next core",
)
def pooled_monitor(core: CoreConfig, chip: ChipSpec) -> Findings:
    pooled = [destination for destination in core.enabled_destinations if destination.pooling > 1]
    if core.monitor_enable and pooled:
        targets = ", ".join(f"core {destination.layer} by {destination.pooling}" for destination in pooled)
        yield Finding(f"it is monitored and pools towards {targets}: the pooling is not visible in the monitored spikes")
