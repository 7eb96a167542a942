"""Section 7 of the chip model by hand: which features reach a class, counts, averages, and what is reported at a clock tick."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chipflow.errors import StrictModeError
from chipflow.events import EventArray, RunResult, make_events
from hwconfig import ChipConfig, ChipSpec, Destination, DvsLayerConfig, ReadoutConfig, get_chip

from .builders import BOTH, NOTHING, Kind, chip, core, pointwise, relay

READOUT = 12
PERIOD = 10
PLAIN = get_chip("speck2cmini")  # without the erratum
VALID = 1 << 20


def voting(classes: int = 15, of: str | ChipSpec = PLAIN, **fields: Any) -> ChipConfig:
    """A core that sends feature f as it is to a monitored readout block; averages over one period unless given."""
    usual = {"enable": True, "monitor_enable": True, "low_pass_filter_disable": True}
    return chip({0: relay((classes, 1, 1), READOUT)}, of=of, readout=ReadoutConfig(**(usual | fields)))


def votes(*periods: dict[int, int]) -> EventArray:
    """For each period, feature -> spikes."""
    spikes = [(i * PERIOD + 1, f) for i, period in enumerate(periods) for f, count in period.items() for _ in range(count)]
    return make_events(0, 0, [t for t, _ in spikes], [f for _, f in spikes])


def run(kind: Kind, config: ChipConfig, *periods: dict[int, int], **options: Any) -> RunResult:
    return kind(config, slow_clock_period_us=PERIOD, **options).run(votes(*periods), duration=len(periods) * PERIOD)


def read(result: RunResult) -> list[tuple[int, int]]:
    """(class, low 16 bits) at each tick."""
    values = result.readout.values["value"]
    assert (values >> 20 == 1).all()
    assert result.readout.winners.tolist() == [(value >> 16) & 15 for value in values.tolist()]
    return [((value >> 16) & 15, value & 0xFFFF) for value in values.tolist()]


@BOTH
def test_a_value_has_its_time_the_class_and_the_count(kind: Kind) -> None:
    result = run(kind, voting(), {0: 1, 3: 5, 7: 2}, {}, {14: 1})
    assert result.readout.values.tolist() == [(10, VALID | 4 << 16 | 5), (20, VALID), (30, VALID | 15 << 16 | 1)]
    assert (result.readout.events_in, result.readout.without_class, result.readout.pins.size) == (9, 0, 0)


@BOTH
def test_on_chips_with_the_erratum_every_fourth_feature_reaches_a_class(kind: Kind) -> None:
    """Each of 64 features has a period of its own; as mode 1 shows a bit for every class that got anything, a second class would show."""
    config = voting(64, "speck2f", output_mode_sel=1)
    result = run(kind, config, *({f: 1} for f in range(64)), strict=False)
    expected = [f // 4 + 1 if f % 4 == 0 and f < 60 else 0 for f in range(64)]
    assert (expected[0], expected[4], expected[56], expected[60]) == (1, 2, 15, 0)
    assert read(result) == [(number, 1 << number if number else 0) for number in expected]
    assert (result.readout.events_in, result.readout.without_class) == (64, 49)
    assert result.accounting.dropped == 0


@BOTH
def test_on_chips_without_it_the_first_15_features_do(kind: Kind) -> None:
    result = run(kind, voting(17), *({f: 1} for f in range(17)), strict=False)
    assert [number for number, _ in read(result)] == [*range(1, 16), 0, 0]
    assert result.readout.without_class == 2


@BOTH
def test_the_shift_of_the_destination_counts(kind: Kind) -> None:
    config = voting(1).with_core(0, relay((1, 1, 1), Destination(layer=READOUT, feature_shift=6)))
    assert read(run(kind, config, {0: 2})) == [(7, 2)]


@BOTH
def test_a_strict_run_names_the_spike_that_reaches_no_class(kind: Kind) -> None:
    shifting = pointwise((1, 2, 3), [[0], [0], [0], [0], [1], [1]], READOUT)
    config = chip({3: relay((1, 2, 3), 5), 5: shifting}, readout=ReadoutConfig(enable=True))
    emulator = kind(config, slow_clock_period_us=PERIOD)
    with pytest.raises(StrictModeError, match="no class") as caught:
        emulator.run(make_events([2], 1, 7, 0))
    assert (caught.value.layer, caught.value.neuron, caught.value.time) == (5, (5, 1, 2), 7)
    counted = kind(config, slow_clock_period_us=PERIOD, strict=False).run(make_events([2], 1, 7, 0))
    assert (counted.readout.events_in, counted.readout.without_class) == (2, 1)


@BOTH
def test_a_count_stops_at_65535(kind: Kind) -> None:
    """Every event makes 256 neurons spike, and each spike arrives twice; where they are does not matter."""
    twice = core((1, 79, 79), np.ones((1, 1, 16, 16), int), READOUT, READOUT)
    config = voting(1).with_core(0, twice)
    emulator = kind(config, slow_clock_period_us=PERIOD)
    t = [1] * 127 + [11] * 128
    result = emulator.run(make_events(40, 40, t, 0), duration=20)
    assert read(result) == [(1, 127 * 512), (1, 65_535)]
    assert result.readout.events_in == 255 * 512


@BOTH
@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ({"low_pass_filter_disable": True, "low_pass_filter32_not16": True}, 1),
        ({"low_pass_filter_disable": False}, 16),
        ({"low_pass_filter_disable": False, "low_pass_filter32_not16": True}, 32),
    ],
)
def test_averages_are_rounded_down_and_periods_before_the_start_count_as_0(
    kind: Kind, fields: dict[str, Any], length: int
) -> None:
    """47 spikes at once, and after 5 periods so many that both together are a multiple of the window; each leaves after its length."""
    second = 3 * length - 47 % length
    periods = [{2: 47}, {}, {}, {}, {}, {2: second}, *[{}] * 40]
    sums = [
        47 * (0 <= tick < length) + second * (5 <= tick < 5 + length)  # at ticks from 0
        for tick in range(len(periods))
    ]
    found = read(run(kind, voting(**fields), *periods))
    assert found == [(3 if total >= length else 0, total // length) for total in sums]


@BOTH
@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0, [0, 0]), (1, [1 << 3 | 1 << 6 | 1 << 15, 0]), (2, [7, 1]), (3, [9, 3])],
)
def test_the_output_mode_chooses_the_low_bits(kind: Kind, mode: int, expected: list[int]) -> None:
    config = voting(output_mode_sel=mode, output_neuron_num=6, threshold=3)
    result = run(kind, config, {2: 4, 5: 7, 9: 3, 14: 9}, {5: 1, 1: 3})
    assert read(result) == [(15, expected[0]), (2, expected[1])]


@BOTH
def test_of_equals_the_lowest_class_wins(kind: Kind) -> None:
    assert read(run(kind, voting(), {11: 2, 4: 2, 8: 1}, {14: 1, 13: 1})) == [(5, 2), (14, 1)]


@BOTH
def test_equal_averages_are_equals_whatever_their_sums(kind: Kind) -> None:
    config = voting(low_pass_filter_disable=False)
    assert read(run(kind, config, {3: 31, 9: 16}, {9: 16})) == [(4, 1), (10, 2)]


@BOTH
@pytest.mark.parametrize(("override", "expected"), [(False, [(20, 3)]), (True, [(10, 3), (20, 3), (30, 0)])])
def test_pins_rise_above_the_threshold_or_always(kind: Kind, override: bool, expected: list[tuple[int, int]]) -> None:
    config = voting(monitor_enable=False, readout_pin_monitor_enable=True, threshold=4, override_threshold_max=override)
    result = run(kind, config, {2: 4}, {2: 5}, {})
    assert result.readout.pins.tolist() == expected
    assert result.readout.values.size == 0


@BOTH
def test_the_monitor_of_the_readout_silences_all_others(kind: Kind) -> None:
    part = DvsLayerConfig(merge=True, monitor_enable=True, raw_monitor_enable=True)
    quiet, loud = (voting(monitor_enable=on).with_changes(dvs_layer=part) for on in (True, False))
    events = make_events([0, 0], 0, [1, 2], 0, [13, 0])
    silenced, heard = (kind(config, slow_clock_period_us=PERIOD).run(events, duration=20) for config in (quiet, loud))
    assert (silenced.events.size, silenced.sensor.raw.size, silenced.monitored) == (0, 0, ())
    assert (silenced.accounting.received, silenced.readout.values.size) == (0, 2)
    assert heard.events.tolist() == [(0, 0, 1, 0, 13), (0, 0, 2, 0, 0)]
    assert (heard.sensor.raw.size, heard.monitored, heard.readout.values.size) == (1, (0,), 0)
    assert silenced.sensor.counters == heard.sensor.counters
    assert silenced.counters == heard.counters


@BOTH
def test_a_monitor_of_a_readout_that_is_off_silences_nothing(kind: Kind) -> None:
    result = kind(voting(enable=False)).run(votes({0: 1}))
    assert (result.events.size, result.readout, result.accounting.dropped_at_readout) == (1, None, 1)


@BOTH
def test_averages_go_on_in_the_next_run_until_a_reset(kind: Kind) -> None:
    emulator = kind(voting(low_pass_filter_disable=False), slow_clock_period_us=PERIOD)
    first = emulator.run(votes({6: 40}), duration=PERIOD)
    second = emulator.run(NOTHING, duration=16 * PERIOD)
    assert read(first) == [(7, 2)]
    assert second.readout.values["t"].tolist() == list(range(10, 170, 10))  # the clock starts anew
    assert read(second) == [(7, 2)] * 15 + [(0, 0)]
    assert second.readout.events_in == 0
    emulator.run(votes({6: 40}), duration=PERIOD)
    emulator.reset()
    assert read(emulator.run(NOTHING, duration=PERIOD)) == [(0, 0)]


@BOTH
def test_spikes_after_the_last_tick_count_in_the_next_run_until_a_reset(kind: Kind) -> None:
    emulator = kind(voting(), slow_clock_period_us=PERIOD)
    assert emulator.run(votes({6: 3})).readout.values.size == 0
    assert read(emulator.run(votes({6: 1}), duration=PERIOD)) == [(7, 4)]
    emulator.run(votes({6: 3}))
    emulator.reset()
    assert read(emulator.run(votes({6: 1}), duration=PERIOD)) == [(7, 1)]


@BOTH
def test_spikes_of_a_tick_belong_to_the_period_that_it_closes_and_events_of_its_time_to_the_next(kind: Kind) -> None:
    leaking = relay((5, 1, 1), READOUT, leak_enable=True, biases=np.array([0, 0, 0, 0, 1]))
    config = voting(of="speck2f").with_core(0, leaking)
    result = kind(config, slow_clock_period_us=PERIOD).run(make_events(0, 0, [10, 10], 0), duration=20)
    assert read(result) == [(2, 1), (1, 2)]
