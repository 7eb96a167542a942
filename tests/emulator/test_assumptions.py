"""What a run rests on that is not public: every rule is listed where it is made use of, and only there."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from chipflow.emulator import Assumption, Emulator
from chipflow.emulator import assumptions as module
from chipflow.events import RunResult, make_events
from hwconfig import ChipConfig, CoreConfig, Destination, DvsDestination, DvsLayerConfig, ReadoutConfig, get_chip

from .builders import NOTHING, chip, core, pointwise, relay
from .networks import Case, cases

CLOCK = 10
ALWAYS = {"order-of-spikes", "ratings", "no-timing"}  # of any configuration with a core that reports or sends
GRADE_B = {"zero-weights", "kill-bits", "rest-above-threshold", "depth-first", "leak-spikes", "sensor-order", "no-timing"}


def one(matrix: Any = ((1,),), **fields: Any) -> CoreConfig:
    return pointwise((len(matrix[0]), 1, 1), matrix, **({"threshold_high": 2} | fields))


def leaking(*targets: int, **fields: Any) -> CoreConfig:
    return one(leak_enable=True, biases=np.array([1]), **fields).with_changes(
        destinations=[Destination(layer=target) for target in targets]
    )


def pooled(size: int, pooling: int) -> ChipConfig:
    small = size // pooling
    target = relay((1, small, small))
    return chip({3: relay((1, size, size), Destination(layer=5, pooling=pooling)), 5: target})


def sensing(**fields: Any) -> ChipConfig:
    return chip({3: one()}, dvs_layer=DvsLayerConfig(merge=True, cut=(0, 0), **fields))


def reading(of: str = "speck2f", **fields: Any) -> ChipConfig:
    sending = relay((1, 1, 1), 12, threshold_high=1)
    return chip({3: sending}, of, readout=ReadoutConfig(**({"enable": True} | fields)))


PLAIN = chip({3: one()})
CHAIN = chip({3: relay((1, 1, 1), 5), 5: one()})
MERGE = chip({3: relay((1, 1, 1), 5, 7), 7: relay((1, 1, 1), 5), 5: one()})
LEAK, TWO_LEAK = chip({3: leaking()}), chip({3: leaking(5), 5: leaking()})
SENSOR = sensing(destinations=[DvsDestination(layer=3)])
KILLED = PLAIN.with_changes(chip="dynapcnn").with_core(3, weights_kill_bit=np.ones((1, 1, 1, 1), bool))
THINNED = chip({3: one(output_decimator_enable=True)})

# rule: (a configuration that touches it, what it is about there, another one that does not)
RULES: dict[str, tuple[ChipConfig, tuple[int | str, ...], ChipConfig]] = {
    "saturation": (chip({3: one([[3]])}), (3,), chip({3: one([[3]], return_to_zero=True)})),
    "zero-weights": (chip({3: one([[1, 0]])}), (3,), chip({3: one([[1, -1]])})),
    "rest-above-threshold": (chip({3: one([[3, -1]])}), (3,), chip({3: one([[3, 1]])})),
    "kill-bits": (KILLED, (3,), KILLED.with_core(3, weights_kill_bit=None)),
    "order-of-spikes": (CHAIN, (3, 5), PLAIN.with_core(3, monitor_enable=False)),
    "outside-the-map": (pooled(5, 2), (3,), pooled(4, 2)),
    "decimator": (THINNED, (3,), PLAIN),
    "monitor-after-decimator": (THINNED, (3,), THINNED.with_core(3, monitor_enable=False)),
    "depth-first": (MERGE, (5,), PLAIN),
    "tick-before-events": (LEAK, (3,), PLAIN),
    "leak-spikes": (LEAK, (3,), reading()),
    "zero-bias": (LEAK, (3,), PLAIN),
    "order-at-ticks": (TWO_LEAK, (3, 5), LEAK),
    "sensor-order": (SENSOR, ("sensor",), PLAIN),
    "sensor-monitor": (sensing(monitor_enable=True), ("sensor",), sensing(raw_monitor_enable=True)),
    "readout-classes": (reading("speck2cmini"), ("readout",), reading()),
    "readout-counting": (reading(), ("readout",), reading(enable=False)),
    "readout-maximum": (reading(), ("readout",), reading(enable=False)),
    "ratings": (TWO_LEAK, (3, 5), chip({})),
    "no-timing": (PLAIN, (), PLAIN),  # there is no run without
    "congestion-balancer": (PLAIN.with_core(3, input_congestion_balancer_enable=True), (3,), PLAIN),
}


def listed(config: ChipConfig, **options: Any) -> dict[str, Assumption]:
    found = Emulator(config, slow_clock_period_us=CLOCK, **options).assumptions()
    assert len({item.rule for item in found}) == len(found), "each rule once"
    return {item.rule: item for item in found}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_listed_where_it_is_touched_with_its_layers(rule: str) -> None:
    touching, where, other = RULES[rule]
    found = listed(touching)[rule]
    assert (found.where, found.grade) == (where, "B" if rule in GRADE_B else "C")
    assert found.text
    if touching != other and rule != "ratings":
        assert rule not in listed(other)


def test_every_rule_of_the_code_is_in_the_table_above() -> None:
    assert set(re.findall(r'Assumption\(\s*"([a-z-]+)"', Path(module.__file__).read_text())) == set(RULES)


def test_a_plain_core_rests_on_little() -> None:
    assert set(listed(PLAIN)) == ALWAYS


def test_rules_come_in_the_order_of_the_sections() -> None:
    for touching, _, _ in RULES.values():
        sections = [int(item.section) for item in listed(touching).values()]
        assert sections == sorted(sections)


def test_other_ways_are_options_of_the_emulator() -> None:
    """Those that have any: with a merge, a decimator and a weight of 0 all three of them."""
    config = MERGE.with_core(5, one([[0]], output_decimator_enable=True))
    other = {rule: item.alternative for rule, item in listed(config).items() if item.alternative}
    assert set(other) == {"depth-first", "decimator", "zero-weights"}
    for options in other.values():
        assert set(listed(config, **options)) == set(listed(config))
        Emulator(config, **options).run(make_events(0, 0, [1], 0))
    assert listed(CHAIN)["depth-first"].alternative == {}, "without a merge there is nothing to be otherwise"


def test_depth_first_matters_also_where_the_sensor_or_two_entries_merge() -> None:
    both = sensing(destinations=[DvsDestination(layer=3)] * 2)
    assert listed(chip({3: relay((1, 1, 1), 5), 5: one()}), entries=[3, 5])["depth-first"].where == (5,)
    twice = both.with_core(3, relay((1, 1, 1), 5)).with_core(5, one())
    assert listed(twice)["depth-first"].where == (3,)


@pytest.mark.parametrize(
    "part",
    [
        core((1, 1, 1), [[[[5]]]], threshold_high=32767),
        one(leak_enable=True, biases=np.array([3])),
        one(neurons_initial_value=np.full((1, 1, 1), 32767)),
    ],
    ids=["threshold-at-the-top", "bias-above-threshold", "initial-value-at-the-top"],
)
def test_saturation_has_more_than_one_way(part: CoreConfig) -> None:
    """Each of these gets there: strict=False counts it."""
    emulator = Emulator(chip({3: part}), slow_clock_period_us=1, strict=False)
    result = emulator.run(make_events(0, 0, [1] * 9000, 0), duration=40_000)
    assert result.counters[3].upper_clamped > 0
    assert "saturation" in listed(chip({3: part}))


@pytest.mark.parametrize(
    "fields",
    [
        {"matrix": [[-1]], "neurons_initial_value": np.full((1, 1, 1), 9)},
        {"matrix": [[-1]], "leak_enable": True, "biases": np.array([9])},
        {"matrix": [[9]], "leak_enable": True, "biases": np.array([-1])},
    ],
    ids=["initial-value", "bias-excites", "bias-inhibits"],
)
def test_a_rest_above_the_threshold_has_more_than_one_way(fields: dict[str, Any]) -> None:
    """In each of these a neuron spikes at an update that takes 1 away."""
    config = chip({3: one(**fields)})
    result = Emulator(config, slow_clock_period_us=CLOCK, trace={3: [(0, 0, 0)]}).run(make_events(0, 0, [9, 11], 0), duration=20)
    trace, amounts = result.traces[3], []
    before = int(config.core(3).neurons_initial_value[0, 0, 0])
    for line in trace.tolist():
        amounts.append((line[4] + 2 * line[5] - before, line[5]))
        before = line[4]
    assert (-1, True) in amounts
    assert "rest-above-threshold" in listed(config)


def differs(one: RunResult, other: RunResult) -> bool:
    states = any(not np.array_equal(one.states[i], other.states[i]) for i in one.states)
    return states or one.events.tolist() != other.events.tolist() or one.counters != other.counters


@settings(max_examples=50, deadline=None)
@given(cases())
def test_what_a_run_shows_is_listed(case: Case) -> None:
    """Counters that only a rule can have raised, and results that are others under its other way."""
    chosen = {name: value for name, value in case.chosen.items() if name not in ("order", "zero_weights", "decimator_passes")}
    case = replace(case, chosen=chosen)

    def run(**options: Any) -> tuple[Emulator, RunResult]:
        emulator = Emulator(case.config, **case.options(strict=False), **options)
        return emulator, emulator.run(case.events, duration=case.duration)

    emulator, result = run()
    where = {item.rule: item.where for item in emulator.assumptions()}
    for layer, counted in result.counters.items():
        assert not counted.upper_clamped or layer in where.get("saturation", ()), "saturation"
        assert counted.spikes == counted.spikes_out or layer in where["decimator"]
        assert not counted.leak_updates or layer in where["leak-spikes"]
        assert not counted.dropped_remainder or "outside-the-map" in where
    for rule, other in {
        "depth-first": {"order": "breadth_first"},
        "zero-weights": {"zero_weights": "synapse"},
        "decimator": {"decimator_passes": "first"},
    }.items():
        if differs(result, run(**other)[1]):
            assert next(item for item in emulator.assumptions() if item.rule == rule).alternative == other


def test_the_chips_description_says_where_ratings_are_from() -> None:
    assert get_chip("speck2f").synops_source in listed(PLAIN)["ratings"].text
    assert Emulator(PLAIN).run(NOTHING).load[3].rating == get_chip("speck2f").core(3).synops_per_second
