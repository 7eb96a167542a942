"""Emulators that are copied, pickled, shared between threads or given each other's snapshots; inputs without a place to enter."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from chipflow import open_device
from chipflow.backends.base import ClockedConfig
from chipflow.backends.emulated import EmulatedDevice
from chipflow.emulator import Emulator, ReferenceEmulator
from chipflow.errors import DeviceError, EmulatorError, OverloadError
from chipflow.events import make_events
from hwconfig import ChipConfig, CoreConfig, Dimensions, ReadoutConfig, synthetic_chip

from .builders import chip, pointwise, relay
from .test_equality import assert_same

BOTH = pytest.mark.parametrize("kind", [Emulator, ReferenceEmulator])
TWO = chip({0: relay((1, 1, 1)), 1: relay((1, 1, 1))})
EVENTS = make_events(0, 0, [1, 2], 0, [0, 1])
FOR_EVER = 1 << 40


def leaky() -> Emulator:
    config = chip({0: pointwise((1, 1, 1), [[1]], biases=np.array([-1]), leak_enable=True, threshold_low=-30000)})
    return Emulator(config, slow_clock_period_us=1, strict=False)


@BOTH
def test_a_duration_needs_no_place_where_events_enter(kind: Any) -> None:
    result = kind(TWO).run(EVENTS, duration=100)
    assert [counted.events_in for counted in result.counters.values()] == [1, 1]
    assert kind(TWO).run(EVENTS[:0], duration=100).accounting.sent == 0


def test_a_second_thread_is_refused_and_harms_nothing() -> None:
    emulator, ended = leaky(), threading.Event()

    def run_for_ever() -> None:
        with suppress(CancelledError):
            emulator.run(EVENTS[:0], duration=FOR_EVER)
        ended.set()

    threading.Thread(target=run_for_ever).start()
    try:
        for call in (emulator.snapshot, lambda: emulator.run(EVENTS[:0]), emulator.reset, lambda: emulator.state(0)):
            with pytest.raises(EmulatorError, match=r"another thread.*twin\(\)"):
                until_refused(call)
    finally:
        emulator.stop()
    assert ended.wait(5)
    assert emulator.run(make_events(0, 0, [0], 0)).counters[0].events_in == 1


def until_refused(call: Callable[[], Any]) -> None:
    """The other thread may not have begun."""
    while True:
        call()


def test_a_device_is_for_one_thread_at_a_time() -> None:
    with open_device("emulator") as device:
        assert isinstance(device, EmulatedDevice)
        with device._alone(), pytest.raises(DeviceError, match=r"another thread.*run_batch"):
            device.run(TWO, EVENTS)
        assert device.run(TWO, EVENTS).accounting.sent == 2


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_have_memory_of_their_own_and_go_on_where_the_original_was(copied: Any) -> None:
    original = Emulator(TWO, trace={0: [(0, 0, 0)]})
    original.feed(EVENTS[:1])
    other = copied(original)
    original.feed(EVENTS[1:])
    other.feed(EVENTS[1:])
    assert_same(other.finish(), original.finish())


def test_snapshots_fit_the_network_that_they_were_taken_of() -> None:
    one, other = Emulator(TWO, entries=[0, 1]), Emulator(TWO, entries=[1, 0])
    one.set_state(0, [[[-1]]])
    with pytest.raises(EmulatorError, match=r"other entries.*\[0, 1\], not \[1, 0\]"):
        other.restore(one.snapshot())
    traced = Emulator(TWO, entries=[0, 1], trace={0: [(0, 0, 0)]})
    traced.restore(one.snapshot())
    assert len(traced.run(EVENTS).traces[0]) == 1
    one.feed(EVENTS)
    with pytest.raises(EmulatorError, match="other options"):
        traced.restore(one.snapshot())
    with pytest.raises(EmulatorError, match=r"snapshot\(\) returned, found NoneType"):
        traced.restore(None)  # pyright: ignore[reportArgumentType]


def test_a_trace_that_its_owner_changes_is_traced_anew() -> None:
    neurons = [(0, 0, 0)]
    config = chip({0: relay((1, 2, 2))})
    events = make_events([0, 1], 0, [1, 2], 0)
    with open_device("emulator") as device:
        assert isinstance(device, EmulatedDevice)
        assert len(device.run(config, events, trace={0: neurons}).traces[0]) == 1
        neurons.append((0, 0, 1))
        assert len(device.run(config, events, trace={0: neurons}).traces[0]) == 2


@BOTH
@pytest.mark.parametrize("low", [0, 3])
@pytest.mark.parametrize("bias", [-32768, -5])
def test_lower_bounds_from_zero_on_hold(kind: Any, low: int, bias: int) -> None:
    """The chip's erratum forbids them; a chip without it does not."""
    free = synthetic_chip([(64, 64, 64)], errata=())
    size = Dimensions(kernel_size=1, input_shape=(1, 1, 3), output_shape=(1, 1, 3))
    part = CoreConfig(
        dimensions=size,
        weights=[[[[-2]]]],
        biases=[bias],
        leak_enable=True,
        threshold_high=32767,
        threshold_low=low,
        neurons_initial_value=[[[32766, 4, 9]]],
        monitor_enable=True,
    )
    config = ChipConfig(chip=free, cnn_layers={0: part})
    if not config.violations().ok:
        config = config.with_suppressed_rule("threshold-low", "to see")
    result = kind(config, slow_clock_period_us=10).run(make_events([0, 1], 0, [1, 2], 0), duration=10)
    assert result.states[0].min() >= low
    if kind is Emulator:
        wanted = ReferenceEmulator(config, slow_clock_period_us=10).run(make_events([0, 1], 0, [1, 2], 0), duration=10)
        assert_same(result, wanted)


@BOTH
def test_lengths_may_be_numbers_of_numpy(kind: Any) -> None:
    config = chip({0: pointwise((1, 1, 1), [[1]], biases=np.array([1]), leak_enable=True)})
    emulator = kind(config, slow_clock_period_us=np.int32(10_000_000), load_window_us=np.int32(10_000))
    late = emulator.run(make_events(0, 0, [5_000_000_000], 0), duration=np.int64(5_000_000_000))
    assert late.load[0].worst_start_us == 5_000_000_000


def test_an_overload_leaves_the_result_within_reach() -> None:
    config = chip({0: relay((1, 1, 1))}).with_core(0, layer_name="conv1")
    emulator = Emulator(config, on_overload="error", load_window_us=1)
    emulator.feed(make_events(0, 0, np.zeros(1000, int), 0))
    with pytest.raises(OverloadError, match=r"core 0 \(conv1\)") as caught:
        emulator.finish()
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.result.counters[0].events_in == 1000


def test_what_if_sees_the_readout_block_too() -> None:
    part = relay((1, 1, 1), 12, output_decimator_enable=True)
    readout = ReadoutConfig(enable=True, monitor_enable=True, low_pass_filter_disable=True)
    config = chip({0: part}, readout=readout)
    events = make_events(0, 0, [1, 11, 21], 0)
    with open_device("emulator") as device:
        assert isinstance(device, EmulatedDevice)
        clocked = ClockedConfig(config, 10)
        usual = device.run(clocked, events, duration=40)
        runs = {run.rule: run for run in device.what_if(clocked, events, usual, duration=40).runs}
    assert runs["decimator"].changed
    assert "readout" in runs["decimator"].difference


@pytest.mark.parametrize("entries", [["a"], 5, [0.5], [True]])
def test_entries_that_are_no_cores(entries: Any) -> None:
    with pytest.raises(EmulatorError, match="entries"):
        Emulator(TWO, entries=entries)


@pytest.mark.parametrize("trace", [[1], {0: 5}, {0: (0, 0, 0)}])
def test_traces_that_name_no_neurons(trace: Any) -> None:
    with pytest.raises(EmulatorError):
        Emulator(TWO, trace=trace)
