"""How much memory a piece of work takes at most, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")
MEBIBYTE = 1 << 20
STATUS_BLOCK = 1024  # bytes of what /proc calls kB
COUNTING_BLOCK = 1 if sys.platform == "darwin" else 1024  # bytes that ru_maxrss counts in
OWN = Path("/proc/self")


def known() -> bool:
    """Whether this system tells the peak of a process."""
    return find_spec("resource") is not None


def in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """What `function`, a public one of a module, returns where nothing else has run."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def extra_memory(action: Callable[[], object]) -> int:
    """Bytes that this process holds at most while `action` runs, beyond what it held before.

    Linux forgets the peak so far when asked to. Elsewhere, what was held and given back before counts as held, so that the result is
    right only if `action` is the largest thing that the process does.
    """
    with suppress(OSError):
        (OWN / "clear_refs").write_text("5")  # the peak becomes what is held now
    before = _peak()
    action()
    return _peak() - before


def _peak() -> int:
    with suppress(OSError):
        for line in (OWN / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * STATUS_BLOCK
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * COUNTING_BLOCK
