"""How often neurons fire: rates, neurons that never fire, and neurons that always do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from chipflow.errors import ChipflowError


@dataclass(frozen=True)
class FiringRates:
    """What the neurons of a layer did, over all samples and time steps.

    Attributes:
        name: of the layer.
        rates: spikes per time step of every neuron, [*sample], float64.
        active: share of the time steps in which each neuron fired, [*sample], float64.
        several: share of the time steps in which each neuron fired more than once, [*sample], float64. A neuron of the chip fires at
            most once per event that reaches it, so that such bursts come out later there, or not at all.
        dt_us: length of a time step in microseconds.
        saturated_at: what share of active time steps makes a neuron saturated.
    """

    name: str
    rates: Tensor
    active: Tensor
    several: Tensor
    dt_us: float
    saturated_at: float

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.rates.numel()

    @property
    def rate(self) -> float:
        """Spikes per neuron and time step."""
        return float(self.rates.mean())

    @property
    def rate_hz(self) -> float:
        """Spikes per neuron and second."""
        return self.rate * 1e6 / self.dt_us

    @property
    def dead(self) -> Tensor:
        """Neurons that never fired, bool [*sample]."""
        return self.rates == 0

    @property
    def saturated(self) -> Tensor:
        """Neurons that fired in at least `saturated_at` of the time steps, bool [*sample]: their rate says little about their input any more."""
        return self.active >= self.saturated_at


def check_rating(label: str, dt_us: float, saturated_at: float) -> None:
    """Refuse options of firing rates that are out of range.

    Raises:
        ChipflowError: begins with `label`.
    """
    if not dt_us > 0:
        raise ChipflowError(f"{label}: dt_us is {dt_us}, a time step must be longer than 0 us.")
    if not 0 < saturated_at <= 1:
        raise ChipflowError(
            f"{label}: saturated_at is {saturated_at}, it must be above 0 and at most 1 (a share of the time steps)."
        )


@dataclass(frozen=True)
class FiringSums:
    """Sums over batch and time for a layer of neurons.

    Attributes:
        spikes: [3, *sample]: spikes, time steps with spikes, and time steps with several.
        steps: time steps of all samples.
    """

    spikes: Tensor
    steps: int

    @staticmethod
    def of(output: Tensor, spikes: Tensor) -> FiringSums:
        """Those of one call.

        Args:
            output: spikes [batch, time, *sample] or [batch * time, *sample].
            spikes: the same, added over batch and time: [*sample].
        """
        rows = output.detach().reshape(-1, *spikes.shape)
        once, twice = (rows.clamp(max=most).sum(0, dtype=torch.float32).to(spikes) for most in (1, 2))
        return FiringSums(torch.stack([spikes, once, twice - once]), rows.shape[0])

    def plus(self, other: FiringSums | None, name: str) -> FiringSums:
        """Both together.

        Raises:
            ChipflowError: for maps of different sizes; `name` is that of the layer.
        """
        if other is None:
            return self
        if self.spikes.shape != other.spikes.shape:
            one, two = (list(sums.spikes.shape[1:]) for sums in (other, self))
            raise ChipflowError(
                f"Layer '{name}' has neurons of shape {two} now and had {one} before: their rates cannot be added. "
                "Use an Analysis for each shape, or reset() between them."
            )
        return FiringSums(self.spikes + other.spikes.to(self.spikes), self.steps + other.steps)

    def rates(self, name: str, dt_us: float, saturated_at: float) -> FiringRates:
        """Per time step."""
        spikes, once, several = self.spikes.cpu().double() / self.steps
        return FiringRates(name, spikes, once, several, dt_us, saturated_at)
