"""What all layers of neurons share: their options, their numbers, and the way from input to spikes."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from chipflow.snn.checks import is_one_number
from chipflow.snn.dynamics import Constants, Reset, Rule, States, append_states, refuse_not_finite, run_loop, step
from chipflow.snn.fused import run
from chipflow.snn.stateful import StatefulLayer
from chipflow.snn.surrogate import SingleExponential, SurrogateFunction

DEFAULT_SURROGATE = SingleExponential()
RESET_VALUE = "reset_value"
"""Key in a state dict, where the reset is a value."""


class NeuronLayer(StatefulLayer):
    """A layer of neurons after `chipflow.snn.dynamics`; IAF, LIF, ALIF and ExpLeak say which.

    Args:
        threshold: spiking threshold, above 0; not used by a layer that does not spike.
        fires: whether the layer spikes.
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
        fires: bool = True,
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
        self.fires = fires
        self._check(threshold, min_v_mem, reset, max_spikes, surrogate, adapt_scale, rec_connect)
        self.reset: Reset = reset if isinstance(reset, str) else float(reset)
        self.max_spikes = None if max_spikes is None else int(max_spikes)
        self.surrogate = surrogate
        self.norm_input = norm_input
        self.adapt_scale = adapt_scale
        self.train_alphas = train_alphas
        self.record_states = record_states
        self.recordings: dict[str, Tensor] = {}
        self.register_buffer("threshold", torch.tensor(float(threshold)) if fires and threshold is not None else None)
        self.register_buffer("min_v_mem", None if min_v_mem is None else torch.tensor(float(min_v_mem)))
        for name in taus or {}:
            self._add_time_constant(name, given.get(name))
        self.rec_connect = rec_connect

    def _check(
        self,
        threshold: Any,
        min_v_mem: Any,
        reset: Any,
        max_spikes: Any,
        surrogate: Any,
        adapt_scale: Any,
        rec_connect: Any,
    ) -> None:
        if self.fires and not (is_one_number(threshold) and threshold > 0):
            raise self.error(f"threshold is {threshold!r}, it must be one finite number above 0.")
        if min_v_mem is not None and not (is_one_number(min_v_mem) and min_v_mem <= 0):
            raise self.error(f"min_v_mem is {min_v_mem!r}, it must be finite and at most 0 (or None for no lower bound).")
        if isinstance(reset, str) or not is_one_number(reset):
            if reset not in ("subtract", "zero"):
                raise self.error(f"reset is {reset!r}, it must be 'subtract', 'zero', or a finite value below the threshold.")
        elif not (-math.inf if min_v_mem is None else min_v_mem) <= reset < threshold:
            raise self.error(
                f"reset is {reset!r}, a value to reset to must lie below the threshold ({threshold}) and not below min_v_mem ({min_v_mem})."
            )
        if max_spikes is not None and not (is_one_number(max_spikes) and max_spikes == int(max_spikes) and max_spikes >= 1):
            raise self.error(f"max_spikes is {max_spikes!r}, it must be a whole number from 1 (or None for any number).")
        if not callable(surrogate) or isinstance(surrogate, type):
            raise self.error(
                f"surrogate is {surrogate!r}, it must be a function of (v_mem, threshold), such as SingleExponential()."
            )
        if adapt_scale is not None and not (is_one_number(adapt_scale) and adapt_scale >= 0):
            raise self.error(f"adapt_scale is {adapt_scale!r}, it must be finite and at least 0.")
        if rec_connect is not None and not isinstance(rec_connect, nn.Module):
            raise self.error(f"rec_connect is a {type(rec_connect).__name__}, it must be a module, such as nn.Linear.")

    def _add_time_constant(self, name: str, tau: float | Tensor | None) -> None:
        """The parameter tau_<name> or alpha_<name>; the other of the two does not exist."""
        parameter = None
        if tau is not None or name != "syn":
            if not (isinstance(tau, Tensor) or is_one_number(tau)):
                raise self.error(f"tau_{name} is {tau!r}, it must be a number of time steps above 0, or a tensor of them.")
            values = torch.as_tensor(tau, dtype=torch.get_default_dtype()).detach().clone()
            self._check_taus(name, values)
            parameter = nn.Parameter(torch.exp(-1.0 / values) if self.train_alphas else values)
        self.register_parameter(f"alpha_{name}" if self.train_alphas else f"tau_{name}", parameter)

    def _check_taus(self, name: str, values: Tensor) -> None:
        if not values.numel() or not bool(((values > 0) & torch.isfinite(values)).all()):
            found = values.item() if values.numel() == 1 else values.tolist()
            raise self.error(f"tau_{name} is {found}, time constants must be finite and above 0 (in time steps).")

    def _check_numbers(self) -> None:
        """What training or a state dict may have changed; not asked while torch.compile traces, nor of another device, which would wait for it."""
        numbers = [value for value in (*self._buffers.values(), *self._parameters.values()) if value is not None]
        if torch.compiler.is_compiling() or any(value.device.type != "cpu" for value in numbers):
            return
        threshold, low = self._buffers["threshold"], self._buffers["min_v_mem"]
        if threshold is not None and not 0 < threshold.item() < math.inf:
            raise self.error(f"threshold has become {threshold.item()}, it must be a finite number above 0.")
        if low is not None and not -math.inf < low.item() <= 0:
            raise self.error(f"min_v_mem has become {low.item()}, it must be finite and at most 0.")
        for name in ("mem", "syn", "adapt"):
            tau, alpha = self._parameters.get(f"tau_{name}"), self._parameters.get(f"alpha_{name}")
            if tau is not None:
                self._check_taus(name, tau.detach())
            if alpha is not None and not bool(((alpha >= 0) & (alpha <= 1)).all()):
                raise self.error(
                    f"alpha_{name} has become {_short(alpha)}, it must lie in 0 to 1: clamp it after each step of the optimiser."
                )

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
        self._check_numbers()
        sample = input.shape[2:]
        alphas: list[Tensor | None] = []
        for name in ("mem", "syn", "adapt"):
            value = self.decay(name)
            if value is not None and value.numel() != 1 and not _fits(value.shape, sample):
                raise self.error(
                    f"the input has shape {list(input.shape)}, and tau_{name} shape {list(value.shape)}, which does not broadcast to a "
                    f"sample of shape {list(sample)}."
                )
            alphas.append(None if value is None else value.to(input.dtype))
        threshold = self._buffers["threshold"]
        return Constants(input.new_ones(()) if threshold is None else threshold, self.min_v_mem, *alphas)

    def _run(self, input: Tensor) -> Tensor:
        sample = input[:, 0]
        found = {name: self._zeros_or(name, sample) if name in self.state_names else None for name in States._fields}
        if self.rec_connect is not None or self.record_states:
            refuse_not_finite(input, self.label)
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
                back = self._fed_back(rec_connect, spikes)
                if back.numel() != now.numel():
                    raise self.error(f"rec_connect gives shape {list(back.shape)}, expected {list(now.shape)} or as many values.")
                now = now + back.reshape(now.shape)
            spikes, states = step(now, states, constants, self.rule)
            outputs.append(spikes)
            append_states(states, record)
        self.rec_spikes = spikes
        return torch.stack(outputs, 1), states

    def _fed_back(self, rec_connect: nn.Module, spikes: Tensor) -> Tensor:
        try:
            return rec_connect(spikes)
        except RuntimeError as error:
            raise self.error(f"rec_connect cannot run on spikes of shape {list(spikes.shape)}: {error}") from error

    def reset_states(self) -> None:
        """Forget the states and recordings; the next forward call starts from zero."""
        super().reset_states()
        self.recordings = {}

    def detach(self) -> None:
        """Keep the states and cut their gradients: backpropagation ends here."""
        super().detach()
        self.recordings = {name: value.detach() for name, value in self.recordings.items()}

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which cannot hold a graph."""
        found = super().__getstate__()
        found["recordings"] = {name: value.detach() for name, value in self.recordings.items()}
        return found

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not isinstance(self.reset, str):
            destination[prefix + RESET_VALUE] = torch.tensor(self.reset, dtype=torch.float64)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        key = prefix + RESET_VALUE
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        if isinstance(self.reset, str):
            return
        if key in state_dict:
            self.reset = float(state_dict[key])
            if key in unexpected_keys:
                unexpected_keys.remove(key)
        elif strict:
            missing_keys.append(key)

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
            reset = repr(self.reset) if isinstance(self.reset, str) else round(self.reset, 6)
            found |= {"reset": reset} | ({} if self.max_spikes is None else {"max_spikes": self.max_spikes})
        if self.adapt_scale is not None:
            found["adapt_scale"] = self.adapt_scale
        if found.keys() & {"tau_mem", "alpha_mem"}:
            found["norm_input"] = self.norm_input
        if self.surrogate != DEFAULT_SURROGATE:
            found["surrogate"] = self.surrogate
        return ", ".join(f"{name}={value}" for name, value in found.items())


def _fits(shape: torch.Size, sample: torch.Size) -> bool:
    """Whether a tensor broadcasts to a sample without making it larger."""
    try:
        return torch.broadcast_shapes(shape, sample) == sample
    except RuntimeError:
        return False


def _short(value: Tensor) -> str:
    if value.numel() != 1:
        return f"[{', '.join(map(str, value.shape))}]"
    return str(round(value.item(), 6))
