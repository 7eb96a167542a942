"""The emulated device beyond what every device does: time-outs, options, split layers, the recording that its sensor sees."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chipflow import Program, compile, open_device
from chipflow.backends.base import ClockedConfig, Device
from chipflow.backends.emulated import EmulatedDevice
from chipflow.errors import DeviceBusyError, DeviceError, DeviceTimeoutError, EventError
from chipflow.events import EventArray, make_events, open_events, save_events
from hwconfig import ChipConfig, DvsDestination, DvsLayerConfig, ReadoutConfig, synthetic_chip
from tests.emulator.builders import chip, pointwise, relay
from tests.emulator.networks import Case, cases
from tests.emulator.test_equality import assert_same

EVENTS = make_events([0, 1, 0, 1], 0, [1, 12, 12, 31], 0)
RELAY = chip({0: relay((1, 2, 2))})


@pytest.fixture
def device() -> Iterator[EmulatedDevice]:
    with open_device("emulator") as opened:
        assert isinstance(opened, EmulatedDevice)
        yield opened


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(1, 50), st.lists(st.integers(0, 40), max_size=3), st.booleans())
def test_any_windows_of_any_pieces_are_the_run(case: Case, chunk_us: int, cuts: list[int], ends: bool) -> None:
    program = ClockedConfig(case.config, case.period, case.entries)
    options = case.options(strict=False)
    del options["entries"], options["slow_clock_period_us"]
    last = int(case.events["t"][-1]) if len(case.events) else 0
    duration = last + 25 if ends else None
    device = EmulatedDevice()
    wanted = device.run(program, case.events, duration=duration, **options)
    seconds = (last + 26) / 1e6 if ends else None
    pieces = np.split(case.events, sorted(cuts))
    chunks = list(device.stream(program, iter(pieces), seconds=seconds, chunk_us=chunk_us, **options))
    events = [event for chunk in chunks for event in chunk.events.tolist()]
    assert events == wanted.events.tolist()
    assert sum(chunk.sent for chunk in chunks) == len(case.events)
    for chunk in chunks:
        assert all(chunk.start_us <= event["t"] < chunk.end_us for event in chunk.events)
    values = [value for chunk in chunks if chunk.readout for value in chunk.readout.values.tolist()]
    assert values == (wanted.readout.values.tolist() if wanted.readout and chunks else [])
    for core, states in wanted.states.items():
        np.testing.assert_array_equal(device.states(core), states)


def test_a_run_that_takes_too_long_is_stopped(device: EmulatedDevice) -> None:
    """Ticks for years, that would take for ever."""
    config = chip({0: relay((1, 2, 2), biases=[1], leak_enable=True, threshold_high=32767)})
    clocked = ClockedConfig(config, 1)
    start = time.monotonic()
    with pytest.raises(DeviceTimeoutError, match=r"allowed were 0.2 s") as caught:
        device.run(clocked, EVENTS, duration=10**12, timeout=0.2, strict=False)
    assert time.monotonic() - start < 20
    assert (caught.value.result, caught.value.missing) == (None, "the end of the run")
    assert len(device.run(RELAY, EVENTS, timeout=60).events) == len(EVENTS)


def test_a_run_that_ended_too_late_has_its_result(device: EmulatedDevice) -> None:
    with pytest.raises(DeviceTimeoutError) as caught:
        device.run(RELAY, EVENTS, timeout=-1)
    assert caught.value.result is None or len(caught.value.result.events) == len(EVENTS)
    assert len(device.run(RELAY, EVENTS, timeout=float("inf")).events) == len(EVENTS)


def test_another_thread_is_told_that_the_device_is_in_use(device: EmulatedDevice) -> None:
    found: list[Exception] = []

    def use() -> None:
        for call in (lambda: device.run(RELAY, EVENTS), lambda: device.states(0), lambda: device.load(RELAY)):
            try:
                call()
            except DeviceError as error:
                found.append(error)

    with device._alone():
        other = Thread(target=use)
        other.start()
        other.join()
    assert [type(error) for error in found] == [DeviceBusyError] * 3
    assert "in use by another thread" in str(found[0])


def test_another_run_ends_a_stream(device: EmulatedDevice) -> None:
    chunks = device.stream(RELAY, EVENTS, chunk_us=10)
    assert next(chunks).sent == 1
    assert device.run(RELAY, EVENTS, reset=False).accounting.sent == len(EVENTS)
    with pytest.raises(DeviceError, match="another run"):
        next(chunks)


def test_states_can_be_read_and_written_between_two_chunks(device: EmulatedDevice) -> None:
    config = chip({0: relay((1, 2, 2), threshold_high=10)})
    found = []
    for _ in device.stream(config, EVENTS, chunk_us=10):
        found.append(int(device.states(0)[0, 0, 0]))
        device.set_states(0, [[[found[-1] + 3, 0], [0, 0]]])
    assert found == [1, 5, 8, 11]


def test_a_stream_that_was_left_ends_in_the_initial_states(device: EmulatedDevice) -> None:
    config = chip({0: relay((1, 2, 2), threshold_high=10)})
    chunks = device.stream(config, EVENTS, chunk_us=10)
    next(chunks)
    assert inspect.isgenerator(chunks)
    chunks.close()
    assert not device.states(0).any()
    list(device.stream(config, EVENTS))
    assert device.states(0).sum() == len(EVENTS), "one that was not left leaves its states"


def test_an_endless_stream(device: EmulatedDevice) -> None:
    def forever() -> Iterator[EventArray]:
        t = 0
        while True:
            yield make_events(0, 0, [t, t + 3], 0)
            t += 10

    for chunk in device.stream(RELAY, forever(), chunk_us=100):
        assert chunk.sent == len(chunk.events) == 20
        if chunk.end_us == 2000:
            break


def test_a_file_is_streamed_piece_by_piece(device: EmulatedDevice, tmp_path: Path) -> None:
    save_events(tmp_path / "recording.npz", EVENTS)
    with open_events(tmp_path / "recording.npz", chunk_events=1) as file:
        chunks = list(device.stream(RELAY, file, chunk_us=10))
    assert [chunk.sent for chunk in chunks] == [1, 2, 0, 1]


def test_a_run_goes_on_with_other_options(device: EmulatedDevice) -> None:
    config = chip({0: relay((1, 2, 2), threshold_high=3)})
    device.run(config, EVENTS)
    found = device.run(config, EVENTS, reset=False, trace={0: [(0, 0, 0)]}, on_outside="drop")
    assert found.traces[0]["v_mem"].tolist() == [0, 1]
    assert found.traces[0]["spike"].tolist() == [True, False]


def test_readout_and_raw_events_of_a_window() -> None:
    config = chip(
        {3: relay((1, 4, 4), 12)},
        dvs_layer=DvsLayerConfig(merge=True, cut=(3, 3), raw_monitor_enable=True, destinations=[DvsDestination(layer=3)]),
        readout=ReadoutConfig(enable=True, readout_pin_monitor_enable=True, low_pass_filter_disable=True),
    )
    with open_device("emulator", sensor=make_events([0, 1, 9, 2], 0, [100, 102, 103, 115], 1)) as device:
        chunks = list(device.stream(ClockedConfig(config, 10), seconds=20e-6, chunk_us=10))
    assert [chunk.raw["t"].tolist() for chunk in chunks] == [[0, 2, 3], [15]]
    assert [chunk.readout.events_in for chunk in chunks if chunk.readout] == [2, 1]
    assert [chunk.readout.pins.tolist() for chunk in chunks if chunk.readout] == [[], [(10, 1)]]


@pytest.fixture(scope="module")
def split() -> Program:
    """A layer over several cores, one behind the other in features."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 3, bias=False))
    small = synthetic_chip([(512, 64, 64)] * 6)
    program = compile(model, small, (1, 4, 4))
    assert any(len(parts) > 1 for parts in program.parts.values())
    return program


def test_states_of_a_split_layer_have_its_features(device: EmulatedDevice, split: Program) -> None:
    name = next(name for name, parts in split.parts.items() if len(parts) > 1)
    device.load(split)
    shape = device.states(name).shape
    assert shape == (6, 4, 4)
    wanted = np.arange(96).reshape(shape)
    device.set_states(name, wanted)
    np.testing.assert_array_equal(device.states(name), wanted)
    first = 0
    for part in split.parts[name]:
        own = device.states(part.core)
        np.testing.assert_array_equal(own, wanted[first : first + len(own)])
        first += len(own)


def test_features_that_no_layer_has_are_left_alone(device: EmulatedDevice) -> None:
    """The readout block of speck2f reads every fourth feature."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3, bias=False))
    program = compile(model, "speck2f", (1, 4, 4), readout=True)
    (name,) = program.parts
    (part,) = program.parts[name]
    assert part.step == 4
    device.load(program)
    device.set_states(part.core, np.full(device.states(part.core).shape, 7))
    device.set_states(name, [[[1]], [[2]], [[3]]])
    assert device.states(name).ravel().tolist() == [1, 2, 3]
    assert device.states(part.core).ravel()[:5].tolist() == [1, 7, 7, 7, 2]


def sensing(device: Device, config: ChipConfig) -> EventArray:
    return np.concatenate([chunk.events for chunk in device.stream(config)])


SENSING = chip({3: relay((2, 4, 4))}, dvs_layer=DvsLayerConfig(cut=(3, 3), destinations=[DvsDestination(layer=3)]))


def test_the_sensor_sees_a_recording_from_its_first_event_on(tmp_path: Path) -> None:
    seen = make_events([0, 1, 100], [3, 2, 1], [1_000_000_000, 1_000_000_040, 1_000_000_050], [1, 0, 1])
    save_events(tmp_path / "seen.npz", seen)
    for source in (seen, tmp_path / "seen.npz", str(tmp_path / "seen.npz"), {name: seen[name] for name in "xytp"}):
        with open_device("emulator", sensor=source) as device:
            assert "sensor" in device.capabilities
            for _ in range(2):
                assert device.record(1)["t"].tolist() == [0, 40, 50]
            assert device.record(40e-6)["t"].tolist() == [0]
            assert sensing(device, SENSING)["t"].tolist() == [0, 40]
            assert device.record(1, 3, program=SENSING).tolist() == [(0, 3, 0, 1), (1, 2, 40, 0)]


def test_a_recording_that_is_not_there_is_missed_when_it_is_needed() -> None:
    with open_device("emulator", sensor="nowhere.npz") as device:
        device.run(RELAY, EVENTS)
        with pytest.raises(EventError, match="nowhere"):
            device.record(1)


def test_a_recording_larger_than_the_sensor_is_refused() -> None:
    wide = make_events([0, 300], 0, [1, 2], 0)
    with open_device("emulator:speck2f", sensor=wide) as device:
        with pytest.raises(EventError, match=r"event 1.*128 x 128.*crop") as caught:
            device.record(1)
        assert caught.value.index == 1
    with open_device("emulator", sensor=wide) as device, pytest.raises(EventError, match="crop"):
        sensing(device, SENSING)


def test_a_batch_is_independent_of_what_is_loaded(device: EmulatedDevice) -> None:
    config = chip({0: pointwise((1, 2, 2), [[3]], threshold_high=7)})
    device.load(config)
    device.set_states(0, [[[6, 6], [6, 6]]])
    (found,) = device.run_batch(config, [EVENTS])
    assert_same(found, device.run(config, EVENTS))
