"""What both emulators share at the end of a run: the check that nothing went missing, the load, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator.network import Network
from chipflow.emulator.options import Options
from chipflow.errors import EmulatorError, OverloadError
from chipflow.events.array import EventArray
from chipflow.events.readings import CoreLoad, ReadoutOutput, SensorOutput
from chipflow.events.result import Accounting, CoreCounters, RunResult
from hwconfig.config import ChipConfig


@dataclass(frozen=True)
class Finished:
    """What an emulator has found out in a run; by core id.

    Attributes:
        events: reported spikes.
        counters: of every core.
        handled: events that were not dropped.
        states: int16 [feature, y, x].
        worst: the most operations in a window of the load estimate, and that window's number.
        traces: of the traced cores, dtype TRACE_DTYPE.
        sensor, readout: None where there is none.
        sent: input events.
        last_t: time of the last event.
        duration: as asked for.
        to_readout: spikes sent to the readout block.
    """

    events: EventArray
    counters: dict[int, CoreCounters]
    handled: dict[int, int]
    states: dict[int, npt.NDArray[np.int16]]
    worst: dict[int, tuple[int, int]]
    traces: dict[int, EventArray]
    sensor: SensorOutput | None
    readout: ReadoutOutput | None
    sent: int
    last_t: int
    duration: int | None
    to_readout: int


def silences(config: ChipConfig) -> bool:
    """Whether the readout block's monitor silences all others (section 7)."""
    return config.readout.enable and config.readout.monitor_enable


def monitored(config: ChipConfig, network: Network) -> tuple[int, ...]:
    """Cores whose spikes are reported, in the order of the network."""
    return tuple(core for core in network.order if config.core(core).monitor_enable and not silences(config))


def result(config: ChipConfig, network: Network, options: Options, run: Finished) -> RunResult:
    """The result of a run.

    Raises:
        EmulatorError: something got other than it handled and dropped: a fault of the emulator.
        OverloadError: with `on_overload="error"`.
    """
    _check_accounts(run)
    load = _load(config, network, options, run)
    lost = 0 if config.readout.enable else run.to_readout
    dropped = sum(counted.dropped for counted in run.counters.values()) + lost
    dropped += run.sensor.counters.dropped if run.sensor else 0
    order = network.order
    found = RunResult(
        events=run.events,
        counters={core: run.counters[core] for core in order},
        states={core: run.states[core] for core in order},
        accounting=Accounting(sent=run.sent, received=len(run.events), dropped=dropped, dropped_at_readout=lost),
        monitored=monitored(config, network),
        shapes={core: config.core(core).dimensions.output_shape for core in order},
        duration=run.duration,
        load=load,
        traces=run.traces,
        sensor=run.sensor,
        readout=run.readout,
    )
    over = next((core for core, estimate in load.items() if estimate.overloaded), None)
    if over is not None and options.on_overload == "error":
        raise OverloadError(over, load[over], found, config.layer_names.get(over, ""))
    return found


def _check_accounts(run: Finished) -> None:
    """In = handled + dropped, for every core, the sensor and the readout block."""
    accounts = [(f"core {core}", c.events_in, run.handled[core], c.dropped) for core, c in run.counters.items()]
    if run.sensor:
        counted = run.sensor.counters
        accounts.append(("the sensor", counted.events_in, counted.events_out, counted.dropped))
    if run.readout:
        accounts.append(("the readout block", run.readout.events_in, run.readout.counted, run.readout.without_class))
    for name, came, handled, dropped in accounts:
        if came != handled + dropped:
            raise EmulatorError(
                f"{name} got {came} events, but handled {handled} and dropped {dropped}: this is a fault of the emulator, please report it"
            )


def _load(config: ChipConfig, network: Network, options: Options, run: Finished) -> dict[int, CoreLoad]:
    window = options.load_window_us
    return {
        core: CoreLoad(
            operations=run.counters[core].updates + run.counters[core].leak_updates,
            length_us=max(run.last_t, run.duration or 0),
            rating=config.chip.core(core).synops_per_second,
            window_us=window,
            worst_operations=run.worst[core][0],
            worst_start_us=run.worst[core][1] * window,
        )
        for core in network.order
    }


def checked_states(array: npt.ArrayLike, shape: tuple[int, ...], core: int) -> npt.NDArray[np.int16]:
    """States to be written, as int16.

    Raises:
        EmulatorError: wrong shape or dtype, or values out of range.
    """
    states: npt.NDArray[Any] = np.asarray(array)
    if states.shape != shape or states.dtype.kind not in "iu":
        raise EmulatorError(f"states of core {core} are integers of shape {shape}, found {states.dtype} {states.shape}")
    bounds = np.iinfo(np.int16)
    if states.size and (int(states.min()) < bounds.min or int(states.max()) > bounds.max):
        raise EmulatorError(
            f"states of core {core} must be in {bounds.min}..{bounds.max}, found {int(states.min())}..{int(states.max())}"
        )
    return states.astype(np.int16)
