"""For each rule one configuration that breaks it, and the legal one that breaks none."""

import numpy as np
import pytest

from hwconfig import ChipConfig, Destination, Dimensions, DvsLayerConfig
from hwconfig.rules import RULES
from tests.hwconfig.builders import small_core, two_cores


def core_with(**changes):
    return ChipConfig(chip="speck2f", cnn_layers={0: small_core(**changes)})


def shape(**changes):
    legal = {"kernel_size": 3, "padding": (1, 1), "input_shape": (2, 4, 4), "output_shape": (3, 4, 4)}
    return core_with(dimensions=Dimensions(**legal | changes))


def chain(*destinations):
    return two_cores().with_core(0, destinations=destinations)


BREAKS = {
    "map-size": shape(input_shape=(2, 200, 200), output_shape=(3, 200, 200)),
    "features": shape(output_shape=(2000, 4, 4)),
    "kernel-size": shape(kernel_size=17),
    "stride": shape(stride=(3, 3), output_shape=(3, 2, 2)),
    "padding": shape(padding=(8, 8), output_shape=(3, 18, 18)),
    "map-formula": shape(output_shape=(3, 5, 5)),
    "array-shape": core_with(weights=np.ones((3, 2, 2, 3), int)),
    "value-range": core_with(weights=np.full((3, 2, 3, 3), 128)),
    "threshold-low": core_with(threshold_low=0),
    "decimator": core_with(output_decimator_interval=8),
    "fan-out": chain(*[Destination(layer=3, pooling=2)] * 3),
    "pooling": chain(Destination(layer=3, pooling=3)),
    "core-id": ChipConfig(chip="speck2f", cnn_layers={9: small_core()}),
    "memory": shape(input_shape=(1024, 4, 4), output_shape=(1024, 4, 4)),
    "destination-exists": chain(Destination(layer=7)),
    "destination-shape": chain(Destination(layer=3, pooling=1)),
    "loop": two_cores().with_core(3, destinations=(Destination(layer=0),)),
}


def test_every_rule_has_a_case():
    assert set(BREAKS) == set(RULES)


def test_a_legal_configuration_breaks_none():
    assert two_cores().violations().violations == ()


@pytest.mark.parametrize("rule", RULES)
def test_rule_fires(rule):
    found = [violation for violation in BREAKS[rule].violations().errors if violation.rule == rule]
    assert found
    assert found[0].fix


def test_all_violations_are_reported_at_once():
    report = core_with(threshold_low=0, threshold_high=0, weights=np.full((3, 2, 3, 3), 999)).violations()
    assert [violation.rule for violation in report.errors] == ["value-range", "value-range", "threshold-low"]


def test_sensor_and_feature_shift():
    sensor = DvsLayerConfig(cut=(3, 3), destinations=(Destination(layer=0),))
    assert two_cores(dvs_layer=sensor).violations().ok
    assert not two_cores(dvs_layer=sensor.with_changes(merge=True)).violations().ok
    assert not chain(Destination(layer=3, pooling=2, feature_shift=1)).violations().ok


@pytest.mark.parametrize("field", ["threshold_high", "threshold_low"])
def test_scalars_outside_their_words_are_named(field):
    report = core_with(**{field: -40_000}).violations()
    assert any(field in violation.problem for violation in report.errors)
