"""What `chipflow.report.compare` finds: stages, how far neighbours agree, and what accounts for the difference."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from chipflow.report.agreement import LayerAgreement
from chipflow.report.attribution import Attribution
from chipflow.report.first_difference import FirstDifference
from chipflow.report.prospects import Prospects
from chipflow.report.statistics import Proportion
from chipflow.report.stepped_layers import StepDifference


@dataclass(frozen=True)
class Stage:
    """One way of computing the network.

    Attributes:
        name: short.
        how: in words.
        decisions: for each recording, the feature of the output layer with most spikes, the lowest of equals.
        ties: recordings in which another feature has as many.
        accuracy: None without labels.
        spikes: mean over recordings, by layer; empty for the analog network.
    """

    name: str
    how: str
    decisions: tuple[int, ...]
    ties: int
    accuracy: Proportion | None
    spikes: dict[str, float]


@dataclass(frozen=True)
class StagePair:
    """A stage and the next one.

    Attributes:
        first, second: their names.
        decided_otherwise: names of recordings with another decision.
        lost, gained: recordings that only the first decides rightly, and only the second; None without labels.
        p_value: of McNemar's exact test on these.
        layers: how far the layers agree; empty where one of the stages is the analog network.
        first_differing: name of the first recording whose spikes differ; None where none do, or where they cannot be compared.
        first_difference: where it does so first.
    """

    first: str
    second: str
    decided_otherwise: tuple[str, ...]
    lost: int | None
    gained: int | None
    p_value: float | None
    layers: tuple[LayerAgreement, ...]
    first_differing: str | None
    first_difference: StepDifference | FirstDifference | None


@dataclass(frozen=True)
class Comparison:
    """A network on the same recordings, stage by stage. Prints as text.

    Attributes:
        recordings: their names, in order.
        time_step_us: length of a time step in microseconds.
        output: name of the layer that decides.
        stages: in order, from the analog network to the board, as many as there were.
        pairs: neighbours.
        base: the stage with which attribution begins, in which no cause is on.
        differing: for each layer, what accounts for the spikes by which its counts differ from the base's.
        more: for each layer, what accounts for the spikes that it sends more than in the base.
        decisions: what accounts for decisions that differ from the base's.
        accuracy: what accounts for the change of accuracy; None without labels.
        prospects: what so many recordings can tell; None without labels.
        notes: what was left out, and why.
    """

    recordings: tuple[str, ...]
    time_step_us: int
    output: str
    stages: tuple[Stage, ...]
    pairs: tuple[StagePair, ...]
    base: str
    differing: dict[str, Attribution]
    more: dict[str, Attribution]
    decisions: Attribution
    accuracy: Attribution | None
    prospects: Prospects | None
    notes: tuple[str, ...] = ()

    def stage(self, name: str) -> Stage:
        """The stage of this name; KeyError names those there are."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(f"no stage {name!r}; stages are {', '.join(stage.name for stage in self.stages)}")

    def text(self) -> str:
        """Tables and sentences."""
        from chipflow.report.comparison_text import comparison_text

        return comparison_text(self)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; a number that is none is null."""
        return json.loads(json.dumps(asdict(self)), parse_constant=lambda _: None)

    def __str__(self) -> str:
        return self.text()
