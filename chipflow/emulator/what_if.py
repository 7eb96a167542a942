"""A run again under each rule that could be otherwise: does the result depend on what is not public?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chipflow.emulator.assumptions import Assumption
from chipflow.errors import EmulatorError
from chipflow.events.array import EventArray, describe
from chipflow.events.result import RunResult
from chipflow.tables import text_table

# Every other way that is implemented: the rule it belongs to, its options, and what is different in words.
ALTERNATIVES: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("zero-weights", {"zero_weights": "synapse"}, "weights of 0 are synapses"),
    ("depth-first", {"order": "breadth_first"}, "breadth first"),
    ("decimator", {"decimator_passes": "first"}, "the first of n spikes passes the decimator"),
)


@dataclass(frozen=True)
class WhatIf:
    """What came of one other way.

    Attributes:
        rule: name of the assumption.
        other: the other way in words.
        applies: whether the configuration touches the rule; the run is not repeated if not.
        changed: whether reported spikes, the readout block's values, how often a core spiked, or membrane potentials at the end differ.
        difference: the first difference in words, or the error that only one of the runs ended with; "" for none.
    """

    rule: str
    other: str
    applies: bool
    changed: bool = False
    difference: str = ""

    @property
    def outcome(self) -> str:
        """In words."""
        if not self.applies:
            return "nothing in this configuration depends on it"
        return f"CHANGED: {self.difference}" if self.changed else "the same spikes and potentials"


@dataclass(frozen=True)
class WhatIfs:
    """All that a run rests on and that is not public, and what came of each other way that is implemented."""

    assumptions: tuple[Assumption, ...]
    runs: tuple[WhatIf, ...]

    @property
    def changed(self) -> bool:
        """Whether any of them makes another result."""
        return any(run.changed for run in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"assumptions": [asdict(found) for found in self.assumptions], "what_if": [asdict(run) for run in self.runs]}

    def __str__(self) -> str:
        rests = [[found.grade, found.rule, ", ".join(map(str, found.where)), found.text] for found in self.assumptions]
        runs = [[run.other, run.outcome] for run in self.runs]
        first = text_table(
            "what the result rests on that is not public", ["grade", "rule", "where", "assumed"], rests, whole=["grade"]
        )
        return f"{first}\n{text_table('what if it is otherwise', ['other way', 'result'], runs)}"


def what_if(run: Callable[..., RunResult], usual: RunResult, assumptions: Iterable[Assumption]) -> WhatIfs:
    """The run again with each alternative.

    Args:
        run: runs the same once more, with options of the emulator that differ.
        usual: its result without any.
        assumptions: those that the configuration touches.
    """
    listed = tuple(assumptions)
    touched = {assumption.rule: assumption.alternative for assumption in listed}
    found: list[WhatIf] = []
    for rule, options, other in ALTERNATIVES:
        if not touched.get(rule):
            found.append(WhatIf(rule, other, applies=False))
            continue
        try:
            difference = first_difference(usual, run(**options))
        except EmulatorError as error:
            difference = f"the run ends with an error: {error}"
        found.append(WhatIf(rule, other, True, bool(difference), difference))
    return WhatIfs(listed, tuple(found))


def first_difference(one: RunResult, other: RunResult) -> str:
    """Of reported spikes, or else of the readout block, of how often cores spiked, of potentials at the end; "" if there is none."""
    a, b = one.events, other.events
    shared = min(len(a), len(b))
    differ = np.flatnonzero(a[:shared] != b[:shared])
    if differ.size or len(a) != len(b):
        at = int(differ[0]) if differ.size else shared
        return f"{len(a):,} spikes become {len(b):,}; first {_at(a, at)}, then {_at(b, at)}"
    if one.readout and other.readout:
        for name, found, others in (
            ("values", one.readout.values, other.readout.values),
            ("pins", one.readout.pins, other.readout.pins),
        ):
            if found.tolist() != others.tolist():
                return f"the same spikes; the readout block's {name} differ"
    for core, counted in one.counters.items():
        before, after = (counted.spikes, counted.spikes_out), (other.counters[core].spikes, other.counters[core].spikes_out)
        if before != after:
            return f"the same reports; core {core} spiked and sent on {before[0]:,} and {before[1]:,} times, now {after[0]:,} and {after[1]:,}"
    for core, states in one.states.items():
        changed = np.argwhere(states != other.states[core])
        if len(changed):
            place = tuple(changed[0].tolist())
            values = f"{states[place]} becomes {other.states[core][place]}"
            return f"the same spikes; {len(changed):,} potentials of core {core} differ, first that of neuron {place}: {values}"
    return ""


def _at(events: EventArray, index: int) -> str:
    return f"{describe(events, index)} of core {events['layer'][index]}" if index < len(events) else "none"
