"""What is known of a layer after it was quantised. All but arrays can be written as JSON with dataclasses.asdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Mode = Literal["default", "sinabs", "search"]
Tensor = Literal["weights", "biases", "threshold", "lower_bound"]
Limit = Literal["weights", "biases", "threshold", "lower_bound", "search"]


@dataclass(frozen=True)
class Blame:
    """The one number that allows no larger scale without clipping.

    Attributes:
        tensor: where it stands.
        index: its place there: (feature out, in, y, x) of a weight, (feature,) of a bias, () of threshold and lower bound.
        value: in float units.
        scale: the largest at which it fits.
        scale_without: the largest if it were not there; much more than `scale` if it is an outlier, the same if another is as large.
    """

    tensor: Tensor
    index: tuple[int, ...]
    value: float
    scale: float
    scale_without: float


@dataclass(frozen=True)
class Disagreement:
    """Spikes s of a quantised layer against those of the float network, S: three views of the same runs.

    Attributes:
        differing: sum over steps and neurons of |s - S|. A spike that is one step late counts twice, at both steps.
        miscounted: sum over recordings and neurons of |total of s - total of S|: spikes too many or too few.
        displacement: sum over steps and neurons of |sum of s so far - sum of S so far|: how many steps the spikes are late or early,
            where one too many or too few counts every step to the end of the recording. Mode "search" makes this small.
    """

    differing: int
    miscounted: int
    displacement: int


@dataclass(frozen=True)
class Agreement:
    """A layer on recordings, time step by time step, beside the same layer of the float network.

    Attributes:
        recordings, steps: how many recordings, and time steps in all.
        spikes: of the float network's layer.
        found: of the quantised layer, which reads what the quantised layers before it give.
        default: the same if the network is quantised in mode "default"; None where that mode cannot do it.
        silent_features: features that never fire on the recordings once quantised.
        busy_features: features with a neuron that fires at every step of every recording once quantised.
    """

    recordings: int
    steps: int
    spikes: int
    found: Disagreement
    default: Disagreement | None
    silent_features: tuple[int, ...]
    busy_features: tuple[int, ...]

    def in_words(self) -> str:
        """Spikes too many or too few, beside the default mode where that is another; features that never fire."""
        default = (
            ""
            if self.default is None or self.default == self.found
            else f" ({self.default.miscounted:,} with the default scales)"
        )
        silent = f"; features that never fire: {_listed(self.silent_features)}" if self.silent_features else ""
        return f"of {self.spikes:,} spikes on the recordings {self.found.miscounted:,} too many or too few{default}{silent}"


@dataclass(frozen=True)
class LayerScale:
    """How one layer was quantised. Below, k is the integer threshold, θ the float one.

    Attributes:
        scale: integer units per float unit.
        limited_by: the tensor that allowed no larger scale; "search" where another scale than the default one was better.
        max_rounding_error: largest |integer / scale - float| of a weight, in float units.
        zeroed: number of non-zero weights that became zero.
        weights: number of weights.
        notes: what else was changed, in words.
        saturated: number of weights beyond the range at this scale, which became its end.
        max_ratio_error: largest |integer / k - float / θ| of a weight: what a spike's effect on a neuron is off by, in thresholds.
        rms_ratio_error: root of the mean square of the same.
        step_error: what mode "search" makes small without recordings, `chipflow.quantization.integers.step_error`.
        effective_bits: log2(1 + 4 m) with m the mean |integer| of the weights that are not 0 as floats: the width of evenly
            spread integers that are as large on average.
        dead_features: features without a weight or bias above 0, which never fire.
        always_firing: features whose bias reaches the threshold, so that they fire at every tick unless inhibited.
        blame: the number that limits the scale; None in files written before it was recorded, which lack all from `saturated` on.
        agreement: with the float network on recordings; None without recordings.
    """

    scale: float
    limited_by: Limit
    max_rounding_error: float
    zeroed: int
    weights: int
    notes: tuple[str, ...] = ()
    saturated: int = 0
    max_ratio_error: float = 0.0
    rms_ratio_error: float = 0.0
    step_error: float = 0.0
    effective_bits: float = 0.0
    dead_features: tuple[int, ...] = ()
    always_firing: tuple[int, ...] = ()
    blame: Blame | None = None
    agreement: Agreement | None = None

    def remarks(self) -> list[str]:
        """What a user should look at, in words."""
        found = list(self.notes)
        if self.blame is not None and self.blame.scale_without > OUTLIER * self.blame.scale:
            found.append(
                f"one number sets the scale, {self.blame.value:.3g} at {self.blame.index} of the {self.blame.tensor}: without it the scale "
                f"could be {self.blame.scale_without:.4g} instead of {self.blame.scale:.4g}"
            )
        if self.saturated:
            found.append(f"{self.saturated} weights are beyond the range and became its end")
        if self.dead_features:
            found.append(f"features without a weight or bias above 0, which never fire: {_listed(self.dead_features)}")
        if self.always_firing:
            found.append(f"features whose bias alone makes them fire at every tick: {_listed(self.always_firing)}")
        if self.agreement is not None:
            found.append(self.agreement.in_words())
        return found


OUTLIER = 2
"""A number is one if the scale could be more than so many times as large without it: the layer loses a bit to it."""

MOST_LISTED = 8


def _listed(features: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, features[:MOST_LISTED]))
    return shown if len(features) <= MOST_LISTED else f"{shown} and {len(features) - MOST_LISTED} more"


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """Integers of one layer, and the record of how they came about. Arrays have the shapes they were given in."""

    weights: npt.NDArray[np.int8]
    biases: npt.NDArray[np.int16] | None
    threshold: int
    lower_bound: int
    record: LayerScale
