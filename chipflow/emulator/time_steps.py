"""The configuration in a simulator that has the chip's rules one by one: from time-stepped simulation to the chip model.

A time-stepped simulator (`chipflow.ir.interpret`, sinabs) and the chip differ in five causes, each a switch of `Causes`. With all
of them off this is the time-stepped simulator, with all of them on the chip model, bit for bit, and every one of the 32
combinations is defined by these rules. Time is divided in steps of `time_step_us`. A core takes its events in order; each adds its
weight to the neurons that it touches, which is an *update* of theirs, as is the addition of a bias.

- `rounding`. Off: weights, biases, threshold and bounds are the model's floats. On: the configuration's integers.
- `order`. Off: a neuron decides at the end of each step. On: after each of its updates.
- `clamp`. Off: a state meets the lower bound at the end of each step, after the decision. On: it meets it, and the ends of its 16
  bits, after each update, before the decision.
- `one_spike`. Off: a decision sends floor(v / threshold) spikes. On: no more than there were updates since the last decision.
- `leak`. Off: biases are added once at the end of each step, before its decision. On: at each tick of the slow clock.

With `order` and `one_spike` a decision follows each update, so that it sends one spike or none. A spike subtracts the threshold, or
resets to 0. Spikes of an event leave in the order y, x, feature, and at the time of the event; so do those of a tick or of the end of a
step, at its time. Cores act one after the other, sources before targets. At time T come the spikes that ticks at T and the end
of the step at T cause further up, then the own tick, then the own end of the step, then input events.

Where streams merge they do so depth first, as on the chip: spikes of an event each with all that follows from them, which is what
`time_steps_streams` keeps account of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator import time_steps_streams as streams
from chipflow.emulator.inputs import InputRules, checked_duration
from chipflow.emulator.layout import decimation
from chipflow.emulator.network import build_network
from chipflow.emulator.options import Options, check_length
from chipflow.emulator.sensor import process
from chipflow.emulator.time_steps_numbers import CoreNumbers, Laid, laid_out
from chipflow.emulator.time_steps_streams import Stream
from chipflow.errors import EmulatorError
from chipflow.events.array import EventArray, OnOutside, make_events
from hwconfig.config import ChipConfig


@dataclass(frozen=True)
class Causes:
    """Which of the chip's rules hold; see the module's table. All are off unless given."""

    rounding: bool = False
    order: bool = False
    clamp: bool = False
    one_spike: bool = False
    leak: bool = False

    @staticmethod
    def of(names: Iterable[str]) -> Causes:
        """Those that are named."""
        return Causes(**dict.fromkeys(names, True))


CAUSES = tuple(item.name for item in fields(Causes))
"""Names of all causes, in the order in which a report switches them on."""
ALL_CAUSES = Causes.of(CAUSES)


@dataclass(frozen=True, eq=False)
class SteppedSpikes:
    """What one core sent.

    Attributes:
        keys: int64, 2 t + 1 for a spike that an event at t caused, 2 t for one of a tick or of the end of a step.
        neurons: int64, numbers of neurons in [feature, y, x].
        shape: (features, y, x).
    """

    keys: npt.NDArray[np.int64]
    neurons: npt.NDArray[np.int64]
    shape: tuple[int, int, int]

    @property
    def t(self) -> npt.NDArray[np.int64]:
        """Times in microseconds."""
        return self.keys >> 1

    def steps(self, step_us: int) -> npt.NDArray[np.int64]:
        """The time step in which each spike falls."""
        return ((self.keys - 1) >> 1) // step_us

    def counts(self) -> npt.NDArray[np.int64]:
        """Spikes of every neuron, [feature, y, x]."""
        return np.bincount(self.neurons, minlength=int(np.prod(self.shape))).reshape(self.shape)

    def events(self) -> EventArray:
        """As an event array, in the order in which they left."""
        p, y, x = np.unravel_index(self.neurons, self.shape)
        return make_events(x, y, self.t, p)


@dataclass(frozen=True, eq=False)
class SteppedRun:
    """One run: by core id, what each core sent, and float64 [feature, y, x] its states at the end."""

    spikes: Mapping[int, SteppedSpikes]
    states: Mapping[int, npt.NDArray[np.float64]]


class TimeSteps:
    """Runs a configuration under any combination of `Causes`; each run begins with the initial states.

    Args:
        config: the configuration.
        time_step_us: length of a time step, in microseconds.
        entries: as for the emulator.
        slow_clock_period_us: of the ticks that add biases where `leak` is on.
        floats: by core id, the numbers before they were rounded; needed where `rounding` is off.
        on_outside: as for the emulator.

    Raises:
        DesignRuleError, UnsupportedConfigError, EmulatorError: as for the emulator.
    """

    def __init__(
        self,
        config: ChipConfig,
        *,
        time_step_us: int,
        entries: Sequence[int] | None = None,
        slow_clock_period_us: int | None = None,
        floats: Mapping[int, CoreNumbers] | None = None,
        on_outside: OnOutside = "error",
    ) -> None:
        check_length("time_step_us", time_step_us)
        self.config, self.time_step_us = config, int(time_step_us)
        self._network = build_network(config, entries)
        options = Options(slow_clock_period_us=slow_clock_period_us, on_outside=on_outside).checked(config)
        self._period = options.slow_clock_period_us
        self._rules = InputRules(config, self._network, self._period, on_outside)
        self._integers = {core: laid_out(config.core(core), None) for core in self._network.order}
        self._floats = {core: laid_out(config.core(core), numbers) for core, numbers in (floats or {}).items()}

    @property
    def order(self) -> tuple[int, ...]:
        """The cores in the order in which they act."""
        return self._network.order

    def run(self, events: Any, causes: Causes = ALL_CAUSES, *, duration: int | None = None) -> SteppedRun:
        """One recording.

        Args:
            events: as for `Emulator.run`.
            causes: which of the chip's rules hold.
            duration: in microseconds, rounded up to whole time steps for what happens at their ends; None: up to the last event.

        Raises:
            EventError: events that are refused.
            EmulatorError: `rounding` is off and there are no floats.
        """
        cores = self._integers if causes.rounding else self._floats
        if set(cores) != set(self._network.order):
            raise EmulatorError("without rounding, the numbers before rounding are needed: give floats for every core")
        duration = checked_duration(duration, 0)
        array = self._rules.check(events, duration=duration)
        last = int(array["t"][-1]) if array.size else 0
        steps = last // self.time_step_us + 1 if duration is None else -(-duration // self.time_step_us)
        clock = (self.time_step_us, steps, self._period or 0, last if duration is None else duration)
        return self._through(cores, self._given(array), causes, clock)

    def _through(
        self, cores: Mapping[int, Laid], entering: dict[int, list[Stream]], causes: Causes, clock: tuple[int, int, int, int]
    ) -> SteppedRun:
        """Core by core; `entering` is added to."""
        spikes: dict[int, SteppedSpikes] = {}
        states: dict[int, npt.NDArray[np.float64]] = {}
        for rank, core in enumerate(self._network.order):
            part = self.config.core(core)
            arrived = streams.inside(streams.merged(entering.pop(core)), part.dimensions.input_shape)
            found, states[core] = cores[core].run(np.ascontiguousarray(arrived.events), causes, clock)
            every = decimation(self.config, part)
            keys, neurons, caused_by = found[every - 1 :: every].T
            spikes[core] = SteppedSpikes(keys, neurons, part.dimensions.output_shape)
            routes = [route for route in self._network.routes[core] if route.target in entering]
            merges = self._network.merges_after([route.target for route in routes])
            paths = streams.extended(arrived, caused_by, rank) if merges else np.zeros((len(keys), 0), np.int64)
            for i, route in enumerate(routes):
                entering[route.target].append(streams.routed(keys, neurons, part.dimensions.output_shape, route, paths, i))
        return SteppedRun(spikes, states)

    def _given(self, events: EventArray) -> dict[int, list[Stream]]:
        """What enters each core from outside."""
        sensor = self.config.chip.layers.sensor
        everywhere, layers = self._rules.targets(events) if events.size else ((), None)
        targets = everywhere if layers is None else tuple(int(layer) for layer in np.unique(layers))
        entering: dict[int, list[Stream]] = {core: [] for core in self._network.order}
        for entry, target in enumerate(targets):
            indices = np.arange(len(events)) if layers is None else np.flatnonzero(layers == target)
            if target == sensor:
                found = process(self.config.dvs_layer, self.config.chip, events[indices])
                indices, places, cores = indices[found.kept], (found.f, found.y, found.x), self._network.sensor
            else:
                places, cores = tuple(events[name][indices] for name in "pyx"), (target,)
            for i, core in enumerate(cores):
                entering[core].append(streams.given(2 * events["t"][indices] + 1, places, indices, entry + i))
        return entering
