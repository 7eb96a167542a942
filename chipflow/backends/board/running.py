"""One run of a loaded program, from the start of the board's time to its result."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from chipflow.backends.base import Runnable
from chipflow.backends.board.conversation import Conversation, Deadline
from chipflow.backends.board.link import Link
from chipflow.backends.board.listening import Listener
from chipflow.backends.board.markers import Markers
from chipflow.backends.board.sending import Batch, Sender
from chipflow.emulator.network import Network
from chipflow.emulator.outcome import monitored
from chipflow.errors import ChipflowError, DeviceError, DeviceLostError, DeviceTimeoutError
from chipflow.events.array import EventArray
from chipflow.events.readings import ReadoutOutput, SensorCounters, SensorOutput
from chipflow.events.result import Accounting, RunResult
from hwconfig import ChipConfig


@dataclass(frozen=True)
class Loaded:
    """What is in a board's chip.

    Attributes:
        runnable: the program.
        config: its configuration, with the layers monitored that were asked for.
        notes: what has to be said of the next run.
    """

    runnable: Runnable
    config: ChipConfig
    notes: tuple[str, ...] = ()


class Running:
    """One run.

    Args:
        link: the board.
        listener: of it.
        loaded: what runs.
        sender: makes its batches.
        deadline: when it is given up.

    Attributes:
        over: it has ended as it should.
    """

    def __init__(self, link: Link, listener: Listener, loaded: Loaded, sender: Sender, deadline: Deadline) -> None:
        self._link, self._listener, self._loaded = link, listener, loaded
        self._network, self._deadline = sender.network, deadline
        core = _first_core(sender.network, loaded.config)
        self._talk = Conversation(link, listener, Markers(link.kinds, loaded.config, core), deadline)
        sensor = loaded.config.chip.layers.sensor
        self.ranks = {sensor: 0} | {core: rank for rank, core in enumerate(sender.network.order, start=1)}
        self.over = False

    @property
    def accounting(self) -> Accounting:
        """Of the run so far, but for what was received."""
        return Accounting(sent=self._talk.sent, late=self._talk.late, lost=self._talk.lost, dropped=self._talk.dropped)

    @property
    def limit_us(self) -> int | None:
        """When the first tick after the end of the run comes, as the clock stops a little later; None: no clock, or not yet known."""
        period = self._loaded.runnable.slow_clock_period_us
        return (self._talk.end_us // period + 1) * period if self.over and period else None

    def play(self, batches: Iterable[Batch]) -> Generator[Batch]:
        """Yields each batch as soon as it is done with; then the clocks are stopped, whatever happens.

        Raises:
            DeviceTimeoutError, DeviceLostError: with the result so far.
        """
        try:
            yield from self._talk.play(batches, self._start)
            self._link.set_slow_clock(None)
            self._talk.settle()
            self.over = True
        except (DeviceTimeoutError, DeviceLostError) as error:
            error.result = self.result(None)
            raise
        finally:
            self._stop()

    def _start(self) -> None:
        self._link.set_slow_clock(self._loaded.runnable.slow_clock_period_us)
        self._link.start_clock()

    def _stop(self) -> None:
        for step in (lambda: self._link.set_slow_clock(None), self._link.stop_clock):
            if self.over:
                step()
            else:  # another error is on its way
                with suppress(ChipflowError):
                    step()

    def result(self, duration: int | None) -> RunResult:
        """What was reported, and where the events went."""
        config, heard = self._loaded.config, self._listener.heard
        events = heard.take_spikes(self.ranks, self.limit_us)
        counts = self.accounting
        found = RunResult(
            events=events,
            counters={},
            states={},
            accounting=Accounting(counts.sent, len(events), counts.late, counts.lost, counts.dropped),
            monitored=monitored(config, self._network),
            shapes={core: config.core(core).dimensions.output_shape for core in self._network.order},
            duration=duration,
            sensor=self._sensor(events),
            readout=self.readout(self.limit_us) if config.readout.enable else None,
            notes=self._notes(),
        )
        return found.with_names(self._loaded.runnable.config.layer_names, self._loaded.runnable.parts)

    def readout(self, before: int | None, ticks: int = 0) -> ReadoutOutput:
        """What the readout block said since it was asked before; what it counted is not reported.

        Args:
            before: later values and pin events are left, in microseconds; None: all.
            ticks: values taken before.
        """
        heard, period = self._listener.heard, self._loaded.runnable.slow_clock_period_us
        values = heard.take_values(period or 0, ticks, before if period else None)  # times of an internal clock are not known
        return ReadoutOutput(values, heard.take_pins(before))

    def _sensor(self, events: EventArray) -> SensorOutput | None:
        sensor = self._loaded.config.chip.layers.sensor
        if not self._loaded.config.dvs_layer.raw_monitor_enable:
            return None
        raw = self._listener.heard.take_raw()
        return SensorOutput(SensorCounters(events_in=len(raw), events_out=int(np.sum(events["layer"] == sensor))), raw)

    def _notes(self) -> tuple[str, ...]:
        heard = self._listener.heard
        after = (f"{len(heard.spikes):,} spikes after the run were left out: its clock ticked on",) if heard.spikes else ()
        others = (f"the board sent {number:,} events {kind}, which nobody asked for" for kind, number in heard.others.items())
        return (*self._loaded.notes, *after, *others)

    def check_times(self, result: RunResult, given: EventArray) -> None:
        """Refuses outputs without times, as a board sends them whose stop watch is off.

        Raises:
            DeviceError: all spikes are of time 0, though nothing was sent then.
        """
        events = result.events
        if len(events) and len(given) and int(given["t"][0]) > 0 and not events["t"].any():
            raise DeviceError(
                f"{self._link.name}: all {len(events):,} spikes are of time 0, so its stop watch is off: unplug it and plug it in"
            )


def _first_core(network: Network, config: ChipConfig) -> int:
    """A core that input enters."""
    return next(iter((*network.entries, *network.sensor, *network.order, *config.chip.core_ids)))
