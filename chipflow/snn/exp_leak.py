"""A leaky integrator."""

from __future__ import annotations

from torch import Tensor

from chipflow.snn.neuron_layer import NeuronLayer


class ExpLeak(NeuronLayer):
    """A leaky integrator that does not spike: its output is v = alpha v + input, alpha = exp(-1 / tau_mem).

    Often the last layer of a network that is trained on potentials rather than spike counts.

    Shape:
        [batch, time, ...] in and out; with `num_timesteps` or `batch_size`, [batch * time, ...].

    Args:
        tau_mem: time constant in time steps, a trainable parameter, one number or a tensor that broadcasts to a sample.
        min_v_mem: lower bound of the state, at most 0; None for no bound. The output of the step itself is not clipped.
        norm_input: whether input is multiplied by 1 - alpha.
        train_alphas: whether the parameter is alpha rather than tau.
        record_states: whether a forward call leaves the states [batch, time, ...] in `recordings`.
        batch_size: number of samples, where batch and time are merged in the first axis.
        num_timesteps: number of time steps of a sample, where they are merged.

    Raises:
        ChipflowError: for parameters out of range, or input that cannot be divided into time steps or is not finite.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        *,
        min_v_mem: float | None = None,
        norm_input: bool = False,
        train_alphas: bool = False,
        record_states: bool = False,
        batch_size: int | None = None,
        num_timesteps: int | None = None,
    ) -> None:
        super().__init__(
            threshold=None,
            fires=False,
            min_v_mem=min_v_mem,
            norm_input=norm_input,
            taus={"mem": tau_mem},
            train_alphas=train_alphas,
            record_states=record_states,
            batch_size=batch_size,
            num_timesteps=num_timesteps,
        )
