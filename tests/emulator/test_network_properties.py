"""What holds for any network: core ids do not matter, no weight is lost or counted twice, nor anything between chunks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hypothesis import event, given, settings
from hypothesis import strategies as st

from chipflow.emulator import Emulator
from chipflow.events import EventArray, RunResult, make_events
from hwconfig import ChipConfig, CoreConfig, Destination, DvsDestination

from .networks import CHIP, CORES, Case, cases
from .test_equality import assert_same

Ids = dict[int, int]
Counts = npt.NDArray[np.int64]


@st.composite
def reached_cases(draw: st.DrawFn) -> Case:
    """Cases in which an input reaches every core: all that has no source is an entry."""
    case = draw(cases())
    parts, events = case.config.cnn_layers, case.events
    fed = {target.layer for part in parts.values() for target in part.enabled_destinations}
    if case.entries is None and "layer" not in (events.dtype.names or ()):  # the entries below would take the sensor's events
        events = make_events(*(events[name] for name in "xytp"), np.uint8(CHIP.layers.sensor))
    entries = draw(st.permutations(sorted({*(case.entries or ()), *(set(parts) - fed)})))
    return replace(case, entries=tuple(entries), events=events)


def with_moved_layers(events: EventArray, ids: Ids) -> EventArray:
    moved = events.copy()
    if "layer" in (events.dtype.names or ()):
        table = np.arange(256)
        table[list(ids)] = list(ids.values())
        moved["layer"] = table[events["layer"]]
    return moved


def renumbered(case: Case, ids: Ids) -> Case:
    """The same network on other cores."""

    def moved(target: Destination | DvsDestination) -> Destination | DvsDestination:
        return target.with_changes(layer=ids.get(target.layer, target.layer))

    def placed(part: CoreConfig) -> CoreConfig:
        return part.with_changes(destinations=[moved(target) for target in part.destinations])

    sensor = case.config.dvs_layer
    config = case.config.with_changes(
        cnn_layers={ids[core]: placed(part) for core, part in case.config.cnn_layers.items()},
        dvs_layer=sensor.with_changes(destinations=[moved(target) for target in sensor.destinations]),
    )
    traced = {ids[core]: neurons for core, neurons in case.chosen["trace"].items()}
    return replace(
        case,
        config=config,
        entries=tuple(ids[core] for core in case.entries or ()),
        events=with_moved_layers(case.events, ids),
        chosen=case.chosen | {"trace": traced},
    )


def with_moved_ids(result: RunResult, ids: Ids) -> RunResult:
    by_core = {
        name: {ids[core]: value for core, value in getattr(result, name).items()}
        for name in ("counters", "states", "shapes", "load", "traces")
    }
    monitored = tuple(ids[core] for core in result.monitored)
    return replace(result, events=with_moved_layers(result.events, ids), monitored=monitored, **by_core)


@settings(max_examples=100, deadline=None)
@given(reached_cases(), st.permutations(range(CORES)))
def test_core_ids_do_not_matter(case: Case, places: list[int]) -> None:
    ids = dict(enumerate(places))
    other = renumbered(case, ids)
    found = Emulator(other.config, **other.options(strict=False)).run(other.events, duration=other.duration)
    result = Emulator(case.config, **case.options(strict=False)).run(case.events, duration=case.duration)
    wanted = with_moved_ids(result, ids)
    assert_same(found, wanted)
    assert list(found.counters) == list(wanted.counters)


def adding_up(config: ChipConfig) -> ChipConfig:
    """Every spike takes exactly the threshold away and is reported; amounts are so small that states hardly reach a clamp."""

    def changed(part: CoreConfig) -> CoreConfig:
        return part.with_changes(
            weights=np.clip(part.weights, -9, 9),
            biases=np.clip(part.biases, -99, 99),
            neurons_initial_value=np.clip(part.neurons_initial_value, -999, 999),
            threshold_low=-32768,
            return_to_zero=False,
            monitor_enable=True,
            output_decimator_enable=False,
        )

    return config.with_changes(cnn_layers={core: changed(part) for core, part in config.cnn_layers.items()})


def arrivals(case: Case, result: RunResult, core: int) -> tuple[Counts, int]:
    """How many events came to each place of a core's input map, and how many outside; from the reported spikes of its sources."""
    events, reported = case.events, result.events
    if "layer" in (events.dtype.names or ()):
        events = events[events["layer"] == core]
    elif core not in (case.entries or ()):
        events = events[:0]
    places = [np.stack([events[name].astype(np.int64) for name in "pyx"])]
    for source, part in case.config.cnn_layers.items():
        for target in part.enabled_destinations:
            if target.layer == core:
                mine = reported[reported["layer"] == source]
                f, y, x = (mine[name].astype(np.int64) for name in "pyx")
                places.append(np.stack([f + target.feature_shift, y // target.pooling, x // target.pooling]))
    shape = case.config.core(core).dimensions.input_shape
    every = np.concatenate(places, axis=1)
    inside = np.all((every >= 0) & (every < np.array(shape)[:, None]), axis=0)
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, tuple(every[:, inside]), 1)
    return counts, every.shape[1]


def convolved(part: CoreConfig, counts: Counts, kernel: npt.NDArray[np.integer]) -> Counts:
    """The dense convolution of a map with a kernel [f][c][y][x], for the dimensions of a core."""
    size = part.dimensions
    padded = np.pad(counts, [(0, 0), *((pad, pad) for pad in size.padding)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size.kernel_size, size.kernel_size), axis=(1, 2))
    return np.einsum("cyxij,fcij->fyx", windows[:, :: size.stride[0], :: size.stride[1]], kernel.astype(np.int64))


@settings(max_examples=100, deadline=None)
@given(cases(plain=True))
def test_spikes_account_for_all_that_was_added(case: Case) -> None:
    case = replace(case, config=adding_up(case.config))
    emulator = Emulator(case.config, **case.options(strict=False))
    before = {core: emulator.state(core) for core in case.config.active_cores}
    result = emulator.run(case.events, duration=case.duration)
    last = int(case.events["t"][-1]) if case.events.size else 0
    ticks = (last if case.duration is None else case.duration) // case.period
    for core, part in case.config.cnn_layers.items():
        counted = result.counters[core]
        came, total = arrivals(case, result, core)
        taps = np.ones_like(part.weights)
        assert (counted.events_in, counted.dropped) == (total, total - came.sum())
        assert counted.synops == convolved(part, came, taps).sum()
        assert counted.updates == convolved(part, came, part.weights != 0).sum()
        clamped = counted.lower_clamped + counted.upper_clamped
        event(f"clamped: {clamped > 0}")
        if not clamped:
            received = convolved(part, came, part.weights)
            received += ticks * part.biases.astype(np.int64)[:, None, None] if part.leak_enable else 0
            kept = result.states[core].astype(np.int64) - before[core]
            np.testing.assert_array_equal(kept + part.threshold_high * result.counts(core), received, err_msg=f"core {core}")


@settings(max_examples=50, deadline=None)
@given(cases(), st.integers(0, 40))
def test_states_between_chunks_are_those_of_a_run_that_ends_there(case: Case, cut: int) -> None:
    fed, whole = (Emulator(case.config, **case.options(strict=False)) for _ in range(2))
    fed.feed(case.events[:cut])
    wanted = whole.run(case.events[:cut]).states
    for core, states in wanted.items():
        np.testing.assert_array_equal(fed.state(core), states)
        for place in ((0, 0, 0), tuple(size - 1 for size in states.shape)):
            assert fed.state(core, place) == states[place]
        fed.state(core).fill(99)  # a copy
    whole.reset()
    fed.feed(case.events[cut:])
    assert_same(fed.finish(case.duration), whole.run(case.events, duration=case.duration))


@settings(max_examples=50, deadline=None)
@given(cases(), st.integers(0, 40))
def test_a_snapshot_continues_in_a_twin(case: Case, cut: int) -> None:
    first = Emulator(case.config, **case.options(strict=False))
    whole = first.run(case.events, duration=case.duration)
    second = first.twin()  # as after a reset, though `first` is not
    second.feed(case.events[:cut])
    middle = second.snapshot()
    third = second.twin()
    third.restore(middle)
    for emulator in (second, third):
        emulator.feed(case.events[cut:])
    assert_same(second.finish(case.duration), whole)
    assert_same(third.finish(case.duration), whole)
    third.restore(middle)  # neither run has changed it
    third.feed(case.events[cut:])
    assert_same(third.finish(case.duration), whole)
