"""Large numbers, many events, and configurations at the edge: the right answer, or a refusal in words."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from chipflow.emulator import Emulator
from chipflow.errors import EmulatorError, EventError
from chipflow.events import EVENT_DTYPE, EVENT_LAYER_DTYPE, make_events
from hwconfig import ChipConfig, synthetic_chip
from tests.processes import python

from .builders import BOTH, NOTHING, Kind, chip, core, pointwise, relay, watched
from .test_equality import assert_same

MOST_TIME = 2**62 - 1  # microseconds: two of them can be added in 64 bits
LARGE = synthetic_chip([(65536, 65536, 1024)] * 9)  # every core has the most of each memory


def counting(size: int = 2, **fields: Any) -> ChipConfig:
    """One core whose states count the events of each place, and which never spikes unless `fields` say so."""
    usual = {"threshold_high": 32767, "threshold_low": -32767, "monitor_enable": False}
    return chip({0: pointwise((1, size, size), [[1]], **(usual | fields))})


@BOTH
def test_no_event_and_one_event(kind: Kind) -> None:
    config = counting(monitor_enable=True)
    nothing = kind(config).run(NOTHING)
    assert (nothing.events.size, nothing.accounting.sent, nothing.counters[0].events_in) == (0, 0, 0)
    assert nothing.events.dtype == EVENT_LAYER_DTYPE
    for empty in (np.empty(0, EVENT_DTYPE), np.empty(0, EVENT_LAYER_DTYPE), NOTHING[::-1]):
        assert_same(kind(config).run(empty), nothing)
    one = kind(counting()).run(make_events(1, 0, 0, 0))
    assert one.states[0].tolist() == [[[0, 1], [0, 0]]]


@BOTH
@pytest.mark.parametrize("t", [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, MOST_TIME])
def test_times_are_64_bits_wide(kind: Kind, t: int) -> None:
    config = chip({0: relay((1, 1, 2), 1), 1: relay((1, 1, 2))})
    result = kind(config, trace={1: [(0, 0, 1)]}).run(make_events([0, 1, 1], 0, [t - 1, t, t], 0), duration=t)
    assert result.events["t"].tolist() == [t - 1, t - 1, t, t, t, t]
    assert result.events["layer"].tolist() == [0, 1, 0, 0, 1, 1]
    assert result.traces[1]["t"].tolist() == [t, t]
    window = result.load[0].window_us
    assert (result.load[0].worst_operations, result.load[0].worst_start_us) == (
        (3, t // window * window) if (t - 1) // window == t // window else (2, t // window * window)
    )


@BOTH
@pytest.mark.parametrize("period", [2**31, 2**32 + 1, MOST_TIME // 2, MOST_TIME])
def test_ticks_of_a_slow_clock_are_64_bits_wide(kind: Kind, period: int) -> None:
    """The tick after the last one must not wrap around to a time that is not over."""
    emulator = kind(counting(leak_enable=True, biases=np.array([1])), slow_clock_period_us=period)
    most = min(MOST_TIME // period, 3)
    with watched(emulator):
        result = emulator.run(make_events(0, 0, [period], 0), duration=min(most * period + period - 1, MOST_TIME))
    assert result.states[0].tolist() == [[[most + 1, most], [most, most]]]


@BOTH
@pytest.mark.parametrize("window", [2**31, 2**33, MOST_TIME // 2, MOST_TIME])
def test_windows_of_the_load_are_64_bits_wide(kind: Kind, window: int) -> None:
    times = [1, window - 1, window, window, window]
    load = kind(counting(), load_window_us=window).run(make_events(0, 0, times, 0)).load[0]
    assert (load.worst_operations, load.worst_start_us) == (3, window)


@BOTH
@pytest.mark.parametrize("value", [MOST_TIME + 1, 2**63 - 1, 2**63, 2**64])
def test_what_64_bits_cannot_count_is_refused_in_words(kind: Kind, value: int) -> None:
    for name in ("slow_clock_period_us", "load_window_us"):
        with pytest.raises(EmulatorError, match=name):
            kind(counting(), **{name: value})
    emulator = kind(counting())
    with pytest.raises(EmulatorError, match="duration"):
        emulator.run(NOTHING, duration=value)
    if value < 2**63:
        with pytest.raises(EventError, match="rebase_time") as caught:
            emulator.run(make_events(0, 0, [1, value, value], 0))
        assert caught.value.index == 1
    assert emulator.run(NOTHING).states[0].sum() == 0


def test_a_clock_of_10_ms_over_2_to_the_31_microseconds() -> None:
    """214,748 ticks, and an event in the middle. A bias of -1 ends at the lower bound; 3 makes a spike every third tick, less the rest."""
    part = pointwise(
        (1, 1, 1),
        [[5], [5]],
        threshold_high=8,
        threshold_low=-1000,
        leak_enable=True,
        biases=np.array([-1, 3]),
        monitor_enable=True,
    )
    ticks, middle = 2**31 // 10_000, 2**30
    result = Emulator(chip({0: part}), slow_clock_period_us=10_000).run(make_events(0, 0, [middle], 0), duration=2**31)
    assert result.states[0].ravel().tolist() == [-1000, (ticks * 3 + 5) % 8]
    counted = result.counters[0]
    assert (counted.leak_updates, counted.updates, counted.spikes) == (2 * ticks, 2, (ticks * 3 + 5) // 8)
    assert counted.lower_clamped == ticks - 1000 - 5
    assert result.events["t"][-1] > 2**31 - 30_000
    assert (result.events["t"] % 10_000 == 0).sum() >= result.events.size - 1


def test_a_million_ticks_take_little_time() -> None:
    emulator = Emulator(counting(8, leak_enable=True, biases=np.array([1]), threshold_high=1000), slow_clock_period_us=1)
    begin = time.perf_counter()
    result = emulator.run(NOTHING, duration=1_000_000)
    assert time.perf_counter() - begin < 5
    assert (result.counters[0].leak_updates, result.counters[0].spikes) == (64_000_000, 64_000)


def test_one_event_may_cause_65536_spikes() -> None:
    """They leave by rows, columns, features; the next core gets all of them before the next event."""
    burst = core((1, 31, 31), np.ones((256, 1, 16, 16), int), 7)
    config = chip({4: burst, 7: pointwise((256, 16, 16), np.ones((1, 256), int), threshold_high=200)}, LARGE)
    result = Emulator(config).run(make_events(15, 15, [3, 9], 0))
    first = result.events[result.events["layer"] == 4][: 1 << 16]
    assert [len(result.events[result.events["layer"] == layer]) for layer in (4, 7)] == [2 << 16, 2 * 256]
    oy, ox, f = np.unravel_index(np.arange(1 << 16), (16, 16, 256))
    for name, column in (("y", oy), ("x", ox), ("p", f)):
        np.testing.assert_array_equal(first[name], column)
    assert (first["t"] == 3).all()
    assert (result.counters[4].synops, result.counters[7].synops) == (2 << 16, 2 << 16)
    assert result.states[7].tolist() == [[[2 * 256 - 2 * 200] * 16] * 16]


@BOTH
def test_one_event_may_cause_thousands_of_spikes_at_a_merge(kind: Kind) -> None:
    """Each of 4096 spikes goes to core 7 twice before the next one; the second way takes away what the first has added."""
    burst = core((1, 31, 31), np.ones((16, 1, 16, 16), int), 7, 8)
    cores = {
        4: burst,
        8: relay((16, 16, 16), 7, monitor_enable=False),
        7: pointwise((16, 16, 16), [[(-1) ** f for f in range(16)]], threshold_high=3, threshold_low=-3),
    }
    result = kind(chip(cores, LARGE)).run(make_events(15, 15, [3], 0))
    # Each place gets +1 +1 -1 -1 over and over.
    assert [result.counters[i].events_in for i in (4, 8, 7)] == [1, 4096, 8192]
    assert (result.counters[7].spikes, (result.states[7] == 0).all(), result.events.size) == (0, True, 4096)


def test_more_events_and_spikes_than_fit_in_one_piece() -> None:
    """Each event is two reported spikes; the emulator takes events and spikes in pieces of 65,536."""
    count = 3 * 65_536 + 1
    config = chip({2: relay((1, 4, 4), 5), 5: relay((1, 4, 4))})
    n = np.arange(count)
    events = make_events(n % 4, n // 4 % 4, n // 2, 0)
    result = Emulator(config).run(events)
    for layer in (2, 5):
        mine = result.events[result.events["layer"] == layer]
        for name in "xytp":
            np.testing.assert_array_equal(mine[name], events[name])
    # Of each time: both spikes of core 2, then both of core 5.
    assert result.events["layer"][:-2].reshape(-1, 4).tolist() == [[2, 2, 5, 5]] * (count // 2)
    assert (result.counters[5].spikes, result.accounting.received) == (count, 2 * count)


@BOTH
def test_a_field_layer_addresses_every_core(kind: Kind) -> None:
    """Nine cores with maps of their own, the last four in a row: an event goes to its core alone, and from there on."""
    ids = range(9)
    cores = {i: relay((1, 1, i + 1)) for i in range(5)} | {i: relay((1, 1, 6), *([i + 1] if i < 8 else [])) for i in range(5, 9)}
    result = kind(chip(cores)).run(make_events([min(i, 5) for i in ids], 0, list(ids), 0, list(ids)))
    reached = {i: [i] if i < 5 else list(range(i, 9)) for i in ids}
    assert {t: result.events[result.events["t"] == t]["layer"].tolist() for t in ids} == reached
    assert (result.events["x"] == np.minimum(result.events["t"], 5)).all()
    assert [result.counters[i].events_in for i in ids] == [1, 1, 1, 1, 1, 1, 2, 3, 4]


@BOTH
def test_states_may_start_outside_their_bounds(kind: Kind) -> None:
    """Nothing happens to them until their next update; then they are clamped, or spike once an update while they are at the threshold."""
    part = pointwise(
        (2, 1, 3), [[1, -1]], threshold_high=10, threshold_low=-5, leak_enable=True, biases=np.array([1]),
        neurons_initial_value=np.array([[[35, -32768, 10]]]),
    )  # fmt: skip
    emulator = kind(chip({0: part}), slow_clock_period_us=100)
    assert emulator.run(NOTHING).states[0].tolist() == [[[35, -32768, 10]]]
    result = emulator.run(make_events([0, 0, 0, 0, 1], 0, [1, 2, 3, 4, 5], [1, 0, 1, 1, 0]))
    assert result.states[0].tolist() == [[[3, -5, 10]]]  # 35: 24, 15, 4, 3
    assert result.events["t"].tolist() == [1, 2, 3]
    assert (result.counters[0].lower_clamped, result.counters[0].spikes) == (1, 3)
    ticked = emulator.run(NOTHING, duration=100)
    assert ticked.states[0].tolist() == [[[4, -4, 1]]]
    emulator.reset()
    assert emulator.state(0).tolist() == [[[35, -32768, 10]]]


@BOTH
def test_a_network_without_a_monitored_core_reports_no_spikes_but_counts_them(kind: Kind) -> None:
    cores = {0: relay((1, 2, 2), 1, monitor_enable=False), 1: relay((1, 2, 2), monitor_enable=False)}
    result = kind(chip(cores)).run(make_events([0, 1], 0, 1, 0))
    assert (result.events.size, result.events.dtype, result.monitored) == (0, EVENT_LAYER_DTYPE, ())
    assert [result.counters[layer].spikes for layer in (0, 1)] == [2, 2]
    with pytest.raises(EventError, match="monitor_enable"):
        result.counts()


FIFTY_MILLION = """
import json, resource, sys, time
import numpy as np
from chipflow.emulator import Emulator
from chipflow.events import EVENT_DTYPE
from hwconfig import ChipConfig, CoreConfig, Dimensions

count, side = int(sys.argv[1]), 8
size = Dimensions(kernel_size=1, input_shape=(1, side, side), output_shape=(1, side, side))
core = CoreConfig(dimensions=size, weights=np.full((1, 1, 1, 1), 3), threshold_high=7, threshold_low=-1)
emulator = Emulator(ChipConfig(chip="speck2f", cnn_layers={0: core}))
events = np.zeros(count, EVENT_DTYPE)
for at in range(0, count, 1 << 20):
    part = events[at : at + (1 << 20)]
    n = np.arange(at, at + len(part))
    part["t"], part["x"], part["y"] = n, n % side, n // side % side
emulator.run(events[:1])
emulator.reset()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, begin = peak(), time.perf_counter()
result = emulator.run(events)
print(json.dumps([
    vars(result.counters[0]), np.unique(result.states[0]).tolist(), time.perf_counter() - begin, before, peak(), events.nbytes
]))
"""


@pytest.mark.slow
def test_fifty_million_events_in_bounded_memory() -> None:
    """Each of 64 neurons gets 3 for every 64th event: count / 64 * 3 in all, 7 of them for a spike."""
    count = 50_000_000 // 64 * 64
    done = python(FIFTY_MILLION, count)
    assert done.returncode == 0, done.stderr
    counted, states, seconds, before, peak, size = json.loads(done.stdout)
    each = count // 64 * 3
    assert states == [each % 7]
    assert counted["spikes"] == counted["spikes_out"] == each // 7 * 64
    assert (counted["events_in"], counted["synops"], counted["updates"]) == (count, count, count)
    assert seconds < 60
    assert peak < 6 << 30
    assert peak - before < size / 2, "a run of events as they should be needs no copy of them"
