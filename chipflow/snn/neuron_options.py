"""Which neurons a converted network gets in the place of each ReLU."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from chipflow.errors import ChipflowError
from chipflow.snn.checks import is_one_number
from chipflow.snn.dynamics import Reset
from chipflow.snn.iaf import IAF
from chipflow.snn.neuron_layer import DEFAULT_SURROGATE
from chipflow.snn.stateful import StatefulLayer
from chipflow.snn.surrogate import SurrogateFunction

LowerBound = float | Literal["-threshold"] | None


@dataclass(frozen=True)
class NeuronOptions:
    """What `from_model` was asked for; None stands for what the template has, or else for IAF's own values.

    Attributes:
        threshold: of all layers, or by layer name; layers that the mapping does not name get 1, or the template's.
        min_v_mem: lower bound, likewise; layers that a mapping does not name get "-threshold".
        reset: after spikes.
        max_spikes: most spikes in a time step.
        surrogate: derivative of spikes by potential.
        neuron: a template that is copied into every place.
    """

    threshold: float | Mapping[str, float] | None = None
    min_v_mem: LowerBound | Mapping[str, LowerBound] = "-threshold"
    reset: Reset | None = None
    max_spikes: int | None = None
    surrogate: SurrogateFunction | None = None
    neuron: StatefulLayer | None = None

    def check_template(self) -> None:
        """Refuse a template that cannot stand for a ReLU, or options that it has of its own.

        Raises:
            ChipflowError: says which.
        """
        if self.neuron is None:
            return
        if not isinstance(self.neuron, StatefulLayer) or not isinstance(getattr(self.neuron, "threshold", None), Tensor):
            raise ChipflowError(
                f"neuron is {self.neuron}, it must be a layer of neurons that spike, such as IAF(...) or LIF(tau_mem=20.0)."
            )
        own = {"reset": self.reset, "max_spikes": self.max_spikes, "surrogate": self.surrogate}
        given = [name for name, value in own.items() if value is not None] + ["min_v_mem"] * (self.min_v_mem != "-threshold")
        if given:
            kind = type(self.neuron).__name__
            raise ChipflowError(f"{', '.join(given)} and neuron are given: set them on the template instead, neuron={kind}(...).")

    def check_calibration(self) -> None:
        """Refuse a template for which rates are no multiples of activations.

        Raises:
            ChipflowError: says why.
        """
        if self.neuron is None or (isinstance(self.neuron, IAF) and "i_syn" not in self.neuron.state_names):
            return
        raise ChipflowError(
            f"calibration with neuron={self.neuron} is not possible: it makes rates multiples of the activations of ReLUs, and these neurons "
            "leak, filter, adapt or read themselves, so that their rates are none. Use IAF without tau_syn, or convert without calibration, "
            "and train."
        )

    def check_names(self, known: Iterable[str]) -> None:
        """Refuse names of layers that do not exist.

        Raises:
            ChipflowError: names them, and the known ones.
        """
        known = list(known)
        for option, value in (("threshold", self.threshold), ("min_v_mem", self.min_v_mem)):
            unknown = [name for name in value if name not in known] if isinstance(value, Mapping) else []
            if unknown:
                raise ChipflowError(
                    f"{option} names {_quoted(unknown)}, which the network does not make neurons of; its neurons are {_quoted(known)}."
                )

    def neurons_of(self, name: str) -> StatefulLayer:
        """New neurons for the layer `name`.

        Raises:
            ChipflowError: for values out of range; names the layer where it is one of a mapping.
        """
        threshold: Any = self.threshold.get(name) if isinstance(self.threshold, Mapping) else self.threshold
        low: Any = self.min_v_mem.get(name, "-threshold") if isinstance(self.min_v_mem, Mapping) else self.min_v_mem
        try:
            _check_numbers(threshold, low)
            return self._iaf(threshold, low) if self.neuron is None else _from_template(self.neuron, threshold)
        except ChipflowError as error:
            if isinstance(self.threshold, Mapping) or isinstance(self.min_v_mem, Mapping):
                raise ChipflowError(f"Layer '{name}': {error}") from None
            raise

    def _iaf(self, threshold: float | None, low: LowerBound) -> IAF:
        theta = 1.0 if threshold is None else threshold
        return IAF(
            theta,
            -theta if low == "-threshold" else low,
            "subtract" if self.reset is None else self.reset,
            max_spikes=self.max_spikes,
            surrogate=self.surrogate or DEFAULT_SURROGATE,
        )


def threshold_of(layer: StatefulLayer) -> float | None:
    """The threshold of a layer of neurons; None for a layer that does not spike."""
    value = getattr(layer, "threshold", None)
    return float(value) if isinstance(value, Tensor) and value.numel() == 1 else None


def _check_numbers(threshold: Any, low: Any) -> None:
    """Whether these are numbers at all; the neurons know their ranges."""
    if threshold is not None and not is_one_number(threshold):
        raise ChipflowError(f"threshold is {threshold!r}, it must be a finite number above 0, or such numbers by layer name.")
    if low not in (None, "-threshold") and not is_one_number(low):
        raise ChipflowError(
            f"min_v_mem is {low!r}, it must be '-threshold', a finite number of at most 0, None for no bound, or these by layer name."
        )


def _from_template(template: StatefulLayer, threshold: float | None) -> StatefulLayer:
    neurons = copy.deepcopy(template)
    neurons.reset_states()
    if threshold is not None:
        reset: Any = getattr(neurons, "reset", None)
        if not (math.isfinite(threshold) and threshold > 0) or (isinstance(reset, int | float) and reset >= threshold):
            raise ChipflowError(
                f"threshold is {threshold}, it must be a finite number above 0, and above the template's reset ({reset!r})."
            )
        neurons.get_buffer("threshold").fill_(threshold)
    return neurons


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
