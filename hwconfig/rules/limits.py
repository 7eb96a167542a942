"""Limits of any core: maps, kernels, destinations."""

from __future__ import annotations

from collections.abc import Iterable

from hwconfig.chip import ChipSpec
from hwconfig.core_config import CoreConfig
from hwconfig.rules.catalogue import Finding, Findings, core_rule, shape_rule
from hwconfig.shapes import Shaped

DATASHEET = "Speck Dev Kit datasheet, 2.4; sinabs' overview page"


@shape_rule(
    "map-size",
    "Input and neuron maps have at least one pixel per axis, and at most the chip's number.",
    grade="A",
    source=DATASHEET,
    fix="use a larger stride, pool before this layer, or crop the input",
)
def map_size(core: Shaped, chip: ChipSpec) -> Findings:
    maps = (
        ("input", core.dimensions.input_shape, chip.limits.input_size),
        ("output", core.dimensions.output_shape, chip.limits.output_size),
    )
    for which, (_, height, width), most in maps:
        if not (1 <= height <= most and 1 <= width <= most):
            problem = f"{which} map is {height} x {width} (y x x), allowed is 1 to {most} per axis"
            yield Finding(problem, max(height, width), most, "pixels")


@shape_rule(
    "features",
    "There is at least one feature in and out, and at most the chip's number.",
    grade="A",
    source=DATASHEET,
    fix="use fewer features in this layer",
)
def features(core: Shaped, chip: ChipSpec) -> Findings:
    most = chip.limits.features
    for which, count in (("input", core.dimensions.input_shape[0]), ("output", core.dimensions.output_shape[0])):
        if not 1 <= count <= most:
            yield Finding(f"{count} {which} features, allowed is 1 to {most}", count, most, "features")


@shape_rule(
    "kernel-size",
    "The kernel is square, and its side within the chip's limit.",
    grade="A",
    source=DATASHEET,
    fix="use a smaller kernel, or pool before a fully connected layer",
)
def kernel_size(core: Shaped, chip: ChipSpec) -> Findings:
    size, most = core.dimensions.kernel_size, chip.limits.kernel_size
    if not 1 <= size <= most:
        yield Finding(f"kernel size {size}, allowed is 1 to {most}", size, most, "pixels")


@shape_rule(
    "stride",
    "Strides are among the chip's, per axis.",
    grade="A",
    source=DATASHEET,
    fix="use one of these strides",
)
def stride(core: Shaped, chip: ChipSpec) -> Findings:
    wrong = [value for value in core.dimensions.stride if value not in chip.limits.strides]
    if wrong:
        problem = f"stride {core.dimensions.stride} (y, x), allowed per axis are {list(chip.limits.strides)}"
        yield Finding(problem, wrong[0], unit="pixels")


@shape_rule(
    "padding",
    "Padding is within the chip's limit, per axis.",
    grade="A",
    source=DATASHEET,
    fix="use less padding",
)
def padding(core: Shaped, chip: ChipSpec) -> Findings:
    most = chip.limits.padding
    wrong = [value for value in core.dimensions.padding if not 0 <= value <= most]
    if wrong:
        problem = f"padding {core.dimensions.padding} (y, x), allowed is 0 to {most} per axis"
        yield Finding(problem, wrong[0], most, "pixels")


@shape_rule(
    "map-formula",
    "The neuron map is what input, kernel, stride and padding give, rounded down.",
    grade="A",
    source="sinabs, DynapcnnLayer; Speck Dev Kit datasheet, 3.2.4",
    fix="set output_shape's map to what they give",
)
def map_formula(core: Shaped, chip: ChipSpec) -> Findings:
    size = core.dimensions
    expected, found = size.expected_map(), size.output_shape[1:]
    if min(expected) < 1:
        padded = tuple(side + 2 * pad for side, pad in zip(size.input_shape[1:], size.padding, strict=True))
        problem = f"a kernel of {size.kernel_size} does not fit into the padded input of {padded} (y, x)"
        yield Finding(problem, size.kernel_size, min(padded), "pixels", fix="use a smaller kernel, or more padding")
    elif expected != found:
        yield Finding(f"output map is {found} (y, x), but input, kernel, stride and padding give {expected}")


@shape_rule(
    "fan-out",
    "A core has at most the chip's number of destinations.",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.4.8; sinabs' overview page",
    fix="let fewer layers read this one",
)
def fan_out(core: Shaped, chip: ChipSpec) -> Findings:
    yield from too_many((target.enable for target in core.destinations), chip)


def too_many(destinations: Iterable[bool], chip: ChipSpec) -> Findings:
    """A finding if there are more destinations than the chip has places for; of each, whether it is in use."""
    enabled = list(destinations)
    count, most, used = len(enabled), chip.limits.destinations, sum(enabled)
    if count > most:
        fix = "leave the disabled ones out" if used <= most else ""
        yield Finding(f"{count} destinations, {used} of them enabled, allowed are {most}", count, most, "destinations", fix=fix)


@shape_rule(
    "pooling",
    "A destination pools by one of the chip's sizes.",
    grade="A",
    source=DATASHEET,
    fix="use one of these sizes, or a convolution with stride",
)
def pooling(core: Shaped, chip: ChipSpec) -> Findings:
    for destination in core.destinations:
        if destination.enable and destination.pooling not in chip.limits.poolings:
            problem = f"pooling {destination.pooling} towards {destination.where}, allowed are {list(chip.limits.poolings)}"
            yield Finding(problem, destination.pooling, unit="pixels")


@shape_rule(
    "feature-shift",
    "A destination shifts features by 0 up to the chip's limit.",
    grade="B",
    source="the vendor gives no range; inferred from the number of features",
    fix="use a shift in this range",
)
def feature_shift(core: Shaped, chip: ChipSpec) -> Findings:
    most = chip.limits.feature_shift
    for destination in core.destinations:
        if destination.enable and not 0 <= destination.feature_shift <= most:
            problem = f"feature_shift {destination.feature_shift} towards {destination.where}, allowed is 0 to {most}"
            yield Finding(problem, destination.feature_shift, most, "features")


@core_rule(
    "decimator",
    "The decimator's interval is an index into the chip's table of ratios.",
    grade="A",
    source="Speck Dev Kit datasheet, table 4",
    fix="use an index in this range",
)
def decimator(core: CoreConfig, chip: ChipSpec) -> Findings:
    most = len(chip.limits.decimator_ratios) - 1  # -1 on a chip without a decimator, where `missing-block` says so
    if chip.features.decimator and not 0 <= core.output_decimator_interval <= most:
        problem = f"output_decimator_interval is {core.output_decimator_interval}, allowed is 0 to {most}"
        yield Finding(problem, core.output_decimator_interval, most)
