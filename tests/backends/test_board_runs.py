"""The protocol of a run with a board, under everything that goes wrong there; the stand-in plays the board."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from chipflow import Program, open_device
from chipflow.backends.base import ClockedConfig
from chipflow.backends.board import conversation, sending
from chipflow.errors import DeviceError, DeviceLostError, DeviceTimeoutError, EventError
from chipflow.events import EventArray, RunResult, make_events
from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions, ReadoutConfig
from tests.backends.standin import standin
from tests.backends.test_board_states_and_power import one_core
from tests.conformance.conftest import DURATION_US, LAYERS, program_for

BOARD = "speck2fdevkit:0"
ROWS = [(n % 2, n % 8, n * 5 % 8, n * DURATION_US // 3000) for n in range(3000)]


@pytest.fixture(scope="module")
def program() -> Program:
    return program_for("speck2f")


@pytest.fixture(scope="module")
def events() -> EventArray:
    p, y, x, t = np.array(ROWS).T
    return make_events(x, y, t + 1, p)


@pytest.fixture(scope="module")
def wanted(program: Program, events: EventArray) -> RunResult:
    return program.run(events, monitor=LAYERS)


def run(program: Program, events: EventArray, *, timeout: float | None = 20, faults: dict[str, Any]) -> RunResult:
    with standin(**faults), open_device(BOARD) as device:
        return device.run(program, events, monitor=LAYERS, timeout=timeout)


def test_several_batches_answer_as_the_emulator(program: Program, events: EventArray, wanted: RunResult) -> None:
    found = run(program, events, faults={})
    assert found.events.tolist() == wanted.events.tolist()
    assert (found.accounting.late, found.accounting.lost, found.notes) == (0, 0, ())


def test_lost_packets_are_known_and_the_run_ends(
    program: Program, events: EventArray, wanted: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other output is lost, markers' answers among them; the last marker is sent again until it is answered."""
    monkeypatch.setattr(sending, "EVENTS_PER_BATCH", 100)
    found = run(program, events, faults={"lose_every": 2})
    assert 0 < len(found.events) < len(wanted.events)
    assert found.accounting.lost > 0
    assert "lost" in str(found.accounting)


def test_a_lost_request_does_not_hang_the_run(program: Program, events: EventArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten events and a marker, and before them requests for states: some of each are lost."""
    monkeypatch.setattr(conversation, "PATIENCE_S", 0.02)
    found = run(program, events[:10], faults={"lose_inputs_every": 7})
    assert found.accounting.sent == 10


@pytest.mark.parametrize("silently", [False, True])
def test_a_board_unplugged_during_a_run(program: Program, events: EventArray, silently: bool) -> None:
    with pytest.raises(DeviceLostError, match="no longer on the bus") as caught:
        run(program, events, faults={"unplug_after": 2500, "unplug_silently": silently})
    assert isinstance(caught.value.result, RunResult)
    assert caught.value.result.accounting.sent >= 2000


def test_a_board_that_never_answers(program: Program, events: EventArray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chipflow.backends.board.states.PATIENCE_S", 0.01)
    with pytest.raises(DeviceError, match=r"does not answer.*asked for 5 times"):
        run(program, events, faults={"mute": True})


@pytest.mark.parametrize("timeout", [0.3, None])
def test_time_runs_out_with_what_is_missing(
    program: Program, events: EventArray, timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board falls silent after the configuration was written; without a time-out it is given up, too."""
    monkeypatch.setattr(conversation, "STALLED_S", 0.3)
    with standin(realtime=True), open_device(BOARD) as device:
        from samna._faults import faults  # pyright: ignore[reportMissingImports]

        device.load(program)
        faults().mute = True
        with pytest.raises(DeviceTimeoutError) as caught:
            device.run(program, events, reset=False, timeout=timeout)
        assert "answers to" in caught.value.missing
        assert caught.value.missing in str(caught.value)
        assert caught.value.result.accounting.sent == len(events)
        faults().mute = False
        again = device.run(program, events)
    assert len(again.events) > 0


def test_a_slow_host_is_late_and_says_so(program: Program, events: EventArray) -> None:
    found = run(program, events, faults={"realtime": True, "slow_write_s": 0.02})
    assert found.accounting.late > 0
    assert f"{found.accounting.late:,} late" in str(found.accounting)
    assert found.accounting.sent == len(events)


def test_real_time_is_waited_for(program: Program, events: EventArray) -> None:
    """A run of 0.2 s whose events are in its first tenth."""
    with standin(realtime=True), open_device(BOARD) as device:
        start = time.monotonic()
        found = device.run(program, events, duration=200_000)
    assert 0.2 < time.monotonic() - start < 10
    assert found.duration == 200_000


def test_jitter_leaves_the_result_in_order(program: Program, events: EventArray, wanted: RunResult) -> None:
    found = run(program, events, faults={"jitter_us": 30})
    assert (np.diff(found.events["t"]) >= 0).all()
    for layer in LAYERS:
        np.testing.assert_array_equal(found.counts(layer), wanted.counts(layer))


def test_a_stop_watch_that_is_off_is_noticed(program: Program, events: EventArray) -> None:
    with pytest.raises(DeviceError, match="stop watch is off"):
        run(program, events, faults={"no_time": True})


def test_what_the_vendor_refuses_is_said_with_the_layers(program: Program, events: EventArray) -> None:
    with pytest.raises(DeviceError, match=r"2 versus 96.*core \d is 0\.0"):
        run(program, events, faults={"refuse": "Input space feature count does not match: 2 versus 96"})


def test_options_of_an_emulator_are_refused_by_name(program: Program, events: EventArray) -> None:
    with standin(), open_device(BOARD) as device, pytest.raises(DeviceError, match="no order, trace"):
        device.run(program, events, trace={}, order="breadth_first")  # pyright: ignore[reportCallIssue]


def test_an_epoch_time_stamp_is_refused(program: Program, events: EventArray) -> None:
    late = events.copy()
    late["t"] += 1_700_000_000_000_000
    with pytest.raises(EventError, match=r"rebase_time"):
        run(program, late, faults={})


def test_events_outside_are_dropped_on_request(program: Program, events: EventArray) -> None:
    outside = events[:100].copy()
    outside["x"][7] = 8
    with standin(), open_device(BOARD) as device:
        found = device.run(program, outside, on_outside="drop")
    assert (found.accounting.sent, found.accounting.dropped) == (100, 1)


def test_a_duration_is_waited_for_and_ends_the_ticks() -> None:
    """By the host's clock; the slow clock stops a little later than that, and what it still causes is left out and said."""
    config = one_core(3, (1, 2, 2), biases=np.array([1]), leak_enable=True)
    for realtime in (False, True):
        with standin(realtime=realtime), open_device(BOARD) as device:
            start = time.monotonic()
            found = device.run(ClockedConfig(config, slow_clock_period_us=400), make_events([], [], [], []), duration=20_300)
            assert 0.02 < time.monotonic() - start < 10 or not realtime
        assert found.events["t"].tolist() == np.repeat(np.arange(400, 20_001, 400), 4).tolist()
        assert found.accounting.received == len(found.events)
        assert any("after the run were left out" in note for note in found.warnings()) or realtime


def test_requests_that_do_not_wait_for_events_cut_no_run_short(program: Program, events: EventArray, wanted: RunResult) -> None:
    """That they wait is not verified on silicon; the host's clock has the last word."""
    slow = events.copy()
    slow["t"] *= 10
    found = run(program, slow, faults={"requests_jump": True, "realtime": True})
    for layer in LAYERS:
        np.testing.assert_array_equal(found.counts(layer), wanted.counts(layer))


def test_going_on_takes_the_clock_of_the_new_run() -> None:
    config = one_core(3, (1, 2, 2), biases=np.array([1]), leak_enable=True)
    none = make_events([], [], [], [])
    with standin(), open_device(BOARD) as device:
        device.run(ClockedConfig(config, slow_clock_period_us=50), none, duration=100)
        found = device.run(ClockedConfig(config, slow_clock_period_us=100), none, duration=100, reset=False)
    assert found.events["t"].tolist() == [100] * 4


def test_what_was_not_read_before_is_not_of_this_run(program: Program, events: EventArray) -> None:
    """Spikes and answers that came after the last run."""
    with standin() as samna, open_device(BOARD) as device:
        device.load(program, monitor=LAYERS)
        kinds = samna.speck2f.event
        samna.device.open_device("Speck2fDevKit:0")._outputs += [
            kinds.Spike(layer=program.placement[LAYERS[0]]),
            kinds.BiasValue(),
        ]
        found = device.run(program, events[:0], monitor=LAYERS, reset=False)
    assert (len(found.events), found.notes) == (0, ())


def test_a_stream_from_a_board_that_is_unplugged_has_what_came(program: Program, events: EventArray) -> None:
    with standin(unplug_after=1800), open_device(BOARD) as device:
        with pytest.raises(DeviceLostError, match="writing events") as caught:
            list(device.stream(program, events, chunk_us=1000))
        assert caught.value.result.accounting.sent >= 1000
        with pytest.raises(DeviceLostError):
            device.run(program, events)


def test_lost_packets_are_known_from_markers_among_the_events(program: Program, events: EventArray) -> None:
    """One in fifty outputs is lost in a run of one batch."""
    found = run(program, events[:1000], faults={"lose_every": 7})
    assert 0 < found.accounting.lost < 10


def test_after_closing_the_vendor_is_left_alone(program: Program, events: EventArray) -> None:
    with standin() as samna, open_device(BOARD) as device:
        board = samna.device.open_device("Speck2fDevKit:0")
        stream = device.stream(program, events, chunk_us=1000)
        next(stream)
        device.close()
        with pytest.raises(DeviceError, match="is closed"):
            next(stream)
        assert board._watch._started is None
        with patch.object(type(board), "_check", side_effect=AssertionError), pytest.raises(DeviceError, match="is closed"):
            device.run(program, events)
        del stream


def test_silence_does_not_list_the_bus_all_the_time(program: Program, events: EventArray) -> None:
    """Half a second without an output."""
    quiet = events[:1].copy()
    with standin(realtime=True) as samna, open_device(BOARD) as device:
        device.load(program)
        with patch.object(samna.device, "get_all_devices", wraps=samna.device.get_all_devices) as listed:
            device.run(program, quiet, duration=500_000, reset=False)
    assert listed.call_count <= 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_run_that_is_broken_off_leaves_nothing_behind(
    program: Program, events: EventArray, wanted: RunResult, error: type[BaseException]
) -> None:
    """Ctrl-C while the host listens: clocks are stopped, and the next run is as if nothing had been."""
    with standin() as samna, open_device(BOARD) as device:
        device.load(program, monitor=LAYERS)
        board = samna.device.open_device("Speck2fDevKit:0")
        with patch.object(conversation.Conversation, "_hear", side_effect=error), pytest.raises(error):
            device.run(program, events, monitor=LAYERS, reset=False)
        assert board._watch._started is None
        assert not board._io._on
        with pytest.raises(DeviceError, match="has not ended"):
            device.states("1.5")
        assert device.run(program, events, monitor=LAYERS, reset=False).events.tolist() == wanted.events.tolist()


def test_the_readout_block_answers_up_to_the_end() -> None:
    """Values of the ticks of the run, whole or in windows; the board goes on to tick a little longer."""
    dimensions = Dimensions(kernel_size=1, input_shape=(1, 2, 2), output_shape=(1, 2, 2))
    core = CoreConfig(
        dimensions=dimensions,
        weights=np.ones((1, 1, 1, 1), int),
        threshold_high=1,
        threshold_low=-1,
        destinations=[Destination(layer=12)],
    )
    block = ReadoutConfig(enable=True, monitor_enable=True, readout_pin_monitor_enable=True, low_pass_filter_disable=True)
    program = ClockedConfig(ChipConfig(chip="speck2f", cnn_layers={3: core}, readout=block), slow_clock_period_us=300)
    events = make_events(0, 0, [10, 20, 700, 2000, 2100], 0)
    with open_device("emulator") as device:
        usual = device.run(program, events, duration=2500)
    with standin(), open_device(BOARD) as device:
        found = device.run(program, events, duration=2500)
        chunks = list(device.stream(program, events, chunk_us=400, seconds=2501e-6))
    assert usual.readout
    assert found.readout
    assert found.readout.values.tolist() == usual.readout.values.tolist()
    assert found.readout.pins.tolist() == usual.readout.pins.tolist()
    assert len(found.readout.values) == 8
    assert "readout: 8 values" in found.summary(), "a board does not tell how many spikes it counted"
    streamed = [value for chunk in chunks if chunk.readout for value in chunk.readout.values.tolist()]
    assert streamed == usual.readout.values.tolist()


def test_spikes_that_come_after_the_last_answer_are_of_the_run(program: Program, events: EventArray, wanted: RunResult) -> None:
    found = run(program, events, faults={"spikes_behind": 3})
    assert found.events.tolist() == wanted.events.tolist()


def test_what_waits_on_the_board_after_a_time_out_is_thrown_away(program: Program, events: EventArray, wanted: RunResult) -> None:
    """Events of a time that never came would hold up the next run, or be in it."""
    far = make_events(0, 0, range(20_000_000, 20_000_100), 0)
    with standin(realtime=True), open_device(BOARD) as device:
        device.load(program, monitor=LAYERS)
        with pytest.raises(DeviceTimeoutError):
            device.run(program, far, monitor=LAYERS, timeout=0.2, reset=False)
        found = device.run(program, events, monitor=LAYERS, timeout=10)
    for layer in LAYERS:
        np.testing.assert_array_equal(found.counts(layer), wanted.counts(layer))
