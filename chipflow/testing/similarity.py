"""How alike two runs are, layer by layer, where they cannot be equal: a chip of silicon against its model."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt

from chipflow.errors import EventError
from chipflow.events.result import RunResult
from chipflow.report.agreement import cosine
from chipflow.report.shared_layers import SENSOR, SharedLayer, missing_layers, shared_layers
from chipflow.tables import table

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tolerance:
    """What two runs may differ in, for every layer that both report. Times and order of spikes are not compared.

    The defaults come from the one public recording of a Speck2f that counts can be held against: the first layer of an N-MNIST network
    (4,096 neurons; ten recordings of 3,590 to 15,043 spikes), which the emulator was run beside. In the worst of the ten, 95.9 % of the
    neurons were equal (97.4 % in the mean), the others apart by 2 at most, the cosine was 0.9993, and there were 0.27 % more spikes.
    Each bound leaves some room beyond that. Of deeper layers there is no such recording: their differences add up, and a test of them
    has to state a tolerance of its own.

    Attributes:
        equal_neurons: share of the neurons that must have fired exactly as often.
        max_difference: spikes by which any neuron may be apart.
        cosine: smallest cosine between the counts of all neurons.
        spikes: share by which the layer's spikes, all together, may be more or fewer.
        few: a layer passes if its neurons are apart by so many spikes together: in a layer of ten neurons one spike is 10 % of them.
    """

    equal_neurons: float = 0.95
    max_difference: int = 3
    cosine: float = 0.999
    spikes: float = 0.01
    few: int = 2

    def __post_init__(self) -> None:
        for name in ("equal_neurons", "cosine", "spikes"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share: {getattr(self, name)}, allowed are 0 to 1")
        for name in ("max_difference", "few"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is a number of spikes: {getattr(self, name)}, allowed are 0 or more")


@dataclass(frozen=True)
class LayerSimilarity:
    """How alike one layer fired in two runs.

    Attributes:
        layer: the user's name.
        neurons: of the layer.
        equal_neurons: share of them that fired exactly as often.
        max_difference: the largest difference between the counts of a neuron.
        total_difference: differences of all neurons, added up.
        cosine: between the counts of all neurons; 1 if neither run has a spike, 0 if one has none.
        a_spikes, b_spikes: of all neurons.
        worst: (feature, y, x) of the neuron with the largest difference.
    """

    layer: str
    neurons: int
    equal_neurons: float
    max_difference: int
    total_difference: int
    cosine: float
    a_spikes: int
    b_spikes: int
    worst: tuple[int, int, int]

    @property
    def spikes(self) -> float:
        """Share by which the second run has more or fewer spikes than the first."""
        return abs(self.b_spikes - self.a_spikes) / max(self.a_spikes, 1)

    def excesses(self, tolerance: Tolerance) -> list[str]:
        """Each bound that is passed, with what was found; none if the layer is alike."""
        if self.total_difference <= tolerance.few:
            return []
        checks = [
            (self.equal_neurons >= tolerance.equal_neurons,
             f"{self.equal_neurons:.2%} of {self.neurons:,} neurons fired equally often, needed are {tolerance.equal_neurons:.2%}"),
            (self.max_difference <= tolerance.max_difference,
             f"neuron (feature, y, x) = {self.worst} is {self.max_difference} spikes apart, allowed are {tolerance.max_difference}"),
            (self.cosine >= tolerance.cosine, f"cosine {self.cosine:.5f}, needed is {tolerance.cosine}"),
            (self.spikes <= tolerance.spikes,
             f"{self.a_spikes:,} spikes against {self.b_spikes:,}, which is {self.spikes:.2%} off, allowed is {tolerance.spikes:.2%}"),
        ]  # fmt: skip
        return [words for good, words in checks if not good]


def similarities(a: RunResult, b: RunResult) -> list[LayerSimilarity]:
    """One for each layer that both runs report, in the order of the network; the sensor's own events are left out.

    Raises:
        EventError: the runs do not report the same layers, or a layer has not the same shape in both.
    """
    only = [name for name in missing_layers(a, b) + missing_layers(b, a) if name != SENSOR]
    layers = [layer for layer in shared_layers(a, b) if layer.a_cores[0] in a.monitored]
    if only or not layers:
        raise EventError(f"runs must report the same layers to be compared: {_listed(only)}; give both the same monitor=")
    return [_similarity(layer, a, b) for layer in layers]


def _similarity(layer: SharedLayer, a: RunResult, b: RunResult) -> LayerSimilarity:
    one, other = _counts(a, layer.a_cores), _counts(b, layer.b_cores)
    if one.shape != other.shape:
        raise EventError(
            f"layer {layer.name} is {one.shape} in the first run and {other.shape} in the second: compare runs of one network"
        )
    return similarity(layer.name, one, other)


def _counts(run: RunResult, cores: tuple[int, ...]) -> Counts:
    return np.concatenate([run.counts(core) for core in cores])


def similarity(layer: str, a: npt.ArrayLike, b: npt.ArrayLike) -> LayerSimilarity:
    """Of spike counts [feature, y, x], as `RunResult.counts` returns them, or as they were recorded elsewhere.

    Raises:
        EventError: the shapes differ, or are not of three dimensions.
    """
    one, other = (np.asarray(counts).astype(np.int64) for counts in (a, b))
    if one.shape != other.shape or one.ndim != 3 or not one.size:
        raise EventError(f"layer {layer}: counts must be [feature, y, x] of one shape, found {one.shape} and {other.shape}")
    apart = np.abs(one - other)
    worst = np.unravel_index(int(apart.argmax()), apart.shape)
    return LayerSimilarity(
        layer=layer,
        neurons=one.size,
        equal_neurons=float(np.mean(apart == 0)),
        max_difference=int(apart.max()),
        total_difference=int(apart.sum()),
        cosine=_cosine(one, other),
        a_spikes=int(one.sum()),
        b_spikes=int(other.sum()),
        worst=(int(worst[0]), int(worst[1]), int(worst[2])),
    )


def similarity_table(layers: list[LayerSimilarity]) -> str:
    """What was found, layer by layer."""
    header = ["layer", "neurons", "equal", "largest difference", "cosine", "spikes", "against"]
    rows = [
        [
            found.layer,
            f"{found.neurons:,}",
            f"{found.equal_neurons:.2%}",
            str(found.max_difference),
            f"{found.cosine:.5f}",
            f"{found.a_spikes:,}",
            f"{found.b_spikes:,}",
        ]
        for found in layers
    ]
    return table("counts of two runs", header, rows)


def _cosine(a: Counts, b: Counts) -> float:
    found = cosine(a, b)
    return float(a.any() == b.any()) if isnan(found) else found


def _listed(names: list[str]) -> str:
    return f"only one of them has {', '.join(names)}" if names else "neither has any"
