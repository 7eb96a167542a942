"""What a spiking network does on data: synaptic operations and firing rates of its layers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from chipflow.snn.analysis_text import summary_of
from chipflow.snn.firing import FiringRates, FiringSums, check_rating
from chipflow.snn.stateful import spiking_part
from chipflow.snn.synops import not_counted, weighted_layers
from chipflow.snn.synops_counter import SynopsTotals
from chipflow.snn.synops_watch import SynopsWatch


@dataclass(frozen=True)
class LayerSynops:
    """Synaptic operations of a layer, or of all of them together.

    Attributes:
        name: of the layer.
        total: over all samples.
        samples: their number.
        steps: time steps of all samples.
        dt_us: length of a time step in microseconds.
        analog: whether values that are no spike counts went in; these count by their size.
    """

    name: str
    total: float
    samples: int
    steps: int
    dt_us: float
    analog: bool

    @property
    def per_sample(self) -> float:
        """Operations per sample."""
        return self.total / self.samples

    @property
    def per_step(self) -> float:
        """Operations per time step of one sample."""
        return self.total / self.steps

    @property
    def per_second(self) -> float:
        """Operations per second of one sample: what a chip is rated for, when time passes there as in the data."""
        return self.per_step * 1e6 / self.dt_us


class Analysis(SynopsWatch, SynopsTotals):
    """Synaptic operations and firing rates of all layers, over any number of calls of a model.

        with Analysis(network) as analysis:
            for raster in rasters:
                network.reset_states()
                network(raster)
        print(analysis.summary())

    Only sums over batch and time are kept, no recording and no graph; so it works in training, too. The hooks are gone after `with`, also
    when it ends by an error; a call of the model that fails is not counted. The results stay. What is counted, and what is not followed, is said
    in `chipflow.snn.synops`; the operations are those that the emulator counts on the same spikes, for layers that the compiler does not rewrite
    into larger kernels (groups, dilation, and kernels that are not square).

    Args:
        model: a network from `from_model`, or any module that holds neurons of chipflow, on any device. Input is [batch, time, ...], or has batch
            and time merged where the neurons know the number of either. Of a network, the spiking model is looked at.
        dt_us: length of a time step in microseconds, for numbers per second.
        saturated_at: what share of time steps with a spike makes a neuron saturated.

    Raises:
        ChipflowError: for a model without such neurons, a `ChipFaithful`, or numbers out of range; results before the first call of the model.
    """

    def __init__(self, model: nn.Module, dt_us: float = 1000, *, saturated_at: float = 0.95) -> None:
        check_rating("Analysis", dt_us, saturated_at)
        self.model = spiking_part(model)
        super().__init__(weighted_layers(self.model))
        self.dt_us = dt_us
        self.saturated_at = saturated_at
        self._firing: dict[str, FiringSums] = {}
        self._firing_now: dict[str, FiringSums] = {}

    def reset(self) -> None:
        """Forget all results."""
        self._forget()
        self._firing = {}

    # --- results ---

    @property
    def samples(self) -> int:
        """Samples seen."""
        return int(self._samples)

    @property
    def steps(self) -> int:
        """Time steps seen, of all samples together."""
        return int(self._sample_steps)

    @property
    def synops(self) -> dict[str, float]:
        """Synaptic operations per sample, by layer in the model's order."""
        return {name: layer.per_sample for name, layer in self.layers.items()}

    @property
    def layers(self) -> dict[str, LayerSynops]:
        """Synaptic operations by layer."""
        samples, analog = self._seen(), self._analog_layers()
        return {
            name: LayerSynops(name, total.item(), samples, self.steps, self.dt_us, name in analog)
            for name, total in self._totals.items()
        }

    @property
    def total(self) -> LayerSynops:
        """Synaptic operations of all layers together."""
        layers = self.layers.values()
        total, analog = sum(layer.total for layer in layers), any(layer.analog for layer in layers)
        return LayerSynops("total", total, self._seen(), self.steps, self.dt_us, analog)

    @property
    def neurons(self) -> dict[str, FiringRates]:
        """Firing rates by layer of spiking neurons, of those that have run."""
        self._seen()
        return {name: sums.rates(name, self.dt_us, self.saturated_at) for name, sums in self._firing.items()}

    @property
    def not_counted(self) -> list[str]:
        """Layers with weights whose synaptic operations are not counted, such as transposed convolutions."""
        return not_counted(self.model)

    def summary(self) -> str:
        """Two tables, and what their words mean."""
        return summary_of(self)

    def __repr__(self) -> str:
        return f"Analysis of {type(self.model).__name__}: {self.samples} samples, {self.steps} time steps"

    # --- calls of the model ---

    def begin(self) -> None:
        """Put aside what a call that failed has left."""
        super().begin()
        self._firing_now = {}

    def fired(self, name: str, output: Tensor, counts: Tensor) -> None:
        """Add to the call in progress."""
        self._firing_now[name] = FiringSums.of(output, counts[0]).plus(self._firing_now.get(name), name)

    def end(self) -> None:
        """Add the call to what was seen."""
        together = {name: sums.plus(self._firing.get(name), name) for name, sums in self._firing_now.items()}
        super().end()
        self._firing |= together
        self._firing_now = {}
