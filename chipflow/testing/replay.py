"""What running a replay bundle again gave, and whether it is the recorded answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chipflow.events.result import RunResult
from chipflow.testing.assertions import unlike
from chipflow.testing.run_difference import RunDifference, differences
from chipflow.testing.similarity import LayerSimilarity, Tolerance, similarities, similarity_table


@dataclass(frozen=True)
class Replay:
    """What running a bundle again gave.

    Attributes:
        result: of the new run.
        difference: from the recorded one, event by event; what decides, where `tolerance` is None.
        tolerance: what the layers may differ in, where one of the devices does not repeat a run exactly.
        layers: how alike they are; empty where the comparison is exact.
        unlike: which layers are not alike, and by what; "" if all are.
        changed: versions that are not those of the recording: what, then and now.
    """

    result: RunResult
    difference: RunDifference
    tolerance: Tolerance | None = None
    layers: tuple[LayerSimilarity, ...] = ()
    unlike: str = ""
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    @property
    def same(self) -> bool:
        """Whether the recorded run was found again: exactly, or within the tolerance."""
        return not self.unlike if self.tolerance is not None else not self.difference

    def __str__(self) -> str:
        if self.tolerance is None:
            lines = ["the same run, event by event" if self.same else f"another run than recorded\n{self.difference}"]
        else:
            lines = [
                "alike within the tolerance" if self.same else f"not alike\n{self.unlike}",
                similarity_table(list(self.layers)),
            ]
        if not self.same:
            lines += [
                f"{name} was {then or 'not there'} when it was recorded, here it is {now or 'not there'}"
                for name, (then, now) in self.changed.items()
            ]
        return "\n".join(lines)


def compared(
    expected: RunResult, result: RunResult, tolerance: Tolerance | None, changed: Mapping[str, tuple[str, str]]
) -> Replay:
    """The new run beside the recorded one.

    Args:
        expected: the recorded run.
        result: the new one.
        tolerance: what the layers may differ in; None: nothing may differ.
        changed: versions that are not those of the recording.
    """
    difference = differences(expected, result)
    if tolerance is None:
        return Replay(result, difference, changed=changed)
    layers = similarities(expected, result)
    return Replay(result, difference, tolerance, tuple(layers), unlike(layers, tolerance), changed)
