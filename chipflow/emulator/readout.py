"""The readout block at clock ticks (section 7 of the chip model): averages, the class with the most, and what is reported."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chipflow.events.array import EventArray
from chipflow.events.readings import CLASS_AT, CLASS_BITS, PIN_DTYPE, READOUT_DTYPE
from hwconfig.readout_config import ReadoutConfig

Counts = npt.NDArray[np.int64]
VALID = 1 << CLASS_AT + CLASS_BITS  # the bit of a ReadoutValue above its class
LOW_BITS = (1 << CLASS_AT) - 1


def window(part: ReadoutConfig) -> int:
    """How many periods the moving average covers."""
    if part.low_pass_filter_disable:
        return 1
    return 32 if part.low_pass_filter32_not16 else 16


def averages(part: ReadoutConfig, before: Counts, periods: Counts) -> Counts:
    """The averages at each tick, [tick][class].

    Args:
        before: spikes of the periods before, oldest first, [window - 1][class].
        periods: spikes of the period that each tick closes, [tick][class].
    """
    length = window(part)
    running = np.cumsum(np.concatenate([np.zeros_like(periods[:1]), before, periods]), axis=0)
    return (running[length:] - running[:-length]) // length


def values(part: ReadoutConfig, times: Counts, average: Counts) -> EventArray:
    """A ReadoutValue for each tick."""
    largest = np.argmax(average, axis=1)  # the lowest class of equals; 0 where all are 0, as nothing counts for class 0
    if part.output_mode_sel == 1:
        bits: Counts = 1 << np.arange(average.shape[1], dtype=np.int64)
        low = np.sum(np.where(average > part.threshold, bits, 0), axis=1)
    elif part.output_mode_sel == 2:
        low = average[:, part.output_neuron_num]
    else:
        low = average.max(axis=1) if part.output_mode_sel else np.zeros_like(largest)
    found = np.empty(len(times), READOUT_DTYPE)
    found["t"], found["value"] = times, VALID | (largest << CLASS_AT) | (low & LOW_BITS)
    return found


def pins(part: ReadoutConfig, times: Counts, average: Counts) -> EventArray:
    """A ReadoutPinValue for each tick at which the interrupt rises."""
    rises = (average.max(axis=1) > part.threshold) | part.override_threshold_max
    found = np.empty(int(np.count_nonzero(rises)), PIN_DTYPE)
    found["t"], found["index"] = times[rises], np.argmax(average, axis=1)[rises]
    return found
