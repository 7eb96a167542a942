"""Several ways from the same samples to predictions, timed in turn and compared sample by sample."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measure import four_of_five, milliseconds, show, timed
from chipflow.events import RunResult

Times = dict[int, list[float]]
TURN = 10


@dataclass
class Contestant:
    """One way to get from `size` samples (fewer in the last batch) to predictions: `run(prepare(their numbers))`.

    Attributes:
        warm_up_s: the first run, which does not count.
        prepare_s, run_s: of each sample, what its share of a batch took in each round.
    """

    name: str
    size: int
    prepare: Callable[[Sequence[int]], Any]
    run: Callable[[Any], list[int]]
    warm_up_s: float = 0.0
    prepare_s: Times = field(default_factory=dict[int, list[float]])
    run_s: Times = field(default_factory=dict[int, list[float]])
    predictions: dict[int, int] = field(default_factory=dict[int, int])

    def medians(self, *, whole: bool = False) -> list[float]:
        """The median of each sample, in seconds; with the preparation if `whole`."""
        if not whole:
            return [statistics.median(seconds) for seconds in self.run_s.values()]
        pairs = [zip(self.prepare_s[i], seconds, strict=True) for i, seconds in self.run_s.items()]
        return [statistics.median(map(sum, pair)) for pair in pairs]

    def ratios(self, other: Contestant) -> list[float]:
        """How many times the other's median this one's is, for each sample."""
        return [mine / others for mine, others in zip(self.medians(), other.medians(), strict=True)]


def warmed_up(contestant: Contestant, count: int) -> Contestant:
    """Run once, and once more with the size of the last, smaller batch: each size is a network of its own to sinabs."""
    first, rest = contestant.prepare(range(min(contestant.size, count))), contestant.prepare(range(count % contestant.size or 1))
    contestant.warm_up_s = timed(lambda: contestant.run(first))[0]
    contestant.run(rest)
    return contestant


def interleaved(contestants: Sequence[Contestant], count: int, rounds: int) -> None:
    """Passes over the samples, all contestants in turn, so that what else the machine does hits all alike.

    A turn is several samples, as a user has several: with one, each would find the caches full of what the other left there.
    """
    turn = max(TURN, *(contestant.size for contestant in contestants))
    for samples in list(_chunks(range(count), turn)) * rounds:
        for contestant in contestants:
            for batch in _chunks(samples, contestant.size):
                _one_batch(contestant, batch)


def _chunks(numbers: range, size: int) -> Iterator[range]:
    return (numbers[at : at + size] for at in range(0, len(numbers), size))


def _one_batch(contestant: Contestant, numbers: Sequence[int]) -> None:
    prepare_s, inputs = timed(lambda: contestant.prepare(numbers))
    run_s, predictions = timed(lambda: contestant.run(inputs))
    for number in numbers:
        contestant.prepare_s.setdefault(number, []).append(prepare_s / len(numbers))
        contestant.run_s.setdefault(number, []).append(run_s / len(numbers))
    contestant.predictions.update(zip(numbers, predictions, strict=True))


def report(title: str, contestants: Sequence[Contestant], labels: Sequence[int], target: float) -> None:
    """A table of all, and whether the second takes at least `target` times as long as the first."""
    emulator, other = contestants[:2]
    columns = ["ms / sample", "four of five", "with conversion", "ratio", "four of five", "right", "as emulator", "first run s"]
    rounds = len(emulator.run_s[0])
    heading = f"{title}, {len(labels)} samples, medians of {rounds}, one thread"
    show(heading, ["", *columns], [_row(one, emulator, labels) for one in contestants])
    ratios = other.ratios(emulator)
    verdict = "met" if statistics.median(ratios) >= target else "missed"
    print(
        f"{other.name} takes {statistics.median(ratios):.1f} times as long per sample as the emulator (four of five: "
        f"{four_of_five(ratios)}, {rounds} runs of each); target {target:g}: {verdict}\n"
    )


def _row(one: Contestant, emulator: Contestant, labels: Sequence[int]) -> list[str]:
    """The medians and ranges are over the samples; `right` and `as emulator` count predictions."""
    right = sum(one.predictions[i] == label for i, label in enumerate(labels))
    same = sum(one.predictions[i] == emulator.predictions[i] for i in range(len(labels)))
    ratios, whole = one.ratios(emulator), statistics.median(one.medians(whole=True))
    times = [*milliseconds(one.medians()), f"{1e3 * whole:.1f}", f"{statistics.median(ratios):.1f}", four_of_five(ratios)]
    return [one.name, *times, f"{right} of {len(labels)}", f"{same} of {len(labels)}", f"{one.warm_up_s:.2f}"]


def report_work(emulator: Contestant, results: Sequence[RunResult]) -> None:
    """Rates over the time of all runs, so that long samples weigh more than in the median."""
    seconds = sum(map(statistics.fmean, emulator.run_s.values()))
    counters = [core for result in results for core in result.counters.values()]
    synops, updates, spikes = (sum(getattr(core, name) for core in counters) for name in ("synops", "updates", "spikes"))
    amounts = {
        "input events": sum(result.accounting.sent for result in results),
        "synaptic operations": synops,
        "of these with a non-zero weight": updates,
        "spikes": spikes,
    }
    rows = [[name, f"{n:,}", f"{n / len(results):,.0f}", f"{n / seconds / 1e6:,.3f}"] for name, n in amounts.items()]
    show("what the emulator did", ["", "all samples", "per sample", "million / s"], rows)
