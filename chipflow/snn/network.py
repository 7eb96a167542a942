"""The spiking network beside the network it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import Tensor, nn

from chipflow.errors import ChipflowError
from chipflow.snn.comparison import ActivationComparison, compare
from chipflow.snn.network_summary import summary_of
from chipflow.snn.stateful import stateful_layers
from chipflow.snn.synops_counter import SynopsCounter

if TYPE_CHECKING:
    from chipflow.snn.chip import ChipFaithful


class Network(nn.Module):
    """A spiking network and the network it was made from.

    Calling it calls the spiking model, on [batch, time, ...].

    Attributes:
        analog_model: the user's model itself, as it was given.
        spiking_model: its spiking copy; takes [batch, time, ...] when called by itself, too.
        input_shape: shape of one sample without batch and time; None if not known.
        scales: activation of the analog model that a rate of one spike in each time step stands for, by name of the layer of neurons; empty
            without calibration.
        bias_rescaling: how many times larger the analog model's input is than the mean input of a time step.
    """

    analog_model: nn.Module
    spiking_model: nn.Module

    def __init__(
        self,
        analog_model: nn.Module,
        spiking_model: nn.Module,
        input_shape: tuple[int, ...] | None = None,
        scales: Mapping[str, float] | None = None,
        bias_rescaling: float = 1.0,
    ) -> None:
        super().__init__()
        self.analog_model = analog_model
        self.spiking_model = spiking_model
        self.input_shape = input_shape
        self.scales: dict[str, float] = dict(scales or {})
        self.bias_rescaling = bias_rescaling

    def get_extra_state(self) -> dict[str, Any]:
        """What the state dict has besides tensors, as plain numbers: `scales` and `bias_rescaling`, which calibration has found."""
        scales = {name: float(scale) for name, scale in self.scales.items()}
        return {"scales": scales, "bias_rescaling": float(self.bias_rescaling)}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take them over from a state dict."""
        self.scales, self.bias_rescaling = dict(state["scales"]), state["bias_rescaling"]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """State dicts of earlier versions have no extra state, and leave this network's as it is."""
        state_dict.setdefault(f"{prefix}_extra_state", self.get_extra_state())
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, input: Tensor) -> Tensor:
        """Run the spiking model; states continue from the previous call."""
        return cast(Tensor, self.spiking_model(input))

    def reset_states(self) -> None:
        """Forget all states; the next call starts from zero."""
        for _, layer in stateful_layers(self.spiking_model):
            layer.reset_states()

    def detach(self) -> None:
        """Keep all states and cut their gradients: backpropagation through time ends here."""
        for _, layer in stateful_layers(self.spiking_model):
            layer.detach()

    @property
    def states(self) -> dict[str, Tensor]:
        """Membrane potentials [batch, ...] by layer name, of the layers that have run since the last reset."""
        return {name: layer.states["v_mem"] for name, layer in stateful_layers(self.spiking_model) if "v_mem" in layer.states}

    def scale_of(self, layer: str) -> float:
        """The activation that one spike in each time step of a layer of neurons stands for, by the layer's name in `spiking_model`.

        Without calibration that is `bias_rescaling`, 1 as a rule: the rates are compared with the activations as they are.
        """
        return self.scales.get(layer, self.bias_rescaling)

    def compare_activations(self, data: Tensor | np.ndarray[Any, Any]) -> ActivationComparison:
        """Compare the rates of all neurons with the activations of the ReLUs that they came from.

        The analog model runs on the mean of `data` over time (times `bias_rescaling`), the spiking model on `data` itself, from zero states; both
        in evaluation mode, on copies that share the parameters: states, modes and hooks of the models stay as they are.

        Args:
            data: rasters [batch, time, ...], or [batch * time, ...] for a network that takes merged axes.

        Returns:
            For every layer of neurons the activations, the rates times the layer's scale, and how far they agree; prints as a table.

        Raises:
            ChipflowError: for data of another shape, or a spiking model whose layers have no counterparts in the analog model.
        """
        return compare(self.analog_model, self.spiking_model, data, self.scale_of, self.bias_rescaling)

    def get_synops(self) -> dict[str, float]:
        """Synaptic operations per sample of every layer with weights: spikes that arrive times the synapses that each reaches.

        The mean over all samples that the spiking model has seen since it was made, or since `reset_synops()`, in training too. They are the
        emulator's counts on the same spikes; what exactly is counted is said in `chipflow.snn.synops`. `chipflow.snn.Analysis` tells more.

        Raises:
            ChipflowError: if the spiking model has not run since.
        """
        return self._counter().get_synops()

    def reset_synops(self) -> None:
        """Begin to count synaptic operations anew."""
        self._counter().reset_synops()

    def _counter(self) -> SynopsCounter:
        counter = SynopsCounter.of(self.spiking_model)
        if counter is None:
            raise ChipflowError(
                "Nothing counts the synaptic operations of this network: make it with from_model, or SynopsCounter.attach(spiking_model)."
            )
        return counter

    def chip_faithful(self) -> ChipFaithful:
        """The spiking model with the chip's own forward pass, for training; it shares the parameters. See `chipflow.snn.ChipFaithful`.

        Raises:
            UnsupportedModelError: for what no core can do.
        """
        from chipflow.snn.chip import ChipFaithful

        return ChipFaithful(self)

    def summary(self, input_shape: tuple[int, ...] | None = None) -> str:
        """A table of the spiking model's layers: kind, output shape of a sample, parameters, neurons, threshold, scale.

        Args:
            input_shape: shape of one sample; the network's own if it is known. Without one, output shapes and numbers of neurons are left out.

        Raises:
            ChipflowError: for a shape that the network does not take.
        """
        return summary_of(self.spiking_model, input_shape or self.input_shape, self.scales)
