"""Ctrl-C, stop and batches: heard soon, and nothing lost or shared."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import pytest

from chipflow.emulator import Emulator, emulator, run_batch
from chipflow.errors import EmulatorError, EventError, StrictModeError
from chipflow.events import EventArray, RunResult, make_events
from hwconfig import ChipConfig, ReadoutConfig

from .builders import NOTHING, chip, core, pointwise, relay
from .test_equality import assert_same

PROMPT_S = 2
FOR_EVER = 1 << 40  # as a duration: days of computing, with a clock that ticks every microsecond


def remembered(run: Emulator) -> dict[str, Any]:
    """All that an emulator remembers, as plain data."""
    s = run.snapshot()
    kept = {name: array.tolist() for name, array in s.image.arrays.items()} | {"periods": s.periods.tolist()}
    if s.run is None:
        return kept
    reported = {name: [part.tolist() for part in parts] for name, parts in s.run.kept.items()}
    return kept | reported | {"run": (s.run.sent, s.run.last_t, s.run.sensor)}


@contextmanager
def ctrl_c(after_s: float, stop: Callable[[], None]) -> Generator[None]:
    """Ctrl-C after a while, which must end what is in the block soon; `stop` ends it where Ctrl-C is not heard."""
    sent: list[float] = []

    def press() -> None:
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timers = [threading.Timer(after_s, press), threading.Timer(after_s + 3 * PROMPT_S, stop)]
    try:
        for timer in timers:
            timer.start()
        with pytest.raises(KeyboardInterrupt):
            yield
        assert time.perf_counter() - sent[0] < PROMPT_S
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()
        signal.signal(signal.SIGINT, before)


def leaking(shape: tuple[int, int, int] = (3, 4, 4), **fields: Any) -> ChipConfig:
    """A core that is busy at every tick, and sends to a second one and to the readout block."""
    biases = np.arange(shape[0]) % 3 - 1
    usual = {"threshold_high": 9, "threshold_low": -9, "monitor_enable": False}
    first = pointwise((1, *shape[1:]), np.ones((shape[0], 1), int), 7, 12, leak_enable=True, biases=biases, **(usual | fields))
    second = pointwise((shape[0], *shape[1:]), np.ones((1, shape[0]), int), monitor_enable=False, threshold_high=5)
    part = ReadoutConfig(enable=True, monitor_enable=False, low_pass_filter_disable=False)
    return chip({4: first, 7: second}, readout=part)


def recording(seed: int, count: int = 200) -> EventArray:
    rng = np.random.default_rng(seed)
    return make_events(rng.integers(0, 4, count), rng.integers(0, 4, count), np.sort(rng.integers(0, 300, count)), 0)


def made(config: ChipConfig) -> Emulator:
    """An emulator with a past."""
    found = Emulator(config, slow_clock_period_us=1, strict=False)
    found.run(make_events(0, 0, [3, 4], 0), duration=40)
    return found


def quiet(**fields: Any) -> ChipConfig:
    """The widest row of neurons that a core of a Speck has, at work at every tick, but never spiking: nothing else ends the kernel's turn."""
    usual = {"threshold_high": 32767, "threshold_low": -30000, "monitor_enable": False, "leak_enable": True}
    matrix = np.ones((1024, 1), int)
    return chip({0: pointwise((1, 1, 64), matrix, biases=-(np.arange(1024) % 2), **(usual | fields))})


CONFIGS = {
    "small": leaking(),
    "wide": leaking((512, 1, 64)),
    "wide-quiet": quiet(),
    "wide-quiet-general": quiet(threshold_low=-32768),  # for which the emulator has another, slower kernel
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_ctrl_c_during_ticks_ends_a_run_soon_and_changes_nothing(config: ChipConfig) -> None:
    run = made(config)
    before = remembered(run)
    with ctrl_c(0.3, run.stop):
        run.run(NOTHING, duration=FOR_EVER)
    assert remembered(run) == before
    last = make_events(0, 0, [5, 8], 0)
    assert_same(run.run(last, duration=60), made(config).run(last, duration=60))  # as if it had never been


@pytest.mark.parametrize("order", ["depth_first", "breadth_first"])
def test_ctrl_c_during_events_ends_a_run_soon_and_changes_nothing(order: Any) -> None:
    """Each event makes a thousand spikes, which go two ways that merge, so that they are handled one by one."""
    config = chip({
        0: core((1, 64, 64), np.ones((4, 1, 16, 16), int), 1, 8, monitor_enable=False),
        8: relay((4, 49, 49), 1, monitor_enable=False),
        1: pointwise((4, 49, 49), np.full((16, 4), 3), monitor_enable=False, threshold_high=50),
    })  # fmt: skip
    run = Emulator(config, order=order)
    events = make_events(32, 32, np.arange(1_000_000), 0)
    run.run(events[:10])
    before = remembered(run)
    with ctrl_c(0.3, run.stop):
        run.run(events)
    assert remembered(run) == before


def gets_through(call: Callable[[], Any], line: int) -> bool:
    """Calls it, with a Ctrl-C before this line of the emulator's code, counted from 0; False if it came so far and was interrupted."""
    package = os.path.dirname(emulator.__file__)
    left = line

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(package):
            return None
        if what == "line":
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
        return trace

    usual = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return False
    finally:
        sys.settrace(usual)
    return True


@pytest.mark.parametrize("what", ["run", "feed", "finish"])
def test_ctrl_c_between_any_two_lines_changes_nothing(what: str) -> None:
    run = made(leaking(monitor_enable=True))
    first, second = np.split(recording(1), 2)
    calls = {
        "run": lambda: run.run(first, duration=400),
        "feed": lambda: run.feed(second),
        "finish": lambda: run.finish(duration=400),
    }
    if what != "run":
        run.feed(first)
    before, line = remembered(run), 0
    with ThreadPoolExecutor(1) as other:
        while not gets_through(calls[what], line):
            assert remembered(run) == before, f"line {line}"
            other.submit(run.state, 4).result()  # nor is it still taken, as another thread would find
            line += 1
    assert line > 50
    assert remembered(run) != before


def test_stop_is_heard_also_between_two_blocks_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """With small blocks that is where most of the time goes."""
    monkeypatch.setattr(emulator, "BLOCK", 16)
    run = Emulator(chip({0: relay((1, 4, 4), monitor_enable=False)}))
    count = 1_000_000
    timer = threading.Timer(0.2, run.stop)
    timer.start()
    with pytest.raises(CancelledError):
        run.run(make_events(0, 0, np.arange(count), 0))
    assert run.run(make_events(0, 0, [1], 0)).counters[0].events_in == 1


class Watched(Emulator):
    """Knows its twins, to end what would never end."""

    twins: list[Emulator]

    def twin(self) -> Emulator:
        found = super().twin()
        self.twins.append(found)
        return found

    def stop_twins(self) -> None:
        for twin in self.twins:
            twin.stop()


def spied() -> Watched:
    found = Watched(leaking(), slow_clock_period_us=1, strict=False)
    found.twins = []
    return found


def test_ctrl_c_ends_a_batch_soon_and_changes_nothing() -> None:
    run = spied()
    run.run(recording(5))
    before = remembered(run)
    with ctrl_c(0.3, run.stop_twins):
        run_batch(run, [NOTHING] * 5, duration=FOR_EVER, workers=2)
    assert remembered(run) == before
    wanted = Emulator(leaking(), slow_clock_period_us=1, strict=False)
    for found in run_batch(run, [recording(6)] * 3, workers=2):
        wanted.reset()
        assert_same(found, wanted.run(recording(6)))


@pytest.mark.parametrize("workers", [1, 2, 3, None])
def test_a_batch_equals_one_run_after_another(workers: int | None) -> None:
    recordings = [recording(seed, count) for seed, count in enumerate([200, 0, 1, 3000, 50, 200, 7])]
    run = made(leaking(monitor_enable=True))
    before = remembered(run)
    found = run_batch(run, iter(recordings), duration=400, workers=workers)
    assert remembered(run) == before
    serial = run.twin()
    assert len(found) == len(recordings)
    for result, events in zip(found, recordings, strict=True):
        serial.reset()
        assert_same(result, serial.run(events, duration=400))


def test_a_batch_of_many_short_runs_on_many_threads() -> None:
    """More runs and threads than processors, with every kind of work space in use: nothing of one shows in another."""
    recordings = [recording(seed, 40) for seed in range(60)]
    for order in ("depth_first", "breadth_first"):
        run = Emulator(leaking(monitor_enable=True), slow_clock_period_us=3, strict=False, order=order, trace={7: [(0, 1, 1)]})
        serial = run.twin()
        for result, events in zip(run_batch(run, recordings, workers=8), recordings, strict=True):
            serial.reset()
            assert_same(result, serial.run(events))


def test_an_empty_batch_has_no_results() -> None:
    assert run_batch(made(leaking()), []) == []


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_workers_are_a_whole_number_from_1(workers: Any) -> None:
    with pytest.raises(EmulatorError, match="workers"):
        run_batch(made(leaking()), [recording(1)], workers=workers)


def test_a_bad_recording_raises_and_ends_the_others() -> None:
    """The others would take days: one is about to begin, one has to wait."""
    run = spied()
    timer = threading.Timer(3 * PROMPT_S, run.stop_twins)
    timer.start()
    begin = time.perf_counter()
    with pytest.raises(EventError, match="comes after"):
        run_batch(run, [recording(1)[::-1], NOTHING, NOTHING], duration=FOR_EVER, workers=2)
    taken = time.perf_counter() - begin
    timer.cancel()
    assert taken < PROMPT_S


class Late(Watched):
    """Begins a run without events only after it was told to stop, as a thread may that waits for the processor; others wait for that."""

    begun: threading.Event
    told: threading.Event

    def run(self, events: Any, *, duration: int | None = None) -> RunResult:
        if events is NOTHING:
            self.begun.set()
            self.told.wait(PROMPT_S)
        else:
            self.begun.wait(PROMPT_S)
        return super().run(events, duration=duration)

    def stop(self) -> None:
        super().stop()
        self.told.set()


def test_a_recording_that_is_about_to_begin_is_ended_too() -> None:
    run = Late(leaking(), slow_clock_period_us=1, strict=False)
    run.twins, run.begun, run.told = [], threading.Event(), threading.Event()
    timer = threading.Timer(3 * PROMPT_S, run.stop_twins)
    timer.start()
    begin = time.perf_counter()
    with pytest.raises(EventError, match="comes after"):
        run_batch(run, [recording(1)[::-1], NOTHING], duration=FOR_EVER, workers=2)
    taken = time.perf_counter() - begin
    timer.cancel()
    assert taken < PROMPT_S


def test_a_run_that_fails_in_a_batch_leaves_the_emulator_as_it_is() -> None:
    config = chip({0: pointwise((1, 1, 1), [[127]], threshold_high=32767, threshold_low=-9)})
    run = Emulator(config)
    run.set_state(0, [[[32_600]]])
    full = make_events(0, 0, range(300), 0)
    with pytest.raises(StrictModeError):
        run_batch(run, [full[:3], full, full[:5]], workers=2)
    assert run.state(0).item() == 32_600
    assert [result.states[0].item() for result in run_batch(run, [full[:3], full[:5]])] == [3 * 127, 5 * 127]


def arrays_of(thing: Any, found: dict[int, np.ndarray], seen: set[int]) -> dict[int, np.ndarray]:
    """All arrays that can be reached from an emulator, by address of their memory."""
    if id(thing) in seen:
        return found
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        found[thing.__array_interface__["data"][0]] = thing
    elif isinstance(thing, dict):
        for value in thing.values():
            arrays_of(value, found, seen)
    elif isinstance(thing, list | tuple):
        for value in thing:
            arrays_of(value, found, seen)
    elif type(thing).__module__.startswith(("chipflow", "hwconfig")) and hasattr(thing, "__dict__"):
        arrays_of(vars(thing), found, seen)
    return found


def test_twins_share_no_array_that_a_run_changes() -> None:
    first = made(leaking())
    second = first.twin()
    one, other = arrays_of(first, {}, set()), arrays_of(second, {}, set())
    shared = [array for at, array in one.items() if at in other and array.size]
    before = [array.copy() for array in shared]
    state = remembered(second)
    first.run(recording(1), duration=500)
    first.set_state(4, np.full((3, 4, 4), 5))
    for array, kept in zip(shared, before, strict=True):
        np.testing.assert_array_equal(array, kept)
    assert remembered(second) == state
    assert len(one) > len(shared) > 0
