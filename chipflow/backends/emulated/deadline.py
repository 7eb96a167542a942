"""Runs that are stopped where they take longer than allowed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from threading import TIMEOUT_MAX, Timer

from chipflow.emulator import Emulator
from chipflow.errors import DeviceTimeoutError
from chipflow.events.result import RunResult


def within(seconds: float | None, emulator: Emulator, action: Callable[[], RunResult]) -> RunResult:
    """What a run of the emulator returns.

    Args:
        seconds: allowed; None: any number.

    Raises:
        DeviceTimeoutError: it took longer; states are then as before the run, unless it ended at the same moment and the error
            holds its result.
    """
    if seconds is None:
        return action()
    start = time.monotonic()
    try:
        with _alarm(seconds, emulator):
            result = action()
    except CancelledError:
        raise _too_late(start, seconds, None) from None
    if time.monotonic() - start > seconds:
        raise _too_late(start, seconds, result)
    return result


@contextmanager
def _alarm(seconds: float, emulator: Emulator) -> Generator[None]:
    """Stops the emulator after so long, unless the block is left before."""
    timer = Timer(min(max(seconds, 0), TIMEOUT_MAX), emulator.stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        emulator.go_on()  # the alarm may have gone off just after the run


def _too_late(start: float, seconds: float, result: RunResult | None) -> DeviceTimeoutError:
    took = f"the run took {time.monotonic() - start:.1f} s, allowed were {seconds} s: allow more, or send fewer events"
    return DeviceTimeoutError(took, "" if result else "the end of the run", result)
