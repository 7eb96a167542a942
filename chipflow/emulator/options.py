"""The options of an emulator, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast, get_args

import numpy as np

from chipflow.errors import EmulatorError
from chipflow.events.array import OnOutside
from hwconfig.config import ChipConfig

Order = Literal["depth_first", "breadth_first"]
ZeroWeights = Literal["no_synapse", "synapse"]
DecimatorPass = Literal["last", "first"]
OnOverload = Literal["warn", "error"]
Neuron = tuple[int, int, int]
LOAD_WINDOW_US = 10_000
MOST_TIME_US = (1 << 62) - 1
"""Latest time, longest duration and period: the sum of two of them fits 64 bits."""


@dataclass(frozen=True)
class Options:
    """How a configuration is run. The first four change what is computed only where the chip's rules are not public.

    Attributes:
        order: how spikes travel: each with all that follows from it before the next, as the chip is said to; or in one queue per
            input event, and per core at a tick, as layer-by-layer simulators do.
        zero_weights: whether a weight of 0 updates its neuron, which matters where its potential is at or above the threshold.
        decimator_passes: which of every n spikes.
        slow_clock_period_us: between ticks that add the biases and close the readout's periods; None: no clock.
        strict: raise StrictModeError where a state is clipped at the end of its 16 bits, or a spike reaches the readout block but
            no class of it; otherwise it is counted.
        on_outside: events outside the input map of the core, or of the sensor, that they enter: "error" refuses them before the
            run, "drop" drops and counts them.
        on_overload: what follows when a core is asked for more than its rating: "warn" says so in the load of the result,
            "error" raises OverloadError after the run.
        load_window_us: length of a window of the load estimate.
        trace: for each core, neurons (feature, y, x) whose potential is reported after every update.
    """

    order: Order = "depth_first"
    zero_weights: ZeroWeights = "no_synapse"
    decimator_passes: DecimatorPass = "last"
    slow_clock_period_us: int | None = None
    strict: bool = True
    on_outside: OnOutside = "error"
    on_overload: OnOverload = "warn"
    load_window_us: int = LOAD_WINDOW_US
    trace: Mapping[int, Sequence[Neuron]] = field(default_factory=dict[int, Sequence[Neuron]])

    def checked(self, config: ChipConfig) -> Options:
        """The same with plain integers and tuples, which nobody can change.

        Raises:
            EmulatorError: a value that does not exist or makes no sense with this configuration.
        """
        for name, kind in (
            ("order", Order),
            ("zero_weights", ZeroWeights),
            ("decimator_passes", DecimatorPass),
            ("on_outside", OnOutside),
            ("on_overload", OnOverload),
        ):
            if getattr(self, name) not in get_args(kind):
                known = " or ".join(f'"{value}"' for value in get_args(kind))
                raise EmulatorError(f"{name} must be {known}, found {getattr(self, name)!r}")
        check_length("load_window_us", self.load_window_us)
        period = self.slow_clock_period_us
        _check_period(config, period)
        return replace(
            self,
            slow_clock_period_us=None if period is None else int(period),
            load_window_us=int(self.load_window_us),
            trace=_checked_trace(config, self.trace),
        )


def _is_whole(value: object) -> bool:
    try:
        return not isinstance(value, bool) and int(value) == value  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        return False


def check_length(name: str, value: object, least: int = 1) -> None:
    """Raises EmulatorError for anything but a whole number of microseconds that the emulator can count."""
    if not _is_whole(value) or not least <= int(value) <= MOST_TIME_US:  # pyright: ignore[reportArgumentType]
        raise EmulatorError(f"{name} must be a whole number of microseconds from {least} to {MOST_TIME_US}, found {value!r}")


def _check_period(config: ChipConfig, period: int | None) -> None:
    if period is not None:
        check_length("slow_clock_period_us", period)
        return
    leaking = {core: part for core, part in config.cnn_layers.items() if part.leak_enable}
    internal = [f"core {core}" for core, part in leaking.items() if part.leak_internal_slow_clk_enable]
    internal += ["readout"] if config.readout.enable and config.readout.internal_slow_clk else []
    if internal:
        raise EmulatorError(
            f"the internal slow clock is in use ({', '.join(internal)}), and its rate depends on sensor traffic: give "
            "slow_clock_period_us in its place, or disable it"
        )
    if leaking:
        raise EmulatorError(
            f"cores {list(leaking)} have leak_enable, but no clock: give slow_clock_period_us, or disable leak_enable"
        )
    if config.readout.enable:
        raise EmulatorError(
            "readout.enable, but no clock, at whose ticks the block answers: give slow_clock_period_us, or disable readout"
        )


def _checked_trace(config: ChipConfig, trace: Any) -> dict[int, tuple[Neuron, ...]]:
    """The traced neurons of each core, each once, in the order given."""
    if not isinstance(trace, Mapping):
        raise EmulatorError(f"trace must say for each core which neurons, as in {{3: [(0, 1, 2)]}}, found {trace!r}")
    given: dict[Any, Any] = dict(cast("Mapping[Any, Any]", trace))
    for core, neurons in given.items():
        if core not in config.active_cores:
            raise EmulatorError(f"trace names core {core!r}, configured are {list(config.active_cores)}")
        if not np.iterable(neurons):
            raise EmulatorError(f"trace of core {core} must be a list of neurons (feature, y, x), found {neurons!r}")
        for neuron in neurons:
            check_neuron(neuron, config.core(core).dimensions.output_shape, core)
    return {int(core): tuple(dict.fromkeys(_plain(neuron) for neuron in neurons)) for core, neurons in given.items()}


def _plain(neuron: Neuron) -> Neuron:
    f, y, x = map(int, neuron)
    return f, y, x


def check_neuron(neuron: Any, shape: tuple[int, int, int], core: int) -> None:
    """Raises EmulatorError for anything but a neuron (feature, y, x) inside the core's map."""
    place: list[Any] = list(neuron) if np.iterable(neuron) else []
    whole = len(place) == len(shape) and all(_is_whole(value) for value in place)
    if not whole or not all(0 <= value < size for value, size in zip(place, shape, strict=True)):
        raise EmulatorError(
            f"core {core} has no neuron {neuron!r}: neurons are (feature, y, x) inside {shape}, {math.prod(shape)} of them"
        )
