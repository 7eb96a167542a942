"""From the stages' answers to a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from chipflow.report.attribution import Attribution, attribute
from chipflow.report.comparison import Comparison, Stage, StagePair
from chipflow.report.prospects import Published, prospects
from chipflow.report.recorded import Recorded, Values
from chipflow.report.stage_runs import ANALOG, CHIP, QUANTISED, SPIKING, StageRuns
from chipflow.report.statistics import mcnemar, proportion

Names = tuple[str, ...]
Labels = tuple[int, ...] | None
HOW = {
    ANALOG: "the analog network on the mean input of a time step",
    SPIKING: "floats; each neuron decides once in a time step, as simulators do",
    QUANTISED: "the same with the configuration's integers",
    CHIP: "the configuration as the chip runs it, event by event",
}
PERCENT = 100
FEW = 20  # recordings, below which resampling them says little


def summed_up(
    runs: StageRuns, recorded: Recorded, names: Names, labels: Labels, published: Published | None, seed: int
) -> Comparison:
    """The comparison.

    Args:
        runs: what was run.
        recorded: what it answered, at least one recording.
        names: of the recordings.
        labels: for each recording.
        published: see `compare`.
        seed: of the resampling.
    """
    order = [ANALOG, SPIKING, QUANTISED, CHIP, *([runs.board.name] if runs.board else [])]
    stages = tuple(_stage(name, recorded, labels) for name in dict.fromkeys(order) if name in recorded.decisions)
    causes = runs.causes
    decided = (recorded.combined != recorded.combined[0]) * float(PERCENT)
    chip = np.array(recorded.decisions[CHIP])
    right = None if labels is None else [_right(stage, recorded, labels) for stage in (runs.base, CHIP)]
    return Comparison(
        recordings=names,
        time_step_us=runs.time_step_us,
        output=runs.output,
        stages=stages,
        pairs=tuple(_pair(first.name, second.name, recorded, names, labels) for first, second in pairwise(stages)),
        base=runs.base,
        differing=_of_layers("spikes that differ", causes, recorded.differing, seed),
        more=_of_layers("spikes more", causes, recorded.more, seed),
        decisions=attribute("decisions", causes, decided, (chip != recorded.combined[0]) * float(PERCENT), seed=seed),
        accuracy=_accuracy(causes, recorded, labels, seed),
        prospects=None if right is None else prospects(runs.base, CHIP, list(zip(*right, strict=True)), published),
        notes=tuple(_notes(runs, recorded, labels)),
    )


def _stage(name: str, recorded: Recorded, labels: Labels) -> Stage:
    sent = recorded.spikes.get(name, [])
    layers = sent[0] if sent else ()
    right = None if labels is None else sum(_right(name, recorded, labels))
    return Stage(
        name=name,
        how=HOW.get(name, "the same program on this device"),
        decisions=recorded.decisions[name],
        ties=recorded.ties[name],
        accuracy=None if right is None else proportion(right, len(recorded)),
        spikes={layer: float(np.mean([spikes[layer] for spikes in sent])) for layer in layers},
    )


def _right(name: str, recorded: Recorded, labels: tuple[int, ...]) -> list[bool]:
    return [found == label for found, label in zip(recorded.decisions[name], labels, strict=True)]


def _pair(first: str, second: str, recorded: Recorded, names: Names, labels: Labels) -> StagePair:
    decided = zip(names, recorded.decisions[first], recorded.decisions[second], strict=True)
    number, difference = recorded.differences.get(second, (None, None))
    lost = gained = None
    if labels is not None:
        answers = list(zip(_right(first, recorded, labels), _right(second, recorded, labels), strict=True))
        lost, gained = answers.count((True, False)), answers.count((False, True))
    return StagePair(
        first=first,
        second=second,
        decided_otherwise=tuple(name for name, a, b in decided if a != b),
        lost=lost,
        gained=gained,
        p_value=None if lost is None or gained is None else mcnemar(lost, gained),
        layers=recorded.agreements.get((first, second), ()),
        first_differing=None if number is None else names[number],
        first_difference=difference,
    )


def _of_layers(measure: str, causes: tuple[str, ...], values: Mapping[str, Values], seed: int) -> dict[str, Attribution]:
    return {layer: attribute(f"{measure}, {layer}", causes, found[:-1], found[-1], seed=seed) for layer, found in values.items()}


def _accuracy(causes: tuple[str, ...], recorded: Recorded, labels: Labels, seed: int) -> Attribution | None:
    if labels is None:
        return None
    right, chip = recorded.combined == np.array(labels), np.array(recorded.decisions[CHIP]) == np.array(labels)
    return attribute("accuracy", causes, right * float(PERCENT), chip * float(PERCENT), seed=seed)


def _notes(runs: StageRuns, recorded: Recorded, labels: Labels) -> list[str]:
    """What was left out, and what went wrong."""
    found: list[str] = []
    if runs.floats is None:
        found.append("without model=, the stages in floats and the cause rounding are left out")
    elif runs.analog is None:
        found.append("the model has no analog network, or several inputs, so that the analog stage is left out")
    if labels is None:
        found.append("without labels=, there are no accuracies")
    if "leak" not in runs.causes:
        found.append("no biases are added at clock ticks, so that the cause leak is left out")
    if len(recorded) < FEW:
        found.append(f"intervals of shares come from resampling recordings, which takes {FEW} or more: there are {len(recorded)}")
    return found + [
        f"{stage}: {account}; what was late or lost is a reason for differences, too"
        for stage, account in recorded.accounting.items()
        if account.late or account.lost
    ]
