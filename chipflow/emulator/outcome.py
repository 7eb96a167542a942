"""What both emulators share at the end of a run: totals, the check that nothing went missing, and the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator.network import Network
from chipflow.emulator.streams import Arrivals, Shape
from chipflow.errors import EmulatorError
from chipflow.events.array import EventArray
from chipflow.events.result import Accounting, CoreCounters, RunResult
from hwconfig.config import ChipConfig


@dataclass
class Outcome:
    """What a run has counted outside the cores."""

    config: ChipConfig
    network: Network
    sent: int = 0
    dropped_at_readout: int = 0
    arrivals: dict[int, Arrivals] = field(default_factory=dict[int, Arrivals])

    def __post_init__(self) -> None:
        self.arrivals = self.arrivals or {core: Arrivals() for core in self.network.order}

    def __deepcopy__(self, memo: dict[int, Any]) -> Outcome:
        arrivals = {core: Arrivals(a.events_in, a.outside, a.remainder) for core, a in self.arrivals.items()}
        return Outcome(self.config, self.network, self.sent, self.dropped_at_readout, arrivals)

    def result(
        self,
        events: EventArray,
        counters: dict[int, CoreCounters],
        handled: dict[int, int],
        states: dict[int, npt.NDArray[np.int16]],
        duration: int | None,
    ) -> RunResult:
        """The result, after checking that every core handled or dropped what it got.

        Raises:
            EmulatorError: in is not handled + dropped: a fault of the emulator.
        """
        for core, counted in counters.items():
            if counted.events_in != handled[core] + counted.dropped:
                raise EmulatorError(
                    f"core {core} got {counted.events_in} events, but handled {handled[core]} and dropped {counted.dropped}: "
                    "this is a fault of the emulator, please report it"
                )
        dropped = sum(counted.dropped for counted in counters.values()) + self.dropped_at_readout
        order = self.network.order
        return RunResult(
            events=events,
            counters={core: counters[core] for core in order},
            states={core: states[core] for core in order},
            accounting=Accounting(
                sent=self.sent, received=len(events), dropped=dropped, dropped_at_readout=self.dropped_at_readout
            ),
            monitored=tuple(core for core in order if self.config.core(core).monitor_enable),
            shapes={core: self.config.core(core).dimensions.output_shape for core in order},
            duration=duration,
        )


def checked_states(array: npt.ArrayLike, shape: Shape, core: int) -> npt.NDArray[np.int16]:
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
