"""Many recordings through one configuration, on all processor cores: the kernels let other threads run."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from chipflow.emulator.emulator import Emulator
from chipflow.errors import EmulatorError
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
        EmulatorError: fewer than one worker; and what `Emulator.run` raises, for the first recording that fails. The others are
            then given up, as they are after Ctrl-C.
    """
    given = list(recordings)
    count = min(_processors() if workers is None else workers, max(len(given), 1))
    if count < 1:
        raise EmulatorError(f"workers must be a whole number from 1, found {workers!r}")
    twins = [emulator.twin() for _ in range(count)]
    free: SimpleQueue[Emulator] = SimpleQueue()
    for twin in twins:
        free.put(twin)

    def run(events: Any) -> RunResult:
        mine = free.get()
        try:
            mine.reset()
            return mine.run(events, duration=duration)
        finally:
            free.put(mine)

    with _pool(count, twins) as pool:
        futures: list[Future[RunResult]] = [pool.submit(run, events) for events in given]
        return [future.result() for future in futures]


@contextmanager
def _pool(workers: int, twins: Sequence[Emulator]) -> Generator[ThreadPoolExecutor]:
    """Threads that end soon where something fails."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for twin in twins:
            twin.stop()
        raise
    finally:
        pool.shutdown()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
