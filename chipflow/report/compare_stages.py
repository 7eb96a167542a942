"""`compare`: a network from the analog model to the board, on the same recordings, and why its answers change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import nullcontext
from typing import Any, cast

from chipflow.backends.base import Device
from chipflow.backends.opening import open_device
from chipflow.compiler import lower
from chipflow.emulator.options import check_length
from chipflow.errors import ChipflowError, EventError
from chipflow.events.array import OnOutside
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Sensor
from chipflow.program import Program
from chipflow.report.analog import analog_network
from chipflow.report.comparison import Comparison
from chipflow.report.float_numbers import float_numbers
from chipflow.report.prospects import Published
from chipflow.report.recorded import Recorded
from chipflow.report.stage_runs import OneRecording, StageRuns
from chipflow.report.summing_up import summed_up

USUAL_STEP_US = 1000


def compare(
    program: Program,
    recordings: Iterable[Any],
    labels: Sequence[int] | None = None,
    *,
    names: Sequence[str] | None = None,
    model: Any = None,
    input_shape: Any = None,
    calibration: Any = None,
    time_step_us: int | None = None,
    device: Device | str | None = None,
    on_outside: OnOutside = "error",
    published: Published | None = None,
    seed: int = 0,
) -> Comparison:
    """How a network's answers change from stage to stage, and how much of that each cause accounts for.

    Stages are the analog network (on mean rates), the spiking network in time steps, the same in integers, the emulated chip, and a
    board. Between time steps and the emulated chip lie the causes of `chipflow.emulator.time_steps`; they are switched on one at a
    time, in every combination, and each gets its Shapley share of the difference.

    Args:
        program: what `chipflow.compile` returned.
        recordings: event arrays, as for `device.run`; gone through once.
        labels: for each recording, the feature of the output layer that is right.
        names: for each recording, what the report calls it; by default its number, from 0.
        model: what the program was compiled from, with `input_shape` and `calibration` as `chipflow.compile` takes them; without it
            the stages in floats are left out, and rounding with them. An ANN, and that of a `chipflow.Network`, is a stage, too.
        time_step_us: microseconds of a time step; by default those of the program's slow clock, or 1000.
        device: a board, or any device, opened or by name, to run the recordings, too.
        on_outside: events outside the input map.
        published: accuracies before and behind the chip that somebody else found, as shares; the report says what so many
            recordings can tell about these.
        seed: of the resampling that intervals come from.

    Raises:
        CompileError: the model is not the one that the program was compiled from.
        ChipflowError: no program, no recordings, labels that are no feature of the output or for another number of recordings, names
            for another number, or published accuracies that are no loss.
        EmulatorError: a time step that is no whole number of microseconds.
        EventError, DeviceError: as `device.run`.
    """
    _check_program(program)
    _check_published(published)
    known = None if labels is None else _checked_labels(labels, program)
    _check_number("labels", labels, recordings)
    _check_number("names", names, recordings)
    step = program.slow_clock_period_us or USUAL_STEP_US if time_step_us is None else time_step_us
    check_length("time_step_us", step)
    shape = input_shape or getattr(model, "input_shape", None) or _read_by(program.graph)
    graph = None if model is None else lower(model, shape, calibration=calibration, chip=program.config.chip.name)
    opened = open_device(device) if isinstance(device, str) else nullcontext(device)
    with open_device("emulator") as emulator, opened as board:
        runs = StageRuns(
            program=program,
            time_step_us=int(step),
            emulator=emulator,
            board=cast("Device | None", board),
            floats=None if graph is None else float_numbers(program, graph),
            analog=None if model is None else analog_network(model, program.graph, shape),
            on_outside=on_outside,
        )
        recorded = Recorded.of(runs, _answers(runs, recordings, names))
    if not len(recorded):
        raise ChipflowError("no recordings: give one or more")
    numbers = tuple(map(str, range(len(recorded))))
    _check_number("labels", known, numbers)
    _check_number("names", names, numbers)
    return summed_up(runs, recorded, numbers if names is None else tuple(names), known, published, seed)


def _answers(runs: StageRuns, recordings: Iterable[Any], names: Sequence[str] | None) -> Iterator[OneRecording]:
    for number, events in enumerate(recordings):
        try:
            yield runs.all_stages(events)
        except EventError as error:
            name = names[number] if names is not None and number < len(names) else number
            raise EventError(f"recording {name}: {error}", error.index) from error


def _check_program(program: object) -> None:
    if not isinstance(program, Program):
        raise ChipflowError(
            f"program is {type(program).__name__}: give what chipflow.compile returns, or Program.load(path) of its file"
        )


def _check_published(published: Published | None) -> None:
    if published is not None and not 1 >= published[0] > published[1] >= 0:
        raise ChipflowError(
            f"published accuracies are {published[0]} and {published[1]}: give shares from 0 to 1, that before the chip first, and a loss"
        )


def _checked_labels(labels: Sequence[int], program: Program) -> tuple[int, ...]:
    graph = program.graph
    classes = graph.shapes[graph.outputs[-1]][0]
    for number, label in enumerate(labels):
        if label not in range(classes):
            raise ChipflowError(
                f"label {number} is {label!r}: the output has features 0 to {classes - 1}, and a label is one of them"
            )
    return tuple(int(label) for label in labels)


def _check_number(what: str, given: Sequence[Any] | None, recordings: Iterable[Any]) -> None:
    """One for each recording, as far as their number is known."""
    if given is None or not isinstance(recordings, Sized):
        return
    if len(given) != len(recordings):
        raise ChipflowError(f"{len(given)} {what} for {len(recordings)} recordings: give one for each")


def _read_by(graph: Graph) -> Any:
    """What the network reads, behind the sensor's front end where there is one."""
    behind = [node.name for node in graph.nodes if isinstance(node, Sensor)] or [node.name for node in graph.inputs]
    return graph.shapes[behind[0]] if len(behind) == 1 else {name: graph.shapes[name] for name in behind}
