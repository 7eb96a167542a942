"""What is in an emulated chip: a program, what it was to be run with, and the emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chipflow.backends.base import Runnable
from chipflow.emulator import Emulator
from chipflow.errors import DeviceError
from chipflow.events.result import RunResult
from hwconfig import ChipConfig


@dataclass(frozen=True)
class Loaded:
    """A program in an emulator.

    Attributes:
        runnable: the program.
        config: its configuration, with the layers monitored that were asked for.
        options: of the emulator.
        emulator: with the states as they are.
    """

    runnable: Runnable
    config: ChipConfig
    options: Mapping[str, Any]
    emulator: Emulator

    def named(self, result: RunResult) -> RunResult:
        """A result in which layers are known by their names."""
        return result.with_names(self.runnable.config.layer_names, self.runnable.parts)


def loaded(runnable: Runnable, config: ChipConfig, options: Mapping[str, Any], before: Loaded | None, reset: bool) -> Loaded:
    """A program in an emulator, that of before where it fits.

    Args:
        config: the program's, with the layers monitored that were asked for.
        options: of the emulator.
        before: what was loaded until now.
        reset: start from the initial states; False: from those of before, if that was the same program with the same monitors.
    """
    _check_clock(runnable, options)
    options = {"slow_clock_period_us": runnable.slow_clock_period_us, **options}
    same = before is not None and (before.config, before.runnable.entries) == (config, runnable.entries)
    fits = same and before is not None and before.options == options
    emulator = before.emulator if fits and before else Emulator(config, entries=runnable.entries, **options)
    if fits and reset:
        emulator.reset()
    elif same and before and not fits and not reset:
        emulator.restore(before.emulator.snapshot())
    return Loaded(runnable, config, options, emulator)


def _check_clock(runnable: Runnable, options: Mapping[str, Any]) -> None:
    """Another clock than the biases were made for would change what the network computes."""
    wanted, asked = runnable.slow_clock_period_us, options.get("slow_clock_period_us")
    if wanted is not None and asked is not None and asked != wanted:
        raise DeviceError(
            f"the program's biases are added at each tick of a slow clock of {wanted} us, asked for is one of {asked} us: leave it out, "
            f"or compile with time_step_us={asked}"
        )
