"""What so many recordings can tell about a loss of accuracy, and what they cannot."""

from __future__ import annotations

from dataclasses import dataclass

from chipflow.report.statistics import (
    CONFIDENCE,
    POWER,
    Proportion,
    mcnemar,
    proportion,
    recordings_paired,
    recordings_unpaired,
    smallest_loss,
    unrelated,
)

Published = tuple[float, float]
"""Accuracies before and behind a loss, as shares."""


@dataclass(frozen=True)
class Needed:
    """About how many recordings find a published loss; None: more than are looked for.

    Attributes:
        paired: both ways run the same ones, and all that is lost is lost, nothing gained: the fewest there can be.
        unrelated: both run the same ones, and their errors have nothing to do with each other.
        unpaired: each runs others, so many each.
    """

    paired: int | None
    unrelated: int | None
    unpaired: int | None


@dataclass(frozen=True)
class Prospects:
    """What the recordings of a comparison tell about accuracy.

    Attributes:
        first, second: names of the two stages.
        accuracies: of both.
        lost, gained: recordings that only the first gets right, and only the second.
        p_value: of McNemar's exact test, that both are equally good.
        smallest_loss: what so many recordings would find, gaining as often as here; None: nothing.
        published: accuracies given by somebody else, before and behind.
        needed: recordings for the published loss.
    """

    first: str
    second: str
    accuracies: tuple[Proportion, Proportion]
    lost: int
    gained: int
    p_value: float
    smallest_loss: float | None
    published: Published | None
    needed: Needed | None

    def lines(self) -> list[str]:
        """In sentences."""
        a, b = self.accuracies
        found = "which tells them apart" if self.p_value < 1 - CONFIDENCE else "which does not tell them apart"
        lines = [
            f"On {a.trials:,} recording{'' if a.trials == 1 else 's'} the stage {self.first} has {a}, the stage {self.second} {b} "
            f"({CONFIDENCE:.0%} intervals).",
            f"Only the first is right on {self.lost} of them, only the second on {self.gained}: McNemar's exact p = {self.p_value:.2g}, {found}.",
            self._smallest(a.trials),
        ]
        return [*lines, *self._published()]

    def _smallest(self, recordings: int) -> str:
        if self.smallest_loss is None:
            return f"So few recordings find no loss at all, however large, with a probability of {POWER:.0%}."
        gaining = f"if {self.gained} of them are gained, as here" if self.gained else "if none is gained, as here"
        return (
            f"With a probability of {POWER:.0%}, {recordings:,} recordings find a loss of {100 * self.smallest_loss:.1f} points or more, "
            f"{gaining}; most smaller ones go unnoticed."
        )

    def _published(self) -> list[str]:
        if self.published is None or self.needed is None:
            return []
        before, behind = self.published
        words = (f"{share:.1%} ({_place(share, found)} the interval of the stage {name})" for share, found, name in self._pairs())
        loss = before - behind
        can = self.smallest_loss is not None and loss >= self.smallest_loss
        return [
            f"Published are {' and '.join(words)}.",
            self._against(before),
            f"A loss of {100 * loss:.1f} points is {'within' if can else 'below'} what so many recordings can find. "
            f"It takes about {_many(self.needed.paired)} recordings that both run, if nothing is gained, "
            f"{_many(self.needed.unrelated)} if errors are unrelated, and {_many(self.needed.unpaired)} for each if they run different ones.",
        ]

    def _against(self, before: float) -> str:
        """The second stage beside what was published of the first."""
        place = _place(before, self.accuracies[1])
        told = (
            "which does not tell it from that"
            if place == "inside"
            else f"so that the stage is {'worse' if place == 'above' else 'better'}"
        )
        return f"The published {before:.1%}, taken as exact, is {place} the interval of the stage {self.second}, {told}."

    def _pairs(self) -> list[tuple[float, Proportion, str]]:
        published = self.published or ()
        return list(zip(published, self.accuracies, (self.first, self.second), strict=False))


def prospects(first: str, second: str, right: list[tuple[bool, bool]], published: Published | None) -> Prospects:
    """From the answers of two stages.

    Args:
        first, second: names of the stages.
        right: for each recording, whether either was right.
        published: accuracies given by somebody else, before and behind.
    """
    n = len(right)
    lost, gained = right.count((True, False)), right.count((False, True))
    both = [proportion(sum(answers[i] for answers in right), n) for i in range(2)]
    return Prospects(
        first=first,
        second=second,
        accuracies=(both[0], both[1]),
        lost=lost,
        gained=gained,
        p_value=mcnemar(lost, gained),
        smallest_loss=smallest_loss(n, gained / n),
        published=published,
        needed=None if published is None else _needed(*published),
    )


def _needed(before: float, behind: float) -> Needed:
    return Needed(
        paired=recordings_paired(before - behind),
        unrelated=recordings_paired(*unrelated(before, behind)),
        unpaired=recordings_unpaired(before, behind),
    )


def _place(share: float, found: Proportion) -> str:
    if share < found.low:
        return "below"
    return "above" if share > found.high else "inside"


def _many(recordings: int | None) -> str:
    return "more than can be looked for" if recordings is None else f"{recordings:,}"
