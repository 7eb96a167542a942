"""Section 9 of the chip model by hand: how much a core was asked to do, against its rating."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from chipflow.emulator import Emulator
from chipflow.errors import OverloadError
from chipflow.events import EventArray, make_events
from chipflow.events.readings import CoreLoad
from hwconfig import ChipConfig, ChipSpec, get_chip

from .builders import BOTH, NOTHING, Kind, chip, pointwise, relay


def rated(per_second: int) -> ChipSpec:
    """A chip whose cores are all rated alike."""
    model = get_chip("speck2f")
    cores = tuple(spec.model_copy(update={"synops_per_second": per_second}) for spec in model.cores)
    return model.model_copy(update={"name": "rated", "cores": cores})


def at(*times: int) -> EventArray:
    return make_events(0, 0, times, 0)


ONE = chip({3: relay((1, 1, 1))})  # one update for each event


def worst(kind: Kind, window: int, *times: int, config: ChipConfig = ONE, **options: Any) -> tuple[int, int]:
    load = kind(config, load_window_us=window, **options).run(at(*times)).load[3]
    assert load.window_us == window
    return load.worst_operations, load.worst_start_us


@BOTH
@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((), (0, 0)),
        ((25,), (1, 20)),
        ((9, 10, 11, 19, 20), (3, 10)),  # not 9 to 19: windows begin at multiples of their length
        ((5, 6, 17, 18, 29), (2, 0)),  # the earliest of equals
        ((5, 16, 17, 38, 39), (2, 10)),
        ((5, 5, 16, 17, 17), (3, 10)),  # the last one, though the run ends in it
        ((3, 10**12 + 1, 10**12 + 2), (2, 10**12)),
    ],
)
def test_the_worst_aligned_window_is_the_earliest_of_those_with_most(
    kind: Kind, times: tuple[int, ...], expected: tuple[int, int]
) -> None:
    assert worst(kind, 10, *times) == expected


@BOTH
def test_the_length_of_a_window_is_an_option_and_10_ms_by_default(kind: Kind) -> None:
    times = (0, 1, 2, 3, 9_999, 10_000)
    assert [worst(kind, window, *times) for window in (1, 2, 3, 10_001)] == [(1, 0), (2, 0), (3, 0), (6, 0)]
    load = kind(ONE).run(at(*times)).load[3]
    assert (load.window_us, load.worst_operations, load.worst_start_us) == (10_000, 5, 0)


@BOTH
def test_an_operation_is_an_update_of_a_neuron_by_an_event_or_a_tick(kind: Kind) -> None:
    """Core 0: 2 of 3 taps of an event are synapses. Core 3: 4 spikes reach it, and at a tick 2 of its 3 neurons have a bias."""
    first = pointwise((1, 1, 1), [[1], [0], [1]], 3)
    leaking = pointwise((3, 1, 1), [[1, 0, 0], [0, 0, 0], [0, 0, 1]], leak_enable=True, biases=np.array([1, 0, -1]))
    result = kind(chip({0: first, 3: leaking}), slow_clock_period_us=10, load_window_us=10).run(at(8, 10), duration=20)
    assert [result.load[core].operations for core in (0, 3)] == [4, 2 * 2 + 2 * 2]
    assert (result.load[0].worst_operations, result.load[0].worst_start_us) == (2, 0)
    # From 0: the spikes of 8. From 10: the tick and the spikes of 10. From 20: the tick.
    assert (result.load[3].worst_operations, result.load[3].worst_start_us) == (4, 10)


@BOTH
def test_the_mean_is_over_the_duration_or_up_to_the_last_event(kind: Kind) -> None:
    emulator = kind(ONE)
    ended, lasted, short = emulator.run(at(0, 4)), emulator.run(at(0, 4), duration=1000), emulator.run(at(0, 0))
    assert (ended.load[3].length_us, ended.load[3].mean_per_s) == (4, 500_000)
    assert (lasted.load[3].length_us, lasted.load[3].mean_per_s) == (1000, 2000)
    assert (short.load[3].operations, short.load[3].length_us, short.load[3].mean_per_s) == (2, 0, 0)
    assert ended.load[3].worst_per_s == lasted.load[3].worst_per_s == 200
    assert emulator.run(NOTHING).load[3] == CoreLoad(0, 0, 30_000_000, 10_000, 0, 0)


@BOTH
def test_every_run_begins_at_0(kind: Kind) -> None:
    emulator = kind(ONE, load_window_us=10)
    emulator.run(at(11, 12, 13))
    load = emulator.run(at(25)).load[3]
    assert (load.operations, load.worst_operations, load.worst_start_us) == (1, 1, 20)


def test_a_window_may_begin_in_one_chunk_and_end_in_another() -> None:
    emulator = Emulator(ONE, load_window_us=10)
    for times in ((1, 2, 13), (14,), (), (15, 26, 27)):
        emulator.feed(at(*times))
    load = emulator.finish().load[3]
    assert (load.operations, load.worst_operations, load.worst_start_us) == (7, 3, 10)


@BOTH
def test_the_rating_is_that_of_the_chips_description(kind: Kind) -> None:
    cores = {0: relay((1, 1, 1), 3), 3: relay((1, 1, 1))}
    load = kind(chip(cores)).run(at(0)).load
    assert {core: one.rating for core, one in load.items()} == {0: 100_000_000, 3: 30_000_000}
    assert kind(chip(cores, rated(7))).run(at(0)).load[0].rating == 7


@BOTH
@pytest.mark.parametrize(("rating", "overloaded"), [(300_000, False), (299_999, True)])
def test_a_core_is_overloaded_by_more_than_its_rating_in_a_window(kind: Kind, rating: int, overloaded: bool) -> None:
    """3 operations in 10 us are 300,000 per second; over the whole run they are few."""
    config = ONE.with_changes(chip=rated(rating))
    load = kind(config, load_window_us=10).run(at(11, 12, 13), duration=10**6).load[3]
    assert (load.worst_per_s, load.mean_per_s) == (300_000, 3)
    assert load.overloaded == overloaded
    assert load.share == pytest.approx(300_000 / rating)


@BOTH
def test_a_core_is_overloaded_by_more_than_its_rating_over_the_run(kind: Kind) -> None:
    """Two windows of 10 us, the second cut short by the end: 4 and 4 operations in 14 us. Shorter than a window, it says nothing."""
    config = ONE.with_changes(chip=rated(500_000))
    times = (0, 3, 6, 9, 10, 11, 12, 14)
    load = kind(config, load_window_us=10).run(at(*times)).load[3]
    assert (load.worst_per_s, round(load.mean_per_s), load.overloaded) == (400_000, 571_429, True)
    assert not kind(config, load_window_us=20).run(at(*times)).load[3].overloaded


@BOTH
def test_overload_is_an_error_if_asked_for_and_leaves_all_as_before(kind: Kind) -> None:
    slow = chip({0: relay((1, 1, 1), 3), 3: pointwise((1, 1, 1), [[2]], threshold_high=9)}, rated(199_999))
    emulator = kind(slow, on_overload="error", load_window_us=10)
    emulator.run(at(1))
    with pytest.raises(OverloadError) as caught:
        emulator.run(at(11, 12))
    error = caught.value
    assert (error.layer, error.load) == (0, CoreLoad(2, 12, 199_999, 10, 2, 10))
    assert "core 0" in str(error)
    assert "199,999" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.layer, again.load) == (OverloadError, str(error), error.layer, error.load)
    assert emulator.state(3).item() == 2
    fresh = kind(slow, on_overload="error", load_window_us=10)
    fresh.run(at(1))
    found, wanted = emulator.run(at(5, 15, 25)), fresh.run(at(5, 15, 25))
    assert (found.counters, found.load) == (wanted.counters, wanted.load)
    assert found.states[3].item() == wanted.states[3].item() == 8
    warned = kind(slow, on_overload="warn", load_window_us=10).run(at(11, 12))
    assert [warned.load[core].overloaded for core in (0, 3)] == [True, True]


def test_a_fed_run_that_overloads_can_go_on_to_a_longer_end() -> None:
    """The error comes at `finish`; the run is still under way, and its mean falls with its length."""
    config = ONE.with_changes(chip=rated(400_000))
    emulator = Emulator(config, on_overload="error", load_window_us=10)
    emulator.feed(at(0, 3, 6, 9, 10, 11, 12, 14))
    with pytest.raises(OverloadError):
        emulator.finish()
    assert not emulator.finish(duration=20).load[3].overloaded
