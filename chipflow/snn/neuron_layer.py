"""What all layers of neurons share: their options, their numbers, and the way from input to spikes."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from chipflow.snn.dynamics import Constants, Reset, Rule, States, append_states, run_loop, step
from chipflow.snn.fused import run
from chipflow.snn.stateful import StatefulLayer
from chipflow.snn.surrogate import SingleExponential, SurrogateFunction

DEFAULT_SURROGATE = SingleExponential()


class NeuronLayer(StatefulLayer):
    """A layer of neurons after `chipflow.snn.dynamics`; IAF, LIF, ALIF and ExpLeak say which.

    Args:
        threshold: spiking threshold, above 0; None for a layer that does not spike.
        min_v_mem: lower bound of the state, at most 0; None for no bound.
        reset: after spikes, "subtract" one threshold for each, "zero", or become this value, which is below the threshold.
        max_spikes: most spikes in a time step; None for any number.
        surrogate: derivative of spikes by potential, see `chipflow.snn.surrogate`.
        norm_input: whether input is multiplied by 1 - alpha.
        adapt_scale: how much an adapting threshold rises; None for a fixed one.
        taus: time constants in steps by the name of what decays ("mem", "syn", "adapt"), one number or a tensor that broadcasts to a
            sample; None where nothing decays.
        train_alphas: whether the parameters are exp(-1 / tau) rather than tau.
        rec_connect: from the spikes [batch, ...] of a step to what is added to the input of the next; the values are reshaped to a sample.
        record_states: whether a forward call leaves all states [batch, time, ...] in `recordings`, which takes memory and time.
        batch_size: see StatefulLayer.
        num_timesteps: see StatefulLayer.

    Raises:
        ChipflowError: for options out of range.
    """

    min_v_mem: Tensor | None
    v_mem: Tensor | None
    rec_spikes: Tensor | None

    def __init__(
        self,
        *,
        threshold: float | None,
        min_v_mem: float | None,
        reset: Reset = "subtract",
        max_spikes: int | None = None,
        surrogate: SurrogateFunction = DEFAULT_SURROGATE,
        norm_input: bool = False,
        adapt_scale: float | None = None,
        taus: dict[str, float | Tensor | None] | None = None,
        train_alphas: bool = False,
        rec_connect: nn.Module | None = None,
        record_states: bool = False,
        batch_size: int | None = None,
        num_timesteps: int | None = None,
    ) -> None:
        given = {name: tau for name, tau in (taus or {}).items() if tau is not None}
        states = ["v_mem", *(["i_syn"] if "syn" in given else []), *(["b"] if adapt_scale is not None else [])]
        super().__init__((*states, *(["rec_spikes"] if rec_connect is not None else [])), batch_size, num_timesteps)
        self._check(threshold, min_v_mem, reset, max_spikes, adapt_scale)
        self.reset: Reset = reset
        self.max_spikes = max_spikes
        self.surrogate = surrogate
        self.norm_input = norm_input
        self.adapt_scale = adapt_scale
        self.train_alphas = train_alphas
        self.record_states = record_states
        self.recordings: dict[str, Tensor] = {}
        self.fires = threshold is not None
        self.register_buffer("threshold", None if threshold is None else torch.tensor(float(threshold)))
        self.register_buffer("min_v_mem", None if min_v_mem is None else torch.tensor(float(min_v_mem)))
        for name in taus or {}:
            self._add_time_constant(name, given.get(name))
        self.rec_connect = rec_connect

    def _check(
        self, threshold: float | None, min_v_mem: float | None, reset: Any, max_spikes: int | None, adapt_scale: float | None
    ) -> None:
        if threshold is not None and not (threshold > 0 and math.isfinite(threshold)):
            raise self.error(f"threshold is {threshold}, it must be a finite number above 0.")
        if min_v_mem is not None and not (min_v_mem <= 0 and math.isfinite(min_v_mem)):
            raise self.error(f"min_v_mem is {min_v_mem}, it must be finite and at most 0 (or None for no lower bound).")
        if reset not in ("subtract", "zero"):
            below = isinstance(reset, int | float) and not isinstance(reset, bool) and threshold is not None and reset < threshold
            if not below or not math.isfinite(reset):
                raise self.error(
                    f"reset is {reset!r}, it must be 'subtract', 'zero', or a finite value below the threshold ({threshold})."
                )
        if max_spikes is not None and (isinstance(max_spikes, bool) or max_spikes != int(max_spikes) or max_spikes < 1):
            raise self.error(f"max_spikes is {max_spikes}, it must be a whole number from 1 (or None for any number).")
        if adapt_scale is not None and not (adapt_scale >= 0 and math.isfinite(adapt_scale)):
            raise self.error(f"adapt_scale is {adapt_scale}, it must be finite and at least 0.")

    def _add_time_constant(self, name: str, tau: float | Tensor | None) -> None:
        """The parameter tau_<name> or alpha_<name>; the other of the two does not exist."""
        parameter = None
        if tau is not None:
            values = torch.as_tensor(tau, dtype=torch.get_default_dtype()).detach().clone()
            if not bool((values > 0).all()):
                raise self.error(f"tau_{name} is {tau}, time constants must be above 0 (in time steps).")
            parameter = nn.Parameter(torch.exp(-1.0 / values) if self.train_alphas else values)
        self.register_parameter(f"alpha_{name}" if self.train_alphas else f"tau_{name}", parameter)

    def decay(self, name: str) -> Tensor | None:
        """The factor exp(-1 / tau) by which "mem", "syn" or "adapt" decays in a step; None where nothing does."""
        kind = "alpha" if self.train_alphas else "tau"
        value = self._parameters.get(f"{kind}_{name}")
        return value if value is None or self.train_alphas else torch.exp(-1.0 / value)

    @property
    def rule(self) -> Rule:
        """What these neurons do, but for numbers in tensors."""
        return Rule(self.fires, self.max_spikes, self.reset, self.surrogate, self.norm_input, self.adapt_scale)

    def _constants(self, input: Tensor) -> Constants:
        alphas = (self.decay(name) for name in ("mem", "syn", "adapt"))
        cast_alphas = (None if alpha is None else alpha.to(input.dtype) for alpha in alphas)
        threshold = self._buffers["threshold"]
        return Constants(input.new_ones(()) if threshold is None else threshold, self.min_v_mem, *cast_alphas)

    def _run(self, input: Tensor) -> Tensor:
        sample = input[:, 0]
        found = {name: self._zeros_or(name, sample) if name in self.state_names else None for name in States._fields}
        states, constants, record = States(**cast(Any, found)), self._constants(input), self._new_record()
        if self.rec_connect is not None:
            output, states = self._run_recurrent(input, states, constants, self.rec_connect, record)
        elif record is not None:
            output, states = run_loop(input, states, constants, self.rule, record)
        else:
            output, states = run(input, states, constants, self.rule, self.label)
        for name, value in states._asdict().items():
            if value is not None:
                setattr(self, name, value)
        if record is not None:
            self.recordings = {name: torch.stack(values, 1) for name, values in record.items()}
        return output

    def _new_record(self) -> dict[str, list[Tensor]] | None:
        return {} if self.record_states else None

    def _run_recurrent(
        self,
        input: Tensor,
        states: States,
        constants: Constants,
        rec_connect: nn.Module,
        record: dict[str, list[Tensor]] | None,
    ) -> tuple[Tensor, States]:
        """Step by step: what `rec_connect` does is not known here."""
        shape = input[:, 0].shape
        spikes = self.rec_spikes if self.rec_spikes is not None and self.rec_spikes.shape == shape else None
        outputs: list[Tensor] = []
        for now in input.unbind(1):
            if spikes is not None:
                back = rec_connect(spikes)
                if back.numel() != now.numel():
                    raise self.error(f"rec_connect gives shape {list(back.shape)}, expected {list(now.shape)} or as many values.")
                now = now + back.reshape(now.shape)
            spikes, states = step(now, states, constants, self.rule)
            outputs.append(spikes)
            append_states(states, record)
        self.rec_spikes = spikes
        return torch.stack(outputs, 1), states

    def extra_repr(self) -> str:
        """The parameters, for printing."""
        found: dict[str, Any] = {}
        for name in ("mem", "syn", "adapt"):
            value = self._parameters.get(f"alpha_{name}" if self.train_alphas else f"tau_{name}")
            if value is not None:
                found[f"alpha_{name}" if self.train_alphas else f"tau_{name}"] = _short(value)
        threshold = self._buffers["threshold"]
        if threshold is not None:
            found["threshold"] = _short(threshold)
        found["min_v_mem"] = None if self.min_v_mem is None else _short(self.min_v_mem)
        if self.fires:
            found |= {"reset": repr(self.reset)} | ({} if self.max_spikes is None else {"max_spikes": self.max_spikes})
        if self.adapt_scale is not None:
            found["adapt_scale"] = self.adapt_scale
        if found.keys() & {"tau_mem", "alpha_mem"}:
            found["norm_input"] = self.norm_input
        if self.surrogate != DEFAULT_SURROGATE:
            found["surrogate"] = self.surrogate
        return ", ".join(f"{name}={value}" for name, value in found.items())


def _short(value: Tensor) -> str:
    if value.numel() != 1:
        return f"[{', '.join(map(str, value.shape))}]"
    return str(round(value.item(), 6))
