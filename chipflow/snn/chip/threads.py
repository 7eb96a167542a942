"""Samples of a batch beside each other in threads; kernels release the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

LEAST_VALUES = 30_000
"""Values that are worth the start of a second thread."""


def in_threads(run: Callable[[int], Any], samples: int, values: int) -> list[Any]:
    """`run` of every sample, as many at a time as torch may use threads.

    Args:
        run: of the number of a sample.
        samples: how many there are.
        values: how much work it is, all together.
    """
    threads = min(torch.get_num_threads(), samples, max(1, values // LEAST_VALUES))
    if threads == 1:
        return [run(sample) for sample in range(samples)]
    return list(_pool(threads).map(run, range(samples)))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
