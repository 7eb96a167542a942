"""What a run does: it starts anew, answers as the reference, and reports what was asked for."""

from __future__ import annotations

import pytest

from chipflow import Program
from chipflow.backends.base import Device
from chipflow.emulator import ReferenceEmulator
from chipflow.errors import DeviceError, DeviceTimeoutError
from chipflow.events import EventArray, RunResult

from .answers import assert_same_answer, counts
from .conftest import DURATION_US, LAYERS, TIMEOUT_S, program_for


def silent(result: RunResult) -> tuple[object, ...]:
    """What does not depend on which layers are monitored."""
    return result.counters, {core: states.tolist() for core, states in result.states.items()}


@pytest.mark.parametrize("bias", [False, True])
def test_the_answer_is_that_of_the_reference(device: Device, chip: str, events: EventArray, bias: bool) -> None:
    program = program_for(chip, bias)
    reference = ReferenceEmulator(program.config, entries=program.entries, slow_clock_period_us=program.slow_clock_period_us)
    result = device.run(program, events, duration=2 * DURATION_US, timeout=TIMEOUT_S)
    wanted = reference.run(events, duration=2 * DURATION_US)
    assert_same_answer(device, result, wanted)
    assert len(result.events) > 0
    assert all(counted.leak_updates > 0 for counted in wanted.counters.values()) == bias


def test_every_run_starts_from_the_initial_states(device: Device, chip: str, program: Program, events: EventArray) -> None:
    first = device.run(program, events)
    assert any(device.states(layer).any() for layer in LAYERS)
    assert_same_answer(device, device.run(program, events), first)
    device.run(program_for(chip, bias=True), events)
    assert_same_answer(device, device.run(program, events), first)


def test_a_run_may_go_on_where_the_last_one_ended(device: Device, program: Program, events: EventArray) -> None:
    """Same program, same monitors: from the states as they are. Other monitors: from the initial ones."""
    first = device.run(program, events)
    going_on = device.run(program, events, reset=False)
    reference = ReferenceEmulator(program.config, entries=program.entries)
    reference.run(events)
    wanted = reference.run(events)
    assert going_on.events.tolist() == wanted.events.tolist() != first.events.tolist()
    device.run(program, events)
    assert device.run(program, events, monitor=LAYERS, reset=False).spikes("1.5").tolist() == first.spikes("1.5").tolist()


def test_a_loaded_program_runs_as_it_is(device: Device, program: Program, events: EventArray) -> None:
    wanted = device.run(program, events, monitor=LAYERS)
    device.run(program, events[:100])
    device.load(program, monitor=LAYERS)
    assert not any(device.states(layer).any() for layer in LAYERS)
    assert_same_answer(device, device.run(program, events, monitor=LAYERS, reset=False), wanted)
    with pytest.raises(DeviceError, match="nowhere"):
        device.load(program, monitor=["nowhere"])


def test_layers_are_monitored_by_name_and_by_core(device: Device, program: Program, events: EventArray) -> None:
    before = program.config.hash
    usual = device.run(program, events)
    cores = [program.placement[name] for name in LAYERS]
    assert usual.monitored == (cores[2],)
    for monitor in (LAYERS, cores, [LAYERS[0], *cores[1:]]):
        result = device.run(program, events, monitor=monitor)
        assert result.monitored == tuple(cores)
        assert set(result.events["layer"]) == set(cores)
        assert silent(result) == silent(usual)
        mine = result.events[result.events["layer"] == cores[2]]
        assert mine.tolist() == usual.events.tolist()
    assert program.config.hash == before


def test_monitoring_nothing_still_counts(device: Device, program: Program, events: EventArray) -> None:
    result = device.run(program, events, monitor=[])
    counts(device, result)
    assert (len(result.events), result.monitored, result.accounting.received) == (0, (), 0)
    assert silent(result) == silent(device.run(program, events))


def test_a_bare_configuration_runs_as_its_program(device: Device, program: Program, events: EventArray) -> None:
    result = device.run(program.config, events, monitor=[program.placement["1.5"]])
    assert_same_answer(device, result, device.run(program, events))
    assert_same_answer(device, result, device.run(program.config, events, monitor=["1.5"]))


def test_a_configuration_without_names_is_monitored_by_core(device: Device, program: Program, events: EventArray) -> None:
    cores = {core_id: core.with_changes(layer_name="") for core_id, core in program.config.cnn_layers.items()}
    config = program.config.with_changes(cnn_layers=cores)
    result = device.run(config, events, monitor=[program.placement["1.5"]])
    assert result.events.tolist() == device.run(program, events).events.tolist()
    assert not result.names
    with pytest.raises(DeviceError, match=r"1\.5"):
        device.run(config, events, monitor=["1.5"])


def test_the_clock_goes_on_up_to_the_duration(device: Device, chip: str, events: EventArray) -> None:
    """A tick adds the biases: spikes of ticks alone, counted, and in the order of time."""
    program = program_for(chip, bias=True)
    late, ticks = {}, {}
    for duration in (DURATION_US, 3 * DURATION_US):
        result = device.run(program, events, monitor=LAYERS, duration=duration)
        assert result.duration == duration
        late[duration] = (result.events["t"] > DURATION_US).any()
        if counts(device, result):
            ticks[duration] = result.counters[program.entries[0]].leak_updates
    assert list(late.values()) == [False, True]
    assert not ticks or ticks[3 * DURATION_US] == 3 * ticks[DURATION_US] > 0
    assert device.run(program, events).duration is None


def test_no_events_are_a_run_too(device: Device, program: Program, events: EventArray) -> None:
    result = device.run(program, events[:0], duration=10)
    assert (len(result.events), result.accounting.sent) == (0, 0)
    assert not any(device.states(layer).any() for layer in LAYERS)


def test_time_that_runs_out_is_an_error_that_leaves_the_device_usable(
    device: Device, program: Program, events: EventArray
) -> None:
    first = device.run(program, events, timeout=TIMEOUT_S)
    with pytest.raises(DeviceTimeoutError, match="allowed were 0") as caught:
        device.run(program, events, timeout=0)
    assert caught.value.missing or caught.value.result is not None
    assert_same_answer(device, device.run(program, events), first)


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_a_batch_is_run_by_run(device: Device, program: Program, events: EventArray, workers: int | None) -> None:
    recordings = [events[:n] for n in (1500, 0, 10, 700, 700)]
    results = device.run_batch(program, recordings, monitor=LAYERS, duration=DURATION_US, workers=workers)
    for recording, result in zip(recordings, results, strict=True):
        assert_same_answer(device, result, device.run(program, recording, monitor=LAYERS, duration=DURATION_US))
        assert result.names
    assert device.run_batch(program, []) == []
