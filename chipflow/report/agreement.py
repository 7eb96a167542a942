"""How far two ways of running the same recordings agree, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import fmean

import numpy as np
import numpy.typing as npt

Counts = Mapping[str, npt.NDArray[np.int64]]
"""By layer, spikes of every neuron, [feature, y, x]."""


@dataclass(frozen=True)
class LayerAgreement:
    """One layer in two runs of a recording, or the mean of several.

    Attributes:
        layer: the user's name.
        neurons: of the layer.
        equal: share of neurons that sent exactly as many spikes.
        differing: sum over neurons of the difference of counts.
        more: spikes that the second run has more.
        cosine: between the counts of all neurons; NaN if not both sent spikes, and the mean leaves such recordings out.
    """

    layer: str
    neurons: int
    equal: float
    differing: float
    more: float
    cosine: float


def agreements(first: Counts, second: Counts) -> tuple[LayerAgreement, ...]:
    """Of one recording, in the order of the layers."""
    return tuple(_agreement(layer, counts, second[layer]) for layer, counts in first.items())


def mean_agreements(recordings: Sequence[Sequence[LayerAgreement]]) -> tuple[LayerAgreement, ...]:
    """Over recordings, layer by layer."""
    return tuple(_mean(found) for found in zip(*recordings, strict=True))


def cosine(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> float:
    """Between the counts of all neurons; NaN if not both sent spikes."""
    one, other = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    lengths = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / lengths) if lengths else nan


def _agreement(layer: str, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> LayerAgreement:
    apart = b - a
    return LayerAgreement(
        layer=layer,
        neurons=a.size,
        equal=float(np.mean(apart == 0)),
        differing=float(np.abs(apart).sum()),
        more=float(apart.sum()),
        cosine=cosine(a, b),
    )


def _mean(found: Sequence[LayerAgreement]) -> LayerAgreement:
    cosines = [one.cosine for one in found if not isnan(one.cosine)]
    return LayerAgreement(
        layer=found[0].layer,
        neurons=found[0].neurons,
        equal=fmean(one.equal for one in found),
        differing=fmean(one.differing for one in found),
        more=fmean(one.more for one in found),
        cosine=fmean(cosines) if cosines else nan,
    )
