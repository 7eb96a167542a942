"""Section 6 of the chip model by hand: each block of the sensor alone, all of them, and where its events go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chipflow.errors import EventError
from chipflow.events import make_events
from chipflow.events.readings import SensorCounters
from hwconfig import ChipConfig, DvsDestination, DvsLayerConfig, get_chip

from .builders import BOTH, NOTHING, Kind, chip, pointwise, relay

SENSOR = 13
SIZE = get_chip("speck2f").sensor.size


def front(*targets: int, **fields: Any) -> ChipConfig:
    """A sensor before cores that pass on what they get."""
    part = DvsLayerConfig(destinations=[DvsDestination(layer=target) for target in targets], **fields)
    shape = part.output_shape(SIZE)
    return chip({target: relay(shape) for target in targets}, dvs_layer=part)


def seen(kind: Kind, config: ChipConfig, places: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """(x, y, p) of what arrives at the core for events at (x, y, p), one each microsecond."""
    x, y, p = zip(*places, strict=True)
    events = kind(config).run(make_events(x, y, range(len(places)), p)).events
    return [(int(x), int(y), int(p)) for x, y, _, p, _ in events.tolist()]


@BOTH
@pytest.mark.parametrize(
    ("fields", "places", "expected"),
    [
        ({}, [(3, 5, 0), (3, 5, 1)], [(3, 5, 0), (3, 5, 1)]),
        ({"on_channel": False}, [(3, 5, 0), (3, 5, 1)], [(3, 5, 0)]),
        ({"off_channel": False}, [(3, 5, 0), (3, 5, 1)], [(3, 5, 1)]),
        ({"merge": True}, [(3, 5, 0), (3, 5, 1)], [(3, 5, 0), (3, 5, 0)]),
        ({"merge": True, "off_channel": False}, [(3, 5, 0), (4, 5, 1)], [(4, 5, 0)]),
        ({"pooling": (4, 2), "cut": (31, 39)}, [(3, 5, 0), (4, 8, 1), (79, 127, 0)], [(1, 1, 0), (2, 2, 1), (39, 31, 0)]),
        ({"mirror": (True, False)}, [(3, 5, 0), (39, 29, 1)], [(3, 24, 0), (39, 0, 1)]),
        ({"mirror": (False, True)}, [(3, 5, 0), (39, 29, 1)], [(36, 5, 0), (0, 29, 1)]),
        ({"mirror_diagonal": True}, [(3, 5, 0), (39, 29, 1)], [(5, 3, 0), (29, 39, 1)]),
        # The mirror comes first: x = 3 becomes 36, and then y.
        ({"mirror": (False, True), "mirror_diagonal": True}, [(3, 5, 0)], [(5, 36, 0)]),
    ],
)  # fmt: skip
def test_each_block(kind: Kind, fields: dict[str, Any], places: Any, expected: Any) -> None:
    config = front(0, **{"cut": (29, 39)} | fields)
    assert seen(kind, config, places) == expected


@BOTH
def test_the_region_is_inclusive_in_pooled_pixels_and_begins_at_0(kind: Kind) -> None:
    config = front(0, pooling=(2, 4), origin=(10, 3), cut=(11, 5))
    assert config.core(0).dimensions.input_shape == (2, 2, 3)
    corners = [(12, 20, 0), (23, 23, 0), (12, 23, 1), (23, 20, 1)]
    beside = [(11, 20, 0), (24, 20, 0), (12, 19, 0), (12, 24, 0)]
    assert seen(kind, config, corners + beside) == [(0, 0, 0), (2, 1, 0), (0, 1, 1), (2, 0, 1)]


@BOTH
def test_all_blocks_together(kind: Kind) -> None:
    """Region of 3 rows and 5 columns. (17, 44) is pooled to (4, 22), in the region (2, 2), mirrored (2, 0), swapped (0, 2)."""
    fields = {"on_channel": False, "merge": True, "pooling": (2, 4), "origin": (20, 2), "cut": (22, 6)}
    config = front(0, mirror=(True, True), mirror_diagonal=True, monitor_enable=True, **fields)
    assert config.core(0).dimensions.input_shape == (1, 5, 3)
    result = kind(config).run(make_events([17, 17, 8, 27, 28], [44, 44, 40, 41, 44], [3, 4, 5, 6, 7], [0, 1, 0, 0, 0]))
    assert result.events[result.events["layer"] == 0].tolist() == [(0, 2, 3, 0, 0), (2, 4, 5, 0, 0), (2, 0, 6, 0, 0)]
    assert result.events[result.events["layer"] == SENSOR].tolist() == [(0, 2, 3, 0, 13), (2, 4, 5, 0, 13), (2, 0, 6, 0, 13)]
    assert result.sensor.counters == SensorCounters(events_in=5, dropped_polarity=1, dropped_region=1, events_out=3)
    assert result.counters[0].events_in == 3


@BOTH
def test_drops_are_counted_by_the_first_reason(kind: Kind) -> None:
    config = front(0, off_channel=False, cut=(9, 9), raw_monitor_enable=True)
    x, y, p = zip(
        *[(128, 0, 1), (0, 128, 0), (-1, 0, 1), (0, 0, 2), (0, 0, -1)],  # outside, whatever their polarity
        *[(0, 0, 0), (50, 0, 0)],  # polarity, also where the region would drop them
        *[(10, 0, 1), (0, 10, 1), (127, 127, 1)],
        *[(9, 9, 1)],
        strict=True,
    )  # fmt: skip
    events = make_events(x, y, 0, p)
    result = kind(config, on_outside="drop").run(events)
    counted = result.sensor.counters
    assert counted == SensorCounters(events_in=11, dropped_outside=5, dropped_polarity=2, dropped_region=3, events_out=1)
    assert (counted.dropped, result.accounting.dropped, result.counters[0].events_in) == (10, 10, 1)
    with pytest.raises(EventError, match="the sensor") as caught:
        kind(config).run(events[::-1])
    assert caught.value.index == 6
    assert kind(config).run(events[5:]).sensor.counters.dropped == 5


@BOTH
def test_the_raw_monitor_shows_events_before_all_blocks_and_the_monitor_after_them(kind: Kind) -> None:
    config = front(0, merge=True, cut=(9, 19), mirror=(False, True), monitor_enable=True, raw_monitor_enable=True)
    result = kind(config).run(make_events([0, 60, 7], [3, 3, 9], [1, 2, 2], [1, 0, 0]))
    assert result.sensor.raw.dtype.names == ("x", "y", "t", "p")
    assert result.sensor.raw.tolist() == [(0, 3, 1, 1), (60, 3, 2, 0), (7, 9, 2, 0)]
    assert result.events.tolist() == [(19, 3, 1, 0, 13), (19, 3, 1, 0, 0), (12, 9, 2, 0, 13), (12, 9, 2, 0, 0)]
    assert (result.accounting.received, result.monitored) == (4, (0,))
    silent = kind(front(0, merge=True, cut=(9, 19))).run(make_events([0], 3, 1, 1))
    assert (silent.sensor.raw.size, silent.events.tolist()) == (0, [(0, 3, 1, 0, 0)])


@BOTH
def test_an_event_goes_to_both_destinations_in_their_order(kind: Kind) -> None:
    result = kind(front(5, 2, cut=(3, 3), monitor_enable=True)).run(make_events([1, 2], 0, 7, 1))
    expected = [(1, SENSOR), (2, SENSOR), (1, 5), (2, 5), (1, 2), (2, 2)]
    assert [(x, layer) for x, _, _, _, layer in result.events.tolist()] == expected
    assert list(result.counters) == [5, 2]


@BOTH
def test_an_event_goes_twice_to_a_core_that_both_destinations_name(kind: Kind) -> None:
    part = front(5, cut=(3, 3)).dvs_layer
    config = front(5, cut=(3, 3)).with_changes(dvs_layer=part.with_changes(destinations=part.destinations * 2))
    result = kind(config).run(make_events([1], 0, 7, 1))
    assert result.events.tolist() == [(1, 0, 7, 1, 5)] * 2
    assert result.sensor.counters.events_in == 1


@BOTH
@pytest.mark.parametrize(("targets", "spikes"), [((0, 1), 0), ((1, 0), 1)])
def test_the_first_destination_comes_with_all_that_follows_from_it(kind: Kind, targets: tuple[int, int], spikes: int) -> None:
    """Core 1 adds 2 for what comes from the sensor, and -2 for what comes through core 0; its threshold is 2, its lower bound -1.

    By way of core 0 first: down to -1, then up to 1. The other way round it spikes at once.
    """
    part = DvsLayerConfig(merge=True, cut=(0, 0), destinations=[DvsDestination(layer=target) for target in targets])
    through = pointwise((1, 1, 1), [[0], [1]], 1)
    adding = pointwise((2, 1, 1), [[2, -2]], threshold_high=2)
    result = kind(chip({0: through, 1: adding}, dvs_layer=part)).run(make_events([0], 0, 1, 0))
    assert (result.counters[1].events_in, result.counters[1].spikes) == (2, spikes)


@BOTH
def test_a_field_layer_addresses_the_sensor_or_a_core(kind: Kind) -> None:
    config = front(0, cut=(9, 9), mirror=(False, True))
    events = make_events([1, 1, 2], 0, [1, 1, 2], 0, [SENSOR, 0, SENSOR])
    result = kind(config).run(events)
    assert result.events.tolist() == [(8, 0, 1, 0, 0), (1, 0, 1, 0, 0), (7, 0, 2, 0, 0)]
    assert (result.sensor.counters.events_in, result.counters[0].events_in) == (2, 3)
    with pytest.raises(EventError, match="core 0"):
        kind(config).run(make_events([10], 0, 1, 0, [0]))  # inside the sensor's map, outside the core's


@BOTH
def test_entries_take_events_without_a_layer_from_the_sensor(kind: Kind) -> None:
    config = front(0, cut=(9, 9), mirror=(False, True))
    emulator = kind(config, entries=[0])
    result = emulator.run(make_events([1], 0, 1, 0))
    assert result.events.tolist() == [(1, 0, 1, 0, 0)]
    assert result.sensor.counters == SensorCounters()
    assert emulator.run(make_events([1], 0, 1, 0, [SENSOR])).events.tolist() == [(8, 0, 1, 0, 0)]


@BOTH
def test_a_sensor_without_a_destination_is_only_watched(kind: Kind) -> None:
    part = DvsLayerConfig(merge=True, monitor_enable=True)
    config = chip({0: relay((1, 2, 2))}, dvs_layer=part)
    events = make_events([100, 1], 0, 1, [1, 0], [SENSOR, 0])
    result = kind(config).run(events)
    assert result.events.tolist() == [(100, 0, 1, 0, 13), (1, 0, 1, 0, 0)]
    assert kind(config).run(events[1:]).sensor is None
    assert kind(config).run(make_events([1], 0, 1, 0)).counters[0].events_in == 1  # the core is the entry


@BOTH
def test_a_sensor_that_got_nothing_reports_so(kind: Kind) -> None:
    result = kind(front(0, cut=(9, 9), raw_monitor_enable=True)).run(NOTHING)
    assert (result.sensor.counters, result.sensor.raw.size, result.events.size) == (SensorCounters(), 0, 0)
    assert result.events.dtype.names == ("x", "y", "t", "p", "layer")
    assert result.states[0].dtype == np.int16
