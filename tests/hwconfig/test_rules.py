"""For each rule a configuration that breaks it, and one as close to it as can be that does not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hwconfig import (
    RULES,
    ChipConfig,
    Destination,
    Dimensions,
    DvsDestination,
    DvsFilterConfig,
    DvsLayerConfig,
    FactoryConfig,
    FactoryCore,
    ReadoutConfig,
    check,
    check_core,
    get_chip,
    synthetic_chip,
)
from tests.hwconfig.builders import small_core, two_cores

CHIP = get_chip("speck2f")
READOUT = CHIP.layers.readout
LIMITS = CHIP.limits


def core_with(**changes: Any) -> ChipConfig:
    return ChipConfig(chip="speck2f", cnn_layers={0: small_core(**{"monitor_enable": True} | changes)})


def shaped(**changes: Any) -> ChipConfig:
    """One core whose arrays have the shapes that its dimensions say."""
    legal = {"kernel_size": 3, "padding": (1, 1), "input_shape": (2, 4, 4), "output_shape": (3, 4, 4)}
    size = Dimensions(**legal | changes)
    if "output_shape" not in changes:
        size = size.with_changes(output_shape=(size.output_shape[0], *size.expected_map()))
    weights = np.ones((size.output_shape[0], size.input_shape[0], size.kernel_size, size.kernel_size), np.int8)
    return core_with(dimensions=size, weights=weights)


def chain(*destinations: Destination, **changes: Any) -> ChipConfig:
    return two_cores(**changes).with_core(0, destinations=destinations)


def sensor(**changes: Any) -> ChipConfig:
    return two_cores(dvs_layer=DvsLayerConfig(**{"cut": (3, 3), "destinations": [DvsDestination(layer=0)]} | changes))


def filtered(**changes: Any) -> ChipConfig:
    return two_cores(dvs_filter=DvsFilterConfig(**{"enable": True, "internal_slow_clk": True} | changes))


def read_out(features: int = 1, spiking: tuple[int, ...] = (0,), **changes: Any) -> ChipConfig:
    """One core with a 1 x 1 map that sends to the readout block; only these features can spike."""
    weights = np.full((features, 1, 1, 1), -1)
    weights[list(spiking)] = 1
    size = Dimensions(kernel_size=1, input_shape=(1, 1, 1), output_shape=(features, 1, 1))
    core = small_core(dimensions=size, weights=weights, destinations=(Destination(layer=READOUT),))
    block = ReadoutConfig(**{"enable": True, "internal_slow_clk": True} | changes)
    return ChipConfig(chip="speck2f", cnn_layers={8: core}, readout=block)


def three_cores(*feeding: int) -> ChipConfig:
    """Core 0 feeds these; core 3 and core 4 are monitored."""
    link = tuple(Destination(layer=core, pooling=2) for core in feeding)
    last = {core: small_core(3, 5, 2, monitor_enable=True) for core in (3, 4)}
    return ChipConfig(chip="speck2f", cnn_layers={0: small_core(destinations=link), **last})


def on(chip: str, **changes: Any) -> ChipConfig:
    """One core, on one that every chip has and that has bias memory on each."""
    return ChipConfig(chip=chip, cnn_layers={3: small_core(**{"monitor_enable": True} | changes)})


def with_weight(value: int) -> ChipConfig:
    weights = np.zeros((3, 2, 3, 3), int)
    weights[1, 0, 2, 2] = value
    return core_with(weights=weights)


LOST = {"first-event-lost"}  # of every core with parallel computing, and so of many small configurations


def broken(config: ChipConfig, **board: Any) -> set[str]:
    return {violation.rule for violation in config.violations(**board).violations} - LOST


LOOP = two_cores().with_core(3, destinations=(Destination(layer=0),))
NO_ERRATA = synthetic_chip([(65536, 65536, 1024)], errata=())

# rule -> (a configuration that breaks it, one that only just does not)
CASES: dict[str, tuple[ChipConfig, ChipConfig]] = {
    "map-size": (
        shaped(input_shape=(2, LIMITS.input_size + 1, 4), stride=(2, 1)),
        shaped(input_shape=(2, LIMITS.input_size, 4), stride=(2, 1)),
    ),
    "features": (
        shaped(output_shape=(LIMITS.features + 1, 4, 4)),
        shaped(output_shape=(LIMITS.features, 4, 4)),
    ),
    "kernel-size": (shaped(kernel_size=17, padding=(7, 7)), shaped(kernel_size=16, padding=(7, 7))),
    "stride": (shaped(stride=(4, 3)), shaped(stride=(4, 8))),
    "padding": (shaped(padding=(7, 8)), shaped(padding=(7, 7))),
    "map-formula": (shaped(output_shape=(3, 4, 5)), shaped(output_shape=(3, 4, 4))),
    "fan-out": (chain(*[Destination(layer=3, pooling=2)] * 3), chain(*[Destination(layer=3, pooling=2)] * 2)),
    "pooling": (chain(Destination(layer=3, pooling=3)), chain(Destination(layer=3, pooling=3, enable=False))),
    "feature-shift": (chain(Destination(layer=3, pooling=2, feature_shift=-1)), chain(Destination(layer=3, pooling=2))),
    "decimator": (core_with(output_decimator_interval=8), core_with(output_decimator_interval=7)),
    "array-shape": (core_with(biases=np.ones(4, int), leak_enable=True), core_with(biases=np.ones(3, int), leak_enable=True)),
    "value-range": (with_weight(128), with_weight(127)),
    "threshold-low": (core_with(threshold_low=0), core_with(threshold_low=-1)),
    "weight-above-threshold": (with_weight(51), with_weight(50)),
    "initial-value": (
        core_with(neurons_initial_value=np.full((3, 4, 4), 50)),
        core_with(neurons_initial_value=np.full((3, 4, 4), 49)),
    ),
    "silent-core": (with_weight(-3), with_weight(1)),
    "bias-without-leak": (core_with(biases=np.array([0, 0, 1])), core_with(biases=np.array([0, 0, 1]), leak_enable=True)),
    "internal-clock-without-leak": (
        core_with(leak_internal_slow_clk_enable=True),
        core_with(leak_internal_slow_clk_enable=True, leak_enable=True),
    ),
    "pooled-monitor": (two_cores().with_core(0, monitor_enable=True), two_cores()),
    "core-id": (
        ChipConfig(chip="speck2f", cnn_layers={9: small_core(monitor_enable=True)}),
        ChipConfig(chip="speck2f", cnn_layers={8: small_core(monitor_enable=True)}),
    ),
    "memory": (
        shaped(input_shape=(33, 4, 4), output_shape=(32, 4, 4)),
        shaped(input_shape=(32, 4, 4), output_shape=(32, 4, 4)),
    ),
    "destination-exists": (chain(Destination(layer=7)), chain(Destination(layer=READOUT))),
    "destination-shape": (
        chain(Destination(layer=3, pooling=2, feature_shift=1)),
        chain(Destination(layer=3, pooling=2)),
    ),
    "feature-gap": (
        chain(Destination(layer=3, pooling=2, feature_shift=2)),
        chain(Destination(layer=3, pooling=2), Destination(layer=3, pooling=2, feature_shift=3)),
    ),
    "twice-same-target": (
        chain(Destination(layer=3, pooling=2), Destination(layer=3, pooling=2, feature_shift=2)),
        chain(Destination(layer=3, pooling=2), Destination(layer=3, pooling=2, feature_shift=3)),
    ),
    "loop": (LOOP, two_cores()),
    "unreachable-core": (three_cores(3), three_cores(3, 4)),
    "unseen-core": (two_cores().with_core(3, monitor_enable=False), two_cores()),
    "parallel-core": (
        ChipConfig(
            chip="speck2f",
            cnn_layers={3: small_core(destinations=[Destination(layer=1)]), 1: small_core(3, 2, monitor_enable=True)},
        ),
        two_cores(),
    ),
    "first-event-lost": (
        ChipConfig(chip="speck2f", cnn_layers={1: small_core(monitor_enable=True)}),
        ChipConfig(chip="speck2f", cnn_layers={2: small_core(monitor_enable=True)}),
    ),
    "sensor-fan-out": (
        sensor(destinations=[DvsDestination(layer=0)] * 3),
        sensor(destinations=[DvsDestination(layer=0)] * 2),
    ),
    "sensor-pooling": (sensor(pooling=(1, 8)), sensor(pooling=(1, 4))),
    "sensor-region": (sensor(pooling=(2, 1), origin=(61, 0), cut=(64, 3)), sensor(pooling=(2, 1), origin=(60, 0), cut=(63, 3))),
    "sensor-silent": (sensor(on_channel=False, off_channel=False), sensor(on_channel=False)),
    "sensor-unread": (
        two_cores(dvs_layer=DvsLayerConfig(pass_sensor_events=True)),
        two_cores(dvs_layer=DvsLayerConfig(pass_sensor_events=True, raw_monitor_enable=True)),
    ),
    "pooled-sensor-monitor": (sensor(monitor_enable=True, pooling=(1, 2)), sensor(monitor_enable=True)),
    "filter-range": (filtered(filter_size=(7, 8)), filtered(filter_size=(7, 7), threshold=65535)),
    "filter-silent": (filtered(), filtered(threshold=1)),
    "filter-mode": (
        filtered(low_pass_mode_enable=True, hot_pixel_filter_enable=True),
        filtered(low_pass_mode_enable=True),
    ),
    "readout-range": (read_out(threshold=65536), read_out(threshold=65535, output_neuron_num=15)),
    "readout-classes": (read_out(6, spiking=(0, 4, 5)), read_out(57, spiking=(0, 4, 56))),
    "readout-disabled": (read_out(enable=False), read_out()),
    "readout-unfed": (two_cores(readout=ReadoutConfig(enable=True, internal_slow_clk=True)), read_out()),
    "readout-monitor": (read_out(monitor_enable=True).with_core(8, monitor_enable=True), read_out(monitor_enable=True)),
    "missing-block": (on("speck2b", output_decimator_enable=True), on("speck2e", output_decimator_enable=True)),
    "slow-clock": (core_with(leak_enable=True), core_with(leak_enable=True, leak_internal_slow_clk_enable=True)),
    "internal-clock-without-events": (
        filtered(threshold=1),
        filtered(threshold=1).with_changes(dvs_layer=DvsLayerConfig(pass_sensor_events=True, raw_monitor_enable=True)),
    ),
    "factory-range": (
        two_cores(factory_config=FactoryConfig(internal_slow_clk_divider=13)),
        two_cores(factory_config=FactoryConfig(internal_slow_clk_divider=14, io_sel=0)),
    ),
    "suppression": (
        two_cores(suppressed_rules={"array-shape": "why not"}),
        two_cores(suppressed_rules={"memory": "the rounding of the formula is doubtful"}),
    ),
}


KILLED = np.ones((3, 4, 4), bool)
BIASED = {"biases": np.array([0, 0, 51]), "leak_enable": True, "leak_internal_slow_clk_enable": True}
TWO_SENSORS_EVENTS = DvsLayerConfig(cut=(3, 3), destinations=[DvsDestination(layer=READOUT)])
TOO_LONG = Destination(layer=3, pooling=2, feature_shift=LIMITS.feature_shift + 1)
SILENCED = read_out(monitor_enable=True)

FED = ChipConfig(
    chip="speck2f", cnn_layers={3: small_core(destinations=[Destination(layer=1)]), 1: small_core(3, 2, monitor_enable=True)}
)

# More ways to break a rule, and not to: (rule, breaks it, does not).
MORE: list[tuple[str, ChipConfig, ChipConfig]] = [
    ("map-size", shaped(input_shape=(2, 0, 4)), shaped(input_shape=(2, 1, 4))),
    (
        "map-size",
        shaped(output_shape=(3, 65, 4), input_shape=(2, 65, 4)),
        shaped(output_shape=(3, 64, 4), input_shape=(2, 64, 4)),
    ),
    ("features", shaped(output_shape=(0, 4, 4)), shaped(output_shape=(1, 4, 4))),
    ("features", shaped(input_shape=(1025, 4, 4)), shaped(input_shape=(1024, 4, 4))),
    ("padding", shaped(padding=(-1, 1)), shaped(padding=(0, 1))),
    ("map-formula", shaped(kernel_size=7), shaped(kernel_size=6)),
    ("feature-shift", chain(TOO_LONG), chain(TOO_LONG.with_changes(feature_shift=LIMITS.feature_shift))),
    ("decimator", core_with(output_decimator_interval=-1), core_with()),
    ("value-range", with_weight(-129), with_weight(-128)),
    ("value-range", core_with(threshold_high=0), core_with(threshold_high=1)),
    ("value-range", core_with(threshold_high=32768), core_with(threshold_high=32767)),
    ("value-range", core_with(threshold_low=-32769), core_with(threshold_low=-32768)),
    ("weight-above-threshold", core_with(**BIASED), core_with(**BIASED | {"leak_enable": False})),
    ("weight-above-threshold", with_weight(51), with_weight(51).with_core(0, return_to_zero=True)),
    (
        "weight-above-threshold",
        on("dynapcnn", weights=np.full((3, 2, 3, 3), 60), weights_kill_bit=np.arange(54).reshape(3, 2, 3, 3) > 0),
        on("dynapcnn", weights=np.full((3, 2, 3, 3), 60), weights_kill_bit=np.ones((3, 2, 3, 3), bool)),
    ),
    (
        "initial-value",
        core_with(neurons_initial_value=np.full((3, 4, 4), -51)),
        core_with(neurons_initial_value=np.full((3, 4, 4), -50)),
    ),
    (
        "initial-value",
        on("dynapcnn", neurons_initial_value=np.full((3, 4, 4), 50)),
        on("dynapcnn", neurons_initial_value=np.full((3, 4, 4), 50), neurons_value_kill_bit=KILLED),
    ),
    (
        "silent-core",
        on("dynapcnn", neurons_value_kill_bit=KILLED),
        on("dynapcnn", neurons_value_kill_bit=KILLED & (np.arange(4) > 0)),
    ),
    ("silent-core", with_weight(-1), with_weight(-1).with_core(0, **BIASED)),
    ("silent-core", with_weight(-1), with_weight(-1).with_core(0, neurons_initial_value=np.full((3, 4, 4), 50))),
    (
        "bias-without-leak",
        on("dynapcnn", biases=np.array([1, 0, 0]), biases_kill_bit=[False, True, True]),
        on("dynapcnn", biases=np.array([1, 0, 0]), biases_kill_bit=[True, False, False]),
    ),
    (
        "memory",
        on("speck2f", biases=np.ones(3, int), leak_enable=True).with_changes(
            chip=synthetic_chip([(65536, 65536, 2)] * 4), cnn_layers={3: small_core(biases=np.ones(3, int))}
        ),
        ChipConfig(chip=synthetic_chip([(65536, 65536, 3)] * 4), cnn_layers={3: small_core(biases=np.ones(3, int))}),
    ),
    ("parallel-core", FED, FED.with_changes(chip="dynapcnn")),
    ("first-event-lost", FED, FED.with_changes(chip="dynapcnn")),
    ("destination-exists", two_cores(dvs_layer=TWO_SENSORS_EVENTS), sensor()),
    ("destination-shape", chain(Destination(layer=3)), chain(Destination(layer=3, pooling=2))),
    ("sensor-region", sensor(origin=(-1, 0)), sensor(origin=(0, 0))),
    ("sensor-region", sensor(origin=(3, 2), cut=(3, 1)), sensor(origin=(3, 1), cut=(3, 1))),
    (
        "sensor-silent",
        sensor(on_channel=False, off_channel=False, destinations=(), monitor_enable=True),
        sensor(on_channel=False, off_channel=False, destinations=()),
    ),
    (
        "sensor-unread",
        two_cores(dvs_layer=DvsLayerConfig(pass_sensor_events=True)),
        two_cores(dvs_layer=DvsLayerConfig(pass_sensor_events=True, monitor_enable=True)),
    ),
    ("filter-range", filtered(threshold=65536), filtered(threshold=65535)),
    ("filter-range", filtered(filter_size=(-1, 0)), filtered(filter_size=(0, 0))),
    ("filter-mode", filtered(low_pass_mode_enable=True, filter_size=(1, 0)), filtered(filter_size=(1, 0))),
    (
        "filter-mode",
        filtered(low_pass_mode_enable=True, filter_size=(1, 0)),
        filtered(low_pass_mode_enable=True, filter_size=(1, 0), enable=False),
    ),
    ("filter-silent", filtered(hot_pixel_filter_enable=True), filtered(low_pass_mode_enable=True)),
    ("readout-range", read_out(output_neuron_num=16), read_out(output_neuron_num=15)),
    ("readout-range", read_out(threshold=-1), read_out(threshold=0)),
    ("readout-classes", read_out(2, spiking=(1,)), read_out(2, spiking=(1,), readout_configuration_sel=0)),
    ("readout-classes", read_out(61, spiking=(60,)), read_out(61, spiking=(56,))),
    (
        "readout-classes",
        read_out().with_core(8, destinations=[Destination(layer=READOUT, feature_shift=1)]),
        read_out().with_core(8, destinations=[Destination(layer=READOUT, feature_shift=4)]),
    ),
    (
        "readout-monitor",
        SILENCED.with_changes(dvs_layer=DvsLayerConfig(monitor_enable=True)),
        SILENCED.with_changes(dvs_layer=DvsLayerConfig(raw_monitor_enable=True)),
    ),
    ("missing-block", read_out().with_changes(chip="speck2b", readout=ReadoutConfig()), read_out()),
    ("missing-block", ChipConfig(chip="speck2b", readout=ReadoutConfig(threshold=3)), ChipConfig(chip="speck2b")),
    (
        "missing-block",
        ChipConfig(chip="speck2b", factory_config=FactoryConfig(internal_slow_clk_divider=14)),
        ChipConfig(chip="speck2b", factory_config=FactoryConfig(dvs_layer={"current_out1": 2})),
    ),
    (
        "missing-block",
        ChipConfig(chip="dynapcnn", factory_config=FactoryConfig(dvs_layer={"current_out1": 2})),
        ChipConfig(chip="dynapcnn", factory_config=FactoryConfig(io_sel=2)),
    ),
    ("missing-block", ChipConfig(chip="dynapcnn", dvs_filter=DvsFilterConfig(threshold=3)), ChipConfig(chip="dynapcnn")),
    ("slow-clock", read_out(internal_slow_clk=False), read_out()),
    ("slow-clock", filtered(internal_slow_clk=False), filtered()),
    (
        "internal-clock-without-events",
        core_with(leak_enable=True, leak_internal_slow_clk_enable=True),
        core_with(leak_enable=True),
    ),
    ("suppression", two_cores(suppressed_rules={"no-such-rule": "?"}), two_cores(suppressed_rules={"loop": "the board copes"})),
]


def test_every_rule_has_a_case():
    assert list(CASES) == list(RULES)


def test_a_legal_configuration_breaks_none():
    assert broken(two_cores()) == set()


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_fires(rule: str):
    found = [violation for violation in CASES[rule][0].violations().violations if violation.rule == rule]
    assert found
    for violation in found:
        assert violation.fix
        assert violation.problem
        assert violation.subject
        assert violation.severity == RULES[rule].severity


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_does_not_fire(rule: str):
    assert rule not in {violation.rule for violation in CASES[rule][1].violations().violations}


@pytest.mark.parametrize(("rule", "breaks", "keeps"), MORE, ids=[f"{i}-{case[0]}" for i, case in enumerate(MORE)])
def test_more_ways_to_break_a_rule_and_not_to(rule: str, breaks: ChipConfig, keeps: ChipConfig):
    assert rule in {violation.rule for violation in breaks.violations().violations}
    assert rule not in {violation.rule for violation in keeps.violations().violations}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_says_what_how_surely_and_from_where(rule: str):
    known = RULES[rule]
    assert known.name == rule
    assert known.sentence.endswith(".")
    assert known.grade in ("A", "B", "C")
    assert known.source
    assert known.fix
    assert known.suppressible or known.severity == "error"


def test_all_violations_are_reported_at_once_errors_first():
    report = core_with(threshold_low=0, threshold_high=0, weights=np.full((3, 2, 3, 3), 999), leak_enable=True).violations()
    assert [violation.rule for violation in report.errors] == ["value-range", "value-range", "threshold-low"]
    assert {violation.rule for violation in report.warnings} == {"weight-above-threshold", "slow-clock", "initial-value"} | LOST
    assert report.violations == (*report.errors, *report.warnings)
    assert json.loads(json.dumps(report.as_dicts()))[0]["available"] == 127


def test_the_users_layer_is_named():
    config = with_weight(51).with_core(0, layer_name="features.conv1")
    violation = next(found for found in config.violations().violations if found.rule == "weight-above-threshold")
    assert violation.subject == "core 0 (features.conv1)"
    known = RULES["weight-above-threshold"]
    assert (violation.grade, violation.sentence, violation.source) == (known.grade, known.sentence, known.source)
    assert (violation.core, violation.layer) == (0, "features.conv1")
    assert (violation.needed, violation.available) == (51, 50)
    assert "features.conv1" in str(violation)


@pytest.mark.parametrize("field", ["threshold_high", "threshold_low"])
def test_scalars_outside_their_words_are_named(field: str):
    report = core_with(**{field: -40_000}).violations()
    assert any(field in violation.problem for violation in report.errors)


# --- suppression ---


def test_a_suppressed_rule_is_reported_apart_and_does_not_count():
    config = CASES["threshold-low"][0].with_suppressed_rule("threshold-low", "works on our board")
    report = config.violations()
    assert report.ok
    assert "threshold-low" not in broken(config)
    assert [violation.suppressed for violation in report.suppressed] == ["works on our board"]
    assert report.as_dicts()[-1]["suppressed"] == "works on our board"


def test_a_suppressed_rule_is_part_of_the_file_the_hash_and_equality():
    plain = two_cores()
    config = plain.with_suppressed_rule("unseen-core", "read by the debugger")
    assert config != plain
    assert config.hash != plain.hash
    assert ChipConfig.from_json(config.to_json()).suppressed_rules == {"unseen-core": "read by the debugger"}


def test_a_rule_without_which_a_configuration_has_no_meaning_goes_on_counting():
    config = CASES["array-shape"][0].with_suppressed_rule("array-shape", "I know better")
    assert {"array-shape", "suppression"} <= broken(config)


def test_a_rule_that_does_not_exist_is_named_with_those_that_do():
    (violation,) = two_cores(suppressed_rules={"colour": "blue"}).violations().errors
    assert "'colour'" in violation.problem
    assert "threshold-low" in violation.fix


def test_suppressing_needs_a_reason():
    with pytest.raises(ValueError, match="say why memory is suppressed"):
        two_cores().with_suppressed_rule("memory", " ")


# --- what a board or program adds ---


def test_a_known_clock_satisfies_what_needs_one():
    config = core_with(leak_enable=True)
    assert broken(config, slow_clock_period_us=1000) == set()
    assert broken(config) == {"slow-clock"}
    ours = next(found.fix for found in check(config).violations if found.rule == "slow-clock")
    assert "chip's own" in ours
    theirs = next(found.fix for found in check(on("dynapcnn", leak_enable=True)).violations if found.rule == "slow-clock")
    assert "chip's own" not in theirs


@pytest.mark.parametrize(("entries", "unreached"), [(None, [0, 4]), ((0,), [4]), ((0, 4), []), ((), [0, 4])])
def test_entries_reach_what_has_no_source(entries: tuple[int, ...] | None, unreached: list[int]):
    found = check(three_cores(3), entries=entries).violations
    assert [violation.core for violation in found if violation.rule == "unreachable-core"] == unreached


def test_a_core_beside_the_sensors_is_not_reached():
    config = three_cores(3).with_changes(dvs_layer=DvsLayerConfig(cut=(3, 3), destinations=[DvsDestination(layer=0)]))
    assert [found.core for found in config.violations().violations if found.rule not in LOST] == [4]


# --- shapes along destinations ---


def test_the_sensors_shape_must_match_after_all_blocks():
    assert sensor().violations().ok
    for changes in ({"merge": True}, {"cut": (4, 3)}, {"origin": (1, 0)}, {"cut": None}):
        found = [violation for violation in sensor(**changes).violations().errors if violation.rule == "destination-shape"]
        assert {violation.subject for violation in found} <= {"the sensor", "core 0"}
        assert found
    turned = sensor(cut=(3, 5), mirror_diagonal=True).violations().errors
    assert "(6, 4) (y, x)" in turned[0].problem


def test_several_sources_add_their_features():
    size = Dimensions(kernel_size=1, input_shape=(7, 4, 4), output_shape=(1, 4, 4))
    last = small_core(dimensions=size, weights=np.ones((1, 7, 1, 1), int), monitor_enable=True)
    first = small_core(2, 3, destinations=[Destination(layer=5)])
    second = small_core(2, 4, destinations=[Destination(layer=5, feature_shift=3)])
    config = ChipConfig(chip="speck2f", cnn_layers={3: first, 4: second, 5: last})
    assert broken(config, entries=(3, 4)) == set()
    short = config.with_core(4, destinations=[Destination(layer=5, feature_shift=2)])
    assert [violation.problem for violation in short.violations(entries=(3, 4)).errors] == [
        "expects 7 features, its sources send 6"
    ]


def test_a_pooled_map_that_does_not_divide_is_rounded_down():
    config = ChipConfig(
        chip="speck2f",
        cnn_layers={
            0: small_core(2, 3, 5, destinations=[Destination(layer=3, pooling=2)]),
            3: small_core(3, 5, 2, monitor_enable=True),
        },
    )
    assert broken(config) == set()


def test_each_loop_is_one_violation_of_its_own_cores():
    """1 <-> 2 -> 3 -> 4 <-> 5: 3 is on no loop."""
    to = {1: [2], 2: [1, 3], 3: [4], 4: [5], 5: [4]}
    size = Dimensions(kernel_size=1, input_shape=(1, 2, 2), output_shape=(1, 2, 2))
    core = small_core(dimensions=size, weights=np.ones((1, 1, 1, 1), int))
    cores = {i: core.with_changes(destinations=[Destination(layer=target) for target in targets]) for i, targets in to.items()}
    found = [
        violation for violation in ChipConfig(chip="speck2f", cnn_layers=cores).violations().errors if violation.rule == "loop"
    ]
    assert [violation.problem.split("through ")[1] for violation in found] == ["cores [1, 2]", "cores [4, 5]"]


def test_a_loop_that_nothing_reaches_is_said():
    size = Dimensions(kernel_size=1, input_shape=(1, 2, 2), output_shape=(1, 2, 2))
    core = small_core(dimensions=size, weights=np.ones((1, 1, 1, 1), int))
    around = {i: core.with_changes(destinations=[Destination(layer=7 - i)]) for i in (3, 4)}
    config = ChipConfig(chip="speck2f", cnn_layers=around | {2: core.with_changes(monitor_enable=True)})
    found = [violation for violation in config.violations(entries=[2]).warnings if violation.rule == "unreachable-core"]
    assert [violation.problem for violation in found] == ["no event reaches the loop of cores [3, 4]"]
    assert "unreachable-core" not in broken(config, entries=[2, 3])


def test_a_clock_that_does_not_tick_is_none():
    assert "slow-clock" in broken(core_with(leak_enable=True), slow_clock_period_us=0)


def test_the_ways_out_fit_the_case():
    def fix(config: ChipConfig, rule: str) -> str:
        return next(violation.fix for violation in config.violations().errors if violation.rule == rule)

    assert "smaller kernel" in fix(shaped(kernel_size=7, padding=(0, 0)), "map-formula")
    assert "only a core can feed" in fix(two_cores(dvs_layer=TWO_SENSORS_EVENTS), "destination-exists")
    off = Destination(layer=3, enable=False)
    assert "disabled ones" in fix(chain(off, off, off, Destination(layer=3, pooling=2)), "fan-out")
    assert "cut=None" in fix(sensor(pooling=(2, 2), cut=(127, 127)), "sensor-region")
    biased = ChipConfig(chip="speck2cmini", cnn_layers={0: small_core(leak_enable=True, monitor_enable=True)})
    assert "bias memory" in fix(biased, "memory")


# --- only what the chip has ---


@pytest.mark.parametrize("chip", ["speck2cmini", "speck2dmini"])
@pytest.mark.parametrize(("core", "fits"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_a_bias_fits_the_last_two_cores_of_the_minis_only(chip: str, core: int, fits: bool):
    biased = small_core(biases=np.array([1, 2, 3]), leak_enable=True, monitor_enable=True)
    report = ChipConfig(chip=chip, cnn_layers={core: biased}).violations(slow_clock_period_us=1000)
    assert report.ok == fits
    assert [(violation.needed, violation.available) for violation in report.errors] == ([] if fits else [(3, 0)])
    assert ChipConfig(chip=chip, cnn_layers={core: small_core(monitor_enable=True)}).violations().ok


@pytest.mark.parametrize(
    ("chip", "has"),
    [
        ("dynapcnn", True),
        ("speck2b", True),
        ("speck2cmini", False),
        ("speck2dmini", False),
        ("speck2e", False),
        ("speck2f", False),
    ],
)
def test_kill_bits_exist_on_two_chips_only(chip: str, has: bool):
    for field, shape in (("weights_kill_bit", (3, 2, 3, 3)), ("biases_kill_bit", 3), ("neurons_value_kill_bit", (3, 4, 4))):
        report = on(chip, **{field: np.ones(shape, bool)}).violations()
        assert report.ok == has
        assert all(field in violation.problem for violation in report.errors)


@pytest.mark.parametrize(
    ("block", "changes", "chips"),
    [
        (
            "internal_slow_clock",
            {"leak_enable": True, "leak_internal_slow_clk_enable": True},
            ("speck2cmini", "speck2e", "speck2f"),
        ),
        ("congestion_balancer", {"input_congestion_balancer_enable": True}, ("speck2e", "speck2f")),
        ("decimator", {"output_decimator_enable": True}, ("speck2e", "speck2f")),
        ("decimator", {"output_decimator_interval": 1}, ("speck2e", "speck2f")),
    ],
)
def test_blocks_of_a_core(block: str, changes: dict[str, Any], chips: tuple[str, ...]):
    for chip in ("dynapcnn", "speck2b", "speck2cmini", "speck2e", "speck2f"):
        assert on(chip, **changes).violations().ok == (chip in chips) == getattr(get_chip(chip).features, block)


def test_blocks_around_the_cores():
    config = two_cores(
        readout=ReadoutConfig(enable=True, internal_slow_clk=True),
        dvs_layer=DvsLayerConfig(pass_sensor_events=True),
        dvs_filter=DvsFilterConfig(enable=True),
    )
    assert config.violations().ok
    errors = config.with_changes(chip="dynapcnn").violations().errors
    assert {violation.rule for violation in errors} == {"missing-block"}
    words = " ".join(violation.problem for violation in errors)
    for field in ("readout.enable", "readout.internal_slow_clk", "dvs_layer.pass_sensor_events", "dvs_filter.enable"):
        assert field in words
    (unusable,) = ChipConfig(chip="speck2b", readout=ReadoutConfig(enable=True)).violations().errors
    assert "erratum" in unusable.problem


def test_the_erratum_decides_about_a_lower_bound_of_zero():
    for errata, ok in (((), True), (("threshold-low-zero",), False)):
        chip = synthetic_chip([(65536, 65536, 1024)], errata=errata)
        assert ChipConfig(chip=chip, cnn_layers={0: small_core(threshold_low=0, monitor_enable=True)}).violations().ok == ok
    assert not ChipConfig(chip=NO_ERRATA, cnn_layers={0: small_core(threshold_low=1)}).violations().ok


def test_killed_weights_cannot_spike():
    config = on("dynapcnn", weights=np.ones((3, 2, 3, 3), int), weights_kill_bit=np.ones((3, 2, 3, 3), bool))
    assert broken(config) == {"silent-core"}


def test_factory_settings_are_judged_part_by_part():
    factory = FactoryConfig(io_sel=-1, cnn_layers={11: FactoryCore(kernel={"clock_pulse": 3})})
    problems = [violation.problem for violation in two_cores(factory_config=factory).violations().errors]
    assert problems[0] == "io_sel is -1, allowed is 0 or more"
    assert "[11]" in problems[1]


def test_rules_about_single_cores_can_be_asked_before_placement():
    report = check_core(small_core(threshold_low=0), CHIP, "layer 'conv1'")
    assert [violation.subject for violation in report.errors] == ["layer 'conv1'"]
