"""Many recordings through one configuration, on all processor cores: the kernels let other threads run."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event
from typing import Any

from chipflow.emulator.emulator import Emulator
from chipflow.errors import ChipflowError, EmulatorError
from chipflow.events.result import RunResult


def run_batch(
    emulator: Emulator, recordings: Iterable[Any], *, duration: int | None = None, workers: int | None = None
) -> list[RunResult]:
    """Each recording from a reset, as `reset` and `run` would; the results are in the order of the recordings.

    Args:
        emulator: whose configuration and options are used; it is itself left as it is.
        recordings: event arrays.
        duration: of each, in microseconds.
        workers: threads; None: one for each processor that this process may use.

    Raises:
        EmulatorError: fewer than one worker; and what `Emulator.run` raises, for the first recording that fails, with a note that
            says which. The others are then given up, as they are after Ctrl-C.
    """
    given = list(recordings)
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise EmulatorError(f"workers must be a whole number from 1, found {workers!r}")
    count = min(_processors() if workers is None else workers, max(len(given), 1))
    twins = [emulator.twin() for _ in range(count)]
    free: SimpleQueue[Emulator] = SimpleQueue()
    given_up = Event()
    for twin in twins:
        free.put(twin)

    def run(events: Any) -> RunResult:
        mine = free.get()
        try:
            if given_up.is_set():
                raise CancelledError
            mine.reset()
            return mine.run(events, duration=duration)
        finally:
            free.put(mine)

    with _pool(count, twins, given_up) as pool:
        futures: list[Future[RunResult]] = [pool.submit(run, events) for events in given]
        return [_result(future, number, len(futures)) for number, future in enumerate(futures)]


def _result(future: Future[RunResult], number: int, count: int) -> RunResult:
    try:
        return future.result()
    except ChipflowError as error:
        error.add_note(f"in recording {number} of {count}, counted from 0")
        raise


@contextmanager
def _pool(workers: int, twins: Sequence[Emulator], given_up: Event) -> Generator[ThreadPoolExecutor]:
    """Threads that end soon where something fails."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    except BaseException:
        given_up.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for twin in twins:
            twin.stop()
        raise
    finally:
        pool.shutdown()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
