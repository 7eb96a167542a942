"""Adaptive leaky integrate and fire neurons."""

from __future__ import annotations

from torch import Tensor, nn

from chipflow.snn.dynamics import Reset
from chipflow.snn.neuron_layer import DEFAULT_SURROGATE, NeuronLayer
from chipflow.snn.surrogate import SurrogateFunction


class ALIF(NeuronLayer):
    """LIF neurons whose threshold rises with their own spikes and decays again (Bellec et al. 2018, LSNN).

    The threshold in a step is threshold + adapt_scale * b; each spike adds to b, which decays with tau_adapt. The reset subtracts the
    threshold of that step. Equations: `chipflow.snn.dynamics`.

    Shape:
        [batch, time, ...] in and out; with `num_timesteps` or `batch_size`, [batch * time, ...].

    Args:
        tau_mem: time constant of the membrane in time steps, a trainable parameter, one number or a tensor that broadcasts to a sample.
        tau_adapt: time constant of the threshold in time steps, a trainable parameter.
        threshold: at rest, above 0.
        min_v_mem: lower bound of the state, at most 0; None for no bound.
        reset: "subtract", "zero", or the value v takes after a spike.
        adapt_scale: how far b moves the threshold, at least 0.
        tau_syn: time constant of the synaptic current in steps, a trainable parameter; None for none.
        norm_input: whether input is multiplied by 1 - alpha; with tau_syn, the current itself is, in every step.
        train_alphas: whether the parameters are exp(-1 / tau) rather than tau.
        max_spikes: most spikes in a time step; None for any number.
        surrogate: derivative of spikes by potential.
        record_states: whether a forward call leaves the states [batch, time, ...] in `recordings`.
        batch_size: number of samples, where batch and time are merged in the first axis.
        num_timesteps: number of time steps of a sample, where they are merged.

    Raises:
        ChipflowError: for parameters out of range, or input that cannot be divided into time steps or is not finite.
    """

    threshold: Tensor

    def __init__(
        self,
        tau_mem: float | Tensor,
        tau_adapt: float | Tensor,
        threshold: float = 1.0,
        min_v_mem: float | None = None,
        reset: Reset = "subtract",
        *,
        adapt_scale: float = 1.8,
        tau_syn: float | Tensor | None = None,
        norm_input: bool = True,
        train_alphas: bool = False,
        max_spikes: int | None = 1,
        surrogate: SurrogateFunction = DEFAULT_SURROGATE,
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
            norm_input=norm_input,
            adapt_scale=adapt_scale,
            taus={"mem": tau_mem, "syn": tau_syn, "adapt": tau_adapt},
            train_alphas=train_alphas,
            record_states=record_states,
            batch_size=batch_size,
            num_timesteps=num_timesteps,
        )


class ALIFRecurrent(NeuronLayer):
    """ALIF neurons that also read their own spikes of the step before, through a layer of their own.

    The last spikes are a state (`rec_spikes`): a recording in two calls gives what it gives in one.

    Args:
        tau_mem: as of ALIF.
        tau_adapt: as of ALIF.
        rec_connect: a module from spikes [batch, ...] to what is added to the next input; any shape with as many values.

    The other arguments are those of ALIF.
    """

    threshold: Tensor

    def __init__(
        self,
        tau_mem: float | Tensor,
        tau_adapt: float | Tensor,
        rec_connect: nn.Module,
        threshold: float = 1.0,
        min_v_mem: float | None = None,
        reset: Reset = "subtract",
        *,
        adapt_scale: float = 1.8,
        tau_syn: float | Tensor | None = None,
        norm_input: bool = True,
        train_alphas: bool = False,
        max_spikes: int | None = 1,
        surrogate: SurrogateFunction = DEFAULT_SURROGATE,
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
            norm_input=norm_input,
            adapt_scale=adapt_scale,
            taus={"mem": tau_mem, "syn": tau_syn, "adapt": tau_adapt},
            train_alphas=train_alphas,
            rec_connect=rec_connect,
            record_states=record_states,
            batch_size=batch_size,
            num_timesteps=num_timesteps,
        )
