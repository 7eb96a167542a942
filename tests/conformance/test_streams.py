"""Window by window: what a stream answers is what a run answers, and what the sensor sees can be had."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from chipflow import Program
from chipflow.backends.base import Device
from chipflow.errors import DeviceError, EventError
from chipflow.events import EventArray, StreamChunk

from .conftest import DURATION_US, LAYERS, program_for

SECONDS = DURATION_US / 1e6


def together(chunks: list[StreamChunk]) -> EventArray:
    """All spikes, after a check that the windows follow each other and hold what is in them."""
    assert [chunk.start_us for chunk in chunks] == [0, *(chunk.end_us for chunk in chunks[:-1])]
    for chunk in chunks:
        t = chunk.events["t"]
        assert ((t >= chunk.start_us) & (t < chunk.end_us)).all()
        assert (chunk.late, chunk.lost) == (0, 0)
    return np.concatenate([chunk.events for chunk in chunks])


@pytest.mark.parametrize("chunk_us", [1000, 7001, 1_000_000])
def test_a_stream_answers_as_a_run(device: Device, program: Program, events: EventArray, chunk_us: int) -> None:
    wanted = device.run(program, events, monitor=LAYERS)
    chunks = list(device.stream(program, events, monitor=LAYERS, chunk_us=chunk_us))
    assert together(chunks).tolist() == wanted.events.tolist()
    assert sum(chunk.sent for chunk in chunks) == len(events)
    for chunk in chunks:
        assert chunk.sent == np.count_nonzero((events["t"] >= chunk.start_us) & (events["t"] < chunk.end_us))


def test_events_may_come_in_pieces(device: Device, program: Program, events: EventArray) -> None:
    wanted = device.run(program, events)
    pieces = np.split(events, [3, 3, 700, 1400])
    for given in (pieces, iter(pieces)):
        assert together(list(device.stream(program, given))).tolist() == wanted.events.tolist()
    with pytest.raises(EventError, match="before"):
        list(device.stream(program, iter([events, events])))


def test_seconds_end_a_stream_and_the_clock_ticks_up_to_then(device: Device, chip: str, events: EventArray) -> None:
    program = program_for(chip, bias=True)
    wanted = device.run(program, events, duration=2 * DURATION_US - 1)
    chunks = list(device.stream(program, events, seconds=2 * SECONDS))
    assert chunks[-1].end_us == 2 * DURATION_US
    assert together(chunks).tolist() == wanted.events.tolist()
    half = list(device.stream(program, events, seconds=SECONDS / 2, chunk_us=3000))
    assert half[-1].end_us == DURATION_US // 2
    assert together(half).tolist() == [event for event in wanted.events.tolist() if event[2] < DURATION_US // 2]


def test_leaving_the_loop_ends_the_run(device: Device, program: Program, events: EventArray) -> None:
    wanted = device.run(program, events)
    for chunk in device.stream(program, events, chunk_us=1000):
        assert chunk.end_us == 1000
        break
    assert device.run(program, events).events.tolist() == wanted.events.tolist()
    with suppress(ZeroDivisionError):
        for _ in device.stream(program, events, chunk_us=1000):
            raise ZeroDivisionError
    assert device.run(program, events).events.tolist() == wanted.events.tolist()


def test_what_cannot_be_streamed_is_refused(device: Device, program: Program, events: EventArray) -> None:
    outside = events.copy()
    outside["x"][700] = 8
    with pytest.raises(EventError, match=r"event 700.*x=8"):
        list(device.stream(program, outside))
    with pytest.raises(DeviceError, match="nowhere"):
        list(device.stream(program, events, monitor=["nowhere"]))
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(DeviceError, match="seconds"):
            list(device.stream(program, events, seconds=wrong))
    with pytest.raises(DeviceError, match="chunk_us"):
        list(device.stream(program, events, chunk_us=0))


def test_what_the_sensor_sees_is_recorded(seeing: Device, events: EventArray) -> None:
    if "sensor" not in seeing.capabilities:
        return
    found = seeing.record(SECONDS)
    assert found.dtype.names == ("x", "y", "t", "p")
    assert found.tolist() == events.tolist()
    assert seeing.record(SECONDS / 2).tolist() == events[events["t"] < DURATION_US // 2].tolist()


def test_what_the_sensor_sees_goes_through_the_network(seeing: Device, chip: str, events: EventArray) -> None:
    if "sensor" not in seeing.capabilities:
        return
    program = program_for(chip, sensor=True)
    wanted = seeing.run(program, events, monitor=LAYERS)
    assert len(wanted.events) > 0
    chunks = list(seeing.stream(program, monitor=LAYERS, seconds=SECONDS))
    assert together(chunks).tolist() == wanted.events.tolist()
    for name in LAYERS:
        spikes = wanted.spikes(name)[["x", "y", "t", "p"]]
        assert seeing.record(SECONDS, name, program=program).tolist() == spikes.tolist()


def test_a_program_that_does_not_read_the_sensor_needs_events(seeing: Device, program: Program) -> None:
    with pytest.raises(DeviceError, match="sensor"):
        next(iter(seeing.stream(program, seconds=SECONDS)))


def test_a_layer_is_recorded_with_its_program(seeing: Device, chip: str) -> None:
    with pytest.raises(DeviceError, match="program"):
        seeing.record(SECONDS, "1.5")
    with pytest.raises(DeviceError, match="nowhere"):
        seeing.record(SECONDS, "nowhere", program=program_for(chip, sensor=True))
    with pytest.raises(DeviceError, match="seconds"):
        seeing.record(0)


def test_without_a_sensor_nothing_is_recorded(device: Device, chip: str) -> None:
    if "sensor" in device.capabilities:
        assert len(device.record(SECONDS)) == 0, "it is dark"
        return
    program = program_for(chip, sensor=True)
    for call in (lambda: device.record(SECONDS), lambda: next(iter(device.stream(program)))):
        with pytest.raises(DeviceError, match="no sensor"):
            call()
