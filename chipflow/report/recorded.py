"""The stages' answers to all recordings, in the form in which they are summed up: one recording at a time is kept whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from chipflow.events.result import Accounting
from chipflow.report.agreement import LayerAgreement, agreements, mean_agreements
from chipflow.report.stage_runs import CHIP, Difference, OneRecording, StageRuns

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recorded:
    """All recordings.

    Attributes:
        spikes: by stage, for each recording, spikes of every layer.
        agreements: by two neighbouring stages, how far their layers agree, means.
        decisions: by stage, for each recording, the feature with the highest answer, the lowest of equals.
        ties: by stage, recordings in which another feature has as high an answer.
        combined: for each combination of causes, for each recording, its decision; int64 [combination, recording].
        differing: by layer, spikes by which counts differ from those of combination 0; [combination or emulated chip, recording].
        more: by layer, spikes of all neurons, in the same shape.
        differences: by stage, the number of the first recording that differs from the stage before, and where it does so.
        accounting: by stage on a device, what the device says of its events, summed.
    """

    spikes: Mapping[str, list[dict[str, int]]]
    agreements: Mapping[tuple[str, str], tuple[LayerAgreement, ...]]
    decisions: Mapping[str, tuple[int, ...]]
    ties: Mapping[str, int]
    combined: npt.NDArray[np.int64]
    differing: Mapping[str, Values]
    more: Mapping[str, Values]
    differences: Mapping[str, tuple[int, Difference]]
    accounting: Mapping[str, Accounting]

    def __len__(self) -> int:
        return len(self.decisions.get(CHIP, ()))

    @staticmethod
    def of(runs: StageRuns, recordings: Iterable[OneRecording]) -> Recorded:
        """Summed up while they come."""
        spikes: dict[str, list[dict[str, int]]] = {}
        agreed: dict[tuple[str, str], list[tuple[LayerAgreement, ...]]] = {}
        answers: dict[str, list[npt.NDArray[np.float64]]] = {}
        combined: list[list[int]] = []
        differing: list[dict[str, list[int]]] = []
        more: list[dict[str, list[int]]] = []
        differences: dict[str, tuple[int, Difference]] = {}
        accounting: dict[str, Accounting] = {}
        for number, one in enumerate(recordings):
            for stage, found in one.counts.items():
                spikes.setdefault(stage, []).append(_totals(found))
            for pair in pairwise(one.counts):
                agreed.setdefault(pair, []).append(agreements(one.counts[pair[0]], one.counts[pair[1]]))
            for stage, answer in one.answers.items():
                answers.setdefault(stage, []).append(answer)
            ends = (*one.combinations, one.counts[CHIP])
            combined.append([_decision(end[runs.output].sum(axis=(1, 2))) for end in one.combinations])
            differing.append({layer: [int(np.abs(end[layer] - ends[0][layer]).sum()) for end in ends] for layer in ends[0]})
            totals = [_totals(end) for end in ends]
            more.append({layer: [total[layer] for total in totals] for layer in ends[0]})
            differences = {stage: (number, found) for stage, found in one.differences.items()} | differences
            for stage, found in one.accounting.items():
                accounting[stage] = _sum(accounting.get(stage, Accounting()), found)
        return Recorded(
            spikes=spikes,
            agreements={pair: mean_agreements(found) for pair, found in agreed.items()},
            decisions={stage: tuple(map(_decision, found)) for stage, found in answers.items()},
            ties={stage: sum(map(_is_tied, found)) for stage, found in answers.items()},
            combined=np.array(combined, np.int64).T,
            differing=_by_layer(differing),
            more=_by_layer(more),
            differences=differences,
            accounting=accounting,
        )


def _totals(counts: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, int]:
    return {layer: int(found.sum()) for layer, found in counts.items()}


def _sum(one: Accounting, other: Accounting) -> Accounting:
    return Accounting(*(a + b for a, b in zip(astuple(one), astuple(other), strict=True)))


def _decision(answer: npt.NDArray[np.float64]) -> int:
    return int(np.argmax(answer))


def _is_tied(answer: npt.NDArray[np.float64]) -> bool:
    return int(np.count_nonzero(answer == answer.max())) > 1


def _by_layer(rows: list[dict[str, list[int]]]) -> dict[str, Values]:
    return {layer: np.array([row[layer] for row in rows], np.float64).T for layer in (rows[0] if rows else ())}
