"""The readout block."""

from __future__ import annotations

import numpy as np

from hwconfig.core_config import CoreConfig
from hwconfig.destinations import Destination
from hwconfig.rules.catalogue import Case, Finding, Findings, case_rule
from hwconfig.rules.values import spiking_features
from hwconfig.subjects import READOUT, SENSOR

PAGES = "Speck Dev Kit datasheet, 3.2.5; the vendor's notebook on the readout layer"


def feeding(case: Case) -> list[tuple[int, CoreConfig, Destination]]:
    """The cores that send to the readout block, with the destination that does."""
    return [
        (core_id, core, destination)
        for core_id, core in case.config.cnn_layers.items()
        for destination in core.enabled_destinations
        if destination.layer == case.chip.layers.readout
    ]


@case_rule(
    "readout-range",
    "The readout block's threshold and class number fit their registers.",
    grade="A",
    source=PAGES,
    fix="use a value in this range",
)
def readout_range(case: Case) -> Findings:
    part, spec = case.config.readout, case.chip.readout
    for name, most in (("threshold", spec.most_count), ("output_neuron_num", spec.classes)):
        value = getattr(part, name)
        if not 0 <= value <= most:
            yield Finding(f"{name} is {value}, allowed is 0 to {most}", value, most, at=READOUT)


@case_rule(
    "readout-classes",
    "Every feature that can spike into the readout block reaches a class; on chips with the erratum only each fourth one does.",
    severity="warning",
    grade="A",
    source="sinabs, chip errata page (Speck2e, Speck2f)",
    fix="give the last layer a feature for every class's address, and zero weights between them",
)
def readout_classes(case: Case) -> Findings:
    """`readout_configuration_sel` 3 is the one that takes the feature alone; the others are not judged."""
    spec = case.chip.readout
    if not (case.config.readout.enable and case.config.readout.readout_configuration_sel == 3):
        return
    for core_id, core, destination in feeding(case):
        sent = [int(feature) + destination.feature_shift for feature in np.flatnonzero(spiking_features(core))]
        lost = [feature for feature in sent if spec.class_of(feature) is None]
        if lost:
            shown = ", ".join(map(str, lost[:5])) + (", ..." if len(lost) > 5 else "")
            problem = (
                f"{len(lost)} of {len(sent)} features reach no class: {shown}; "
                f"feature {spec.feature_stride} * (n - 1) reaches class n, up to class {spec.classes}"
            )
            yield Finding(problem, len(lost), 0, "features", at=core_id)


@case_rule(
    "readout-disabled",
    "A readout block that a core sends to is enabled.",
    severity="warning",
    grade="A",
    source=PAGES,
    fix="enable readout, or disable the destination",
)
def readout_disabled(case: Case) -> Findings:
    if not case.config.readout.enable:
        for core_id, _, _ in feeding(case):
            yield Finding("sends to the readout block, which is disabled: the spikes are lost", at=core_id)


@case_rule(
    "readout-unfed",
    "An enabled readout block gets spikes from a core.",
    severity="warning",
    grade="A",
    source=PAGES,
    fix="let the last core send to the readout block, or disable readout",
)
def readout_unfed(case: Case) -> Findings:
    if case.config.readout.enable and not feeding(case):
        yield Finding(f"it is enabled, but no core sends to it (layer {case.chip.layers.readout})", at=READOUT)


@case_rule(
    "readout-monitor",
    "While the readout block is monitored, spikes of cores and sensor cannot be.",
    severity="warning",
    grade="A",
    source="the vendor's notebook on the readout layer",
    fix="disable readout.monitor_enable, or the monitors that it silences",
)
def readout_monitor(case: Case) -> Findings:
    config = case.config
    if not (config.readout.enable and config.readout.monitor_enable):
        return
    silenced = [f"core {core_id}" for core_id, core in config.cnn_layers.items() if core.monitor_enable]
    silenced += [SENSOR] if config.dvs_layer.monitor_enable else []
    if silenced:
        yield Finding(f"its monitor silences those of {', '.join(silenced)}", len(silenced), 0, "monitors", at=READOUT)
