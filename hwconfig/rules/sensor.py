"""The sensor's pre-processing and its event filter."""

from __future__ import annotations

from dataclasses import replace

from hwconfig.rules.catalogue import Case, Finding, Findings, case_rule
from hwconfig.rules.limits import too_many
from hwconfig.subjects import FILTER, SENSOR

PREPROCESSING = "Speck Dev Kit datasheet, 3.2.3"


@case_rule(
    "sensor-fan-out",
    "The sensor has at most the chip's number of destinations.",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.3.6",
    fix="let fewer cores read the sensor",
)
def sensor_fan_out(case: Case) -> Findings:
    enabled = (target.enable for target in case.config.dvs_layer.destinations)
    yield from (replace(finding, at=SENSOR) for finding in too_many(enabled, case.chip))


@case_rule(
    "sensor-pooling",
    "The sensor pools by one of the chip's sizes, per axis.",
    grade="A",
    source=PREPROCESSING,
    fix="use one of these sizes",
)
def sensor_pooling(case: Case) -> Findings:
    allowed = case.chip.sensor.poolings
    wrong = [pool for pool in case.config.dvs_layer.pooling if pool not in allowed]
    if wrong:
        problem = f"pooling {case.config.dvs_layer.pooling} (y, x), allowed per axis are {list(allowed)}"
        yield Finding(problem, wrong[0], unit="pixels", at=SENSOR)


@case_rule(
    "sensor-region",
    "The region of interest lies inside the pooled map and holds at least one pixel; its last pixel is inclusive.",
    grade="A",
    source="sinabs, DVSLayer and its notebook; the datasheet's example of 3.2.3.3 has another reading",
    fix="count origin and cut in pixels after pooling; cut=None, given together with another pooling, is the whole map",
)
def sensor_region(case: Case) -> Findings:
    part, size = case.config.dvs_layer, case.chip.sensor.size
    axes = zip("yx", part.origin, part.last_pixel(size), part.pooling, strict=True)
    for axis, first, last, pool in axes:
        end = size // max(pool, 1) - 1
        if not 0 <= first <= last <= end:
            problem = f"region from {first} to {last} along {axis}, the pooled map goes from 0 to {end}"
            yield Finding(problem, last, end, "pixels", at=SENSOR)


@case_rule(
    "sensor-silent",
    "A sensor that sends or is monitored lets at least one polarity pass.",
    severity="warning",
    grade="A",
    source=PREPROCESSING,
    fix="enable on_channel or off_channel",
)
def sensor_silent(case: Case) -> Findings:
    part = case.config.dvs_layer
    if (part.enabled_destinations or part.monitor_enable) and not (part.on_channel or part.off_channel):
        yield Finding("on_channel and off_channel are both off: no event passes", at=SENSOR)


@case_rule(
    "sensor-unread",
    "Events of the chip's own pixels that are let in go somewhere: to a destination or a monitor.",
    severity="warning",
    grade="A",
    source=PREPROCESSING,
    fix="enable a destination or a monitor, or disable pass_sensor_events",
)
def sensor_unread(case: Case) -> Findings:
    part = case.config.dvs_layer
    if part.pass_sensor_events and not part.is_read:
        yield Finding("pass_sensor_events is on, but nothing reads the sensor", at=SENSOR)


@case_rule(
    "pooled-sensor-monitor",
    "Whether the monitored events of the sensor show its pooling is not certain.",
    severity="warning",
    grade="B",
    source="two pages of the vendor disagree (sinabs, monitor_layers, and its notebook); the emulator reports them pooled",
    fix="try it on the board before you rely on the coordinates",
)
def pooled_sensor_monitor(case: Case) -> Findings:
    part = case.config.dvs_layer
    if part.monitor_enable and max(part.pooling) > 1:
        yield Finding(f"it is monitored and pools by {part.pooling} (y, x)", at=SENSOR)


@case_rule(
    "filter-range",
    "The event filter's window and threshold fit their registers.",
    grade="B",
    source="the vendor's register text for Speck2b: half widths of 3 bits, threshold of 16; the datasheet's example may mean whole widths",
    fix="use values in this range",
)
def filter_range(case: Case) -> Findings:
    part, sensor = case.config.dvs_filter, case.chip.sensor
    most = sensor.filter_half_width
    wrong = [size for size in part.filter_size if not 0 <= size <= most]
    if wrong:
        problem = f"filter_size is {part.filter_size} (y, x), allowed is 0 to {most} per axis"
        yield Finding(problem, wrong[0], most, "pixels", at=FILTER)
    most = sensor.most_filter_threshold
    if not 0 <= part.threshold <= most:
        yield Finding(f"threshold is {part.threshold}, allowed is 0 to {most}", part.threshold, most, "ticks", at=FILTER)


@case_rule(
    "filter-silent",
    "An event filter that is enabled lets events pass: unless in low-pass mode, its threshold is more than 0.",
    severity="warning",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.3.5: an event passes if a neighbour was active less than threshold ticks ago",
    fix="set a threshold of 1 or more slow-clock ticks",
)
def filter_silent(case: Case) -> Findings:
    part = case.config.dvs_filter
    if part.enable and part.threshold == 0 and not part.low_pass_mode_enable:
        yield Finding("threshold is 0, 1 or more lets events pass", 0, 1, "ticks", at=FILTER)


@case_rule(
    "filter-mode",
    "The event filter has one mode: low pass, noise, or noise and hot pixels; low pass needs a filter_size of 0.",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.3.5.4",
    fix="disable low_pass_mode_enable, or disable hot_pixel_filter_enable and set filter_size to (0, 0)",
)
def filter_mode(case: Case) -> Findings:
    part = case.config.dvs_filter
    if not (part.enable and part.low_pass_mode_enable):
        return
    if part.hot_pixel_filter_enable:
        yield Finding("low_pass_mode_enable and hot_pixel_filter_enable are both on", at=FILTER)
    if part.filter_size != (0, 0):
        yield Finding(f"low_pass_mode_enable is on and filter_size is {part.filter_size} (y, x), needed is (0, 0)", at=FILTER)
