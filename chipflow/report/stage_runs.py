"""One recording through every stage, and through every combination of causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from chipflow.backends.base import Device
from chipflow.emulator.time_steps import CAUSES, Causes, SteppedSpikes, TimeSteps
from chipflow.emulator.time_steps_numbers import CoreNumbers
from chipflow.events.array import EventArray, OnOutside, addressed, as_events
from chipflow.events.result import Accounting, RunResult
from chipflow.program import Program
from chipflow.report.analog import AnalogNetwork
from chipflow.report.first_difference import FirstDifference, first_difference
from chipflow.report.stepped_layers import StepDifference, layer_spikes, step_difference

ANALOG, SPIKING, QUANTISED, CHIP = "analog", "spiking", "quantised", "emulated chip"
Counts = dict[str, npt.NDArray[np.int64]]
Difference = StepDifference | FirstDifference


@dataclass(frozen=True, eq=False)
class OneRecording:
    """What the stages answered to one recording.

    Attributes:
        counts: by stage, spikes of every layer's neurons.
        answers: by stage, the output layer's values by feature, spikes or an analog network's output.
        combinations: for each combination of causes, numbered as `attribute` does, spikes of every layer's neurons.
        differences: by the name of a stage, where its run and that of the stage before part.
        accounting: by the name of a stage that ran on a device, what the device says of its events.
    """

    counts: Mapping[str, Counts]
    answers: Mapping[str, npt.NDArray[Any]]
    combinations: tuple[Counts, ...]
    differences: Mapping[str, Difference]
    accounting: Mapping[str, Accounting]


@dataclass(frozen=True, eq=False)
class StageRuns:
    """All stages of a comparison.

    Attributes:
        program: which is compared.
        time_step_us: length of a time step.
        emulator: takes any program.
        board: another device, if there is one.
        floats: numbers before rounding; None: no stages in floats.
        analog: the network that the spiking one was made from, if it is known.
        on_outside: events outside the input map.
    """

    program: Program
    time_step_us: int
    emulator: Device
    board: Device | None
    floats: Mapping[int, CoreNumbers] | None
    analog: AnalogNetwork | None
    on_outside: OnOutside

    @property
    def causes(self) -> tuple[str, ...]:
        """Names of the causes that the program has, in the order of the report."""
        cores = self.program.config.cnn_layers.values()
        ticks = any(part.leak_enable and part.biases.any() for part in cores)
        absent = {"rounding"} if self.floats is None else set[str]()
        return tuple(cause for cause in CAUSES if cause not in absent | (set() if ticks else {"leak"}))

    @property
    def base(self) -> str:
        """The stage in which no cause is on."""
        return QUANTISED if self.floats is None else SPIKING

    @cached_property
    def output(self) -> str:
        """Name of the layer that decides: the last output."""
        graph = self.program.graph
        return graph.sources(graph.outputs[-1])[0]

    @cached_property
    def _simulator(self) -> TimeSteps:
        return TimeSteps(
            self.program.config,
            time_step_us=self.time_step_us,
            entries=self.program.entries or None,
            slow_clock_period_us=self.program.slow_clock_period_us,
            floats=self.floats,
            on_outside=self.on_outside,
        )

    def all_stages(self, recording: Any) -> OneRecording:
        """One recording, everywhere."""
        events = self._as_events(recording)
        duration = (int(events["t"][-1]) // self.time_step_us + 1) * self.time_step_us if events.size else self.time_step_us
        in_integers, whole = 0 if self.floats is None else 1, 2 ** len(self.causes) - 1
        runs: dict[int, dict[str, SteppedSpikes]] = {}  # those that are looked at spike by spike
        counted: list[Counts] = []
        for n, causes in enumerate(self._combinations()):
            run = self._stepped(events, causes, duration)
            counted.append({name: sent.counts() for name, sent in run.items()})
            if n in (0, in_integers, whole):
                runs[n] = run
        emulated = self._on(self.emulator, recording, duration, strict=False)
        counts = {self.base: counted[0], QUANTISED: counted[in_integers], CHIP: self._counts(emulated)}
        differences: dict[str, Difference | None] = {
            QUANTISED: step_difference(runs[0], runs[in_integers], self.time_step_us),
            CHIP: step_difference(runs[in_integers], runs[whole], self.time_step_us),
        }
        accounting = {CHIP: emulated.accounting}
        if self.board is not None:
            answer = self._on(self.board, recording, duration)
            counts[self.board.name] = self._counts(answer)
            differences[self.board.name] = first_difference(emulated, answer)
            accounting[self.board.name] = answer.accounting
        answers: dict[str, npt.NDArray[Any]] = {stage: found[self.output].sum(axis=(1, 2)) for stage, found in counts.items()}
        if self.analog is not None:
            answers[ANALOG] = self.analog.answer(events, self.time_step_us, duration)
        parted = {name: found for name, found in differences.items() if found}
        return OneRecording(counts, answers, tuple(counted), parted, accounting)

    def _as_events(self, recording: Any) -> EventArray:
        if isinstance(recording, Mapping):
            return addressed(self.program.inputs, cast("Mapping[str, Any]", recording))
        return as_events(recording)

    def _combinations(self) -> list[Causes]:
        """All, numbered by their bits; rounding is on in each where there are no floats."""
        always = ("rounding",) if self.floats is None else ()
        chosen = range(2 ** len(self.causes))
        return [Causes.of((*always, *(cause for i, cause in enumerate(self.causes) if n >> i & 1))) for n in chosen]

    def _stepped(self, events: EventArray, causes: Causes, duration: int) -> dict[str, SteppedSpikes]:
        run = self._simulator.run(events, causes, duration=duration)
        return layer_spikes(self.program.parts, run.spikes)

    def _on(self, device: Device, recording: Any, duration: int, **options: Any) -> RunResult:
        monitor = list(self.program.parts)
        return device.run(self.program, recording, monitor=monitor, duration=duration, on_outside=self.on_outside, **options)

    def _counts(self, result: RunResult) -> Counts:
        return {layer: result.counts(layer) for layer in self.program.parts}
