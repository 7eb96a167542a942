"""Integrate and fire neurons."""

from __future__ import annotations

from torch import Tensor, nn

from chipflow.snn.dynamics import Reset
from chipflow.snn.neuron_layer import DEFAULT_SURROGATE, NeuronLayer
from chipflow.snn.surrogate import SurrogateFunction


class IAF(NeuronLayer):
    """Integrate and fire neurons without leak, the neurons of the chip.

    In every time step v += input; a neuron with v >= threshold emits floor(v / threshold) spikes and is reset (each spike
    subtracts one threshold, or v becomes zero or a value); then v = max(v, min_v_mem). A constant leak is a negative bias of the layer in
    front. Read as a rate, the spikes follow a ReLU of the input. Equations: `chipflow.snn.dynamics`.

    Shape:
        [batch, time, ...] in and out; with `num_timesteps` or `batch_size`, [batch * time, ...].

    Args:
        threshold: spiking threshold, above 0.
        min_v_mem: lower bound of the state, at most 0; None for no bound.
        reset: "subtract", "zero", or the value v takes after a spike.
        max_spikes: most spikes in a time step; None for any number.
        surrogate: derivative of spikes by potential.
        tau_syn: time constant of the synaptic current in steps, a trainable parameter; None for none.
        record_states: whether a forward call leaves the states [batch, time, ...] in `recordings`.
        batch_size: number of samples, where batch and time are merged in the first axis.
        num_timesteps: number of time steps of a sample, where they are merged.

    Raises:
        ChipflowError: for parameters out of range, or input that cannot be divided into time steps or is not finite.
    """

    threshold: Tensor

    def __init__(
        self,
        threshold: float = 1.0,
        min_v_mem: float | None = -1.0,
        reset: Reset = "subtract",
        *,
        max_spikes: int | None = None,
        surrogate: SurrogateFunction = DEFAULT_SURROGATE,
        tau_syn: float | Tensor | None = None,
        record_states: bool = False,
        batch_size: int | None = None,
        num_timesteps: int | None = None,
    ) -> None:
        super().__init__(
            threshold=threshold,
            min_v_mem=min_v_mem,
            reset=reset,
            max_spikes=max_spikes,
            surrogate=surrogate,
            taus={"syn": tau_syn},
            record_states=record_states,
            batch_size=batch_size,
            num_timesteps=num_timesteps,
        )


class IAFRecurrent(NeuronLayer):
    """IAF neurons that also read their own spikes of the step before, through a layer of their own.

    The last spikes are a state (`rec_spikes`): a recording in two calls gives what it gives in one.

    Args:
        rec_connect: a module from spikes [batch, ...] to what is added to the next input; any shape with as many values.

    The other arguments are those of IAF.
    """

    threshold: Tensor

    def __init__(
        self,
        rec_connect: nn.Module,
        threshold: float = 1.0,
        min_v_mem: float | None = -1.0,
        reset: Reset = "subtract",
        *,
        max_spikes: int | None = None,
        surrogate: SurrogateFunction = DEFAULT_SURROGATE,
        tau_syn: float | Tensor | None = None,
        record_states: bool = False,
        batch_size: int | None = None,
        num_timesteps: int | None = None,
    ) -> None:
        super().__init__(
            threshold=threshold,
            min_v_mem=min_v_mem,
            reset=reset,
            max_spikes=max_spikes,
            surrogate=surrogate,
            taus={"syn": tau_syn},
            rec_connect=rec_connect,
            record_states=record_states,
            batch_size=batch_size,
            num_timesteps=num_timesteps,
        )
