"""What all benchmarks share: how time is taken, and how it is printed."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn, TypeVar

from chipflow.tables import table

Result = TypeVar("Result")
ROOT = Path(__file__).resolve().parents[1]


def timed(action: Callable[[], Result]) -> tuple[float, Result]:
    """Wall time of one call in seconds, and what it returned."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def one_thread() -> None:
    """Both sides of a comparison get one core. Call it before the first use of torch or numba."""
    os.environ["NUMBA_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def milliseconds(seconds: Sequence[float], digits: int = 1) -> list[str]:
    """Cells for a table: the median, and the range that holds four of five measurements."""
    scaled = [1e3 * taken for taken in seconds]
    return [f"{statistics.median(scaled):.{digits}f}", four_of_five(scaled, digits)]


def four_of_five(values: Sequence[float], digits: int = 1) -> str:
    """The range that holds four of five values; nothing for a single one."""
    if len(values) < 2:
        return ""
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return f"{tenths[0]:.{digits}f} .. {tenths[-1]:.{digits}f}"


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table at once, so that a long benchmark shows how far it is."""
    print(table(title, header, rows), end="\n\n", flush=True)


def machine(*packages: str) -> str:
    """Processor, cores, versions, and how busy the machine is already, for the line above the tables."""
    versions = [f"{name} {version(name)}" for name in packages]
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return ", ".join([_processor(), f"{os.cpu_count()} cores", load, f"Python {platform.python_version()}", *versions])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def give_up(message: str) -> NoReturn:
    """End with exit code 2: the benchmark could not run, which says nothing about speed."""
    print(message, file=sys.stderr)
    raise SystemExit(2)
