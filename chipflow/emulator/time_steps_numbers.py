"""A core's numbers, rounded or not, as the kernel of `time_steps` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chipflow.errors import EmulatorError
from hwconfig.core_config import CoreConfig

if TYPE_CHECKING:
    from chipflow.emulator.time_steps import Causes

STATE_MIN, STATE_MAX = -32768, 32767
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CoreNumbers:
    """What a core computes with, before it was multiplied by a scale and rounded.

    Attributes:
        weights: [f, c, ky, kx].
        biases: [f].
        threshold: above 0.
        lower_bound: of the state; -inf for none.
        initial: states at the beginning, [f, y, x].
    """

    weights: npt.NDArray[Any]
    biases: npt.NDArray[Any]
    threshold: float
    lower_bound: float
    initial: npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Laid:
    """Numbers in the kernel's layout: weights [c, ky, kx, f], the others [y, x, f], flat.

    Attributes:
        part: the core's configuration, of which sizes and flags are read.
        top: the largest state; inf for floats.
    """

    part: CoreConfig
    weights: Floats
    biases: Floats
    initial: Floats
    alive: npt.NDArray[np.bool_]
    high: float
    low: float
    top: float

    def run(self, events: npt.NDArray[np.int64], causes: Causes, clock: tuple[int, int, int, int]) -> tuple[Any, Floats]:
        """The kernel on a stream.

        Args:
            events: [n, 4], see `time_steps_kernel.run_core`.
            clock: the fields of `time_steps_kernel.Clock`.

        Returns:
            int64 [spikes, 3] as the kernel returns it, but with neurons as numbered in [f, y, x]; and the states [f, y, x].
        """
        from chipflow.emulator import time_steps_kernel as kernel  # numba takes a moment to start

        size = self.part.dimensions
        features, height, width = size.output_shape
        geometry = kernel.Geometry(size.kernel_size, *size.stride, *size.padding, height, width)
        switches = (causes.order, causes.clamp, causes.one_spike, causes.leak)
        neurons = kernel.Neurons(self.high, self.low, self.top, self.part.return_to_zero, *switches)
        states = self.initial.copy()
        numbers = (self.weights, self.biases, states, self.alive)
        run_core: Any = kernel.run_core  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # numba's wrapper has no types
        spikes = run_core(events, *numbers, geometry, neurons, kernel.Clock(*clock))
        place, feature = np.divmod(spikes[:, 1], features)
        spikes[:, 1] = feature * (height * width) + place
        states = np.where(self.alive, states, self.initial)
        return spikes, states.reshape(height, width, features).transpose(2, 0, 1).copy()


def laid_out(part: CoreConfig, numbers: CoreNumbers | None) -> Laid:
    """A core's layout.

    Args:
        part: its configuration.
        numbers: before rounding; None: the configuration's integers.

    Raises:
        EmulatorError: arrays of other shapes than the configuration's.
    """
    rounded = numbers is None
    given = numbers or _integers(part)
    for name, found, wanted in (
        ("weights", given.weights, part.weights.shape),
        ("biases", given.biases, part.biases.shape),
        ("initial", given.initial, part.dimensions.output_shape),
    ):
        if found.shape != wanted:
            raise EmulatorError(f"{name} before rounding have shape {found.shape}, the configuration's have {wanted}")
    return Laid(
        part=part,
        weights=_float(_without(given.weights, part, "weights_kill_bit").transpose(1, 2, 3, 0)),
        biases=_flat(_without(given.biases if part.leak_enable else given.biases * 0, part, "biases_kill_bit"), part),
        initial=_float(given.initial.transpose(1, 2, 0)).ravel(),
        alive=_alive(part),
        high=float(given.threshold),
        low=max(float(given.lower_bound), STATE_MIN) if rounded else float(given.lower_bound),
        top=float(STATE_MAX) if rounded else np.inf,
    )


def _integers(part: CoreConfig) -> CoreNumbers:
    return CoreNumbers(part.weights, part.biases, part.threshold_high, part.threshold_low, np.asarray(part.neurons_initial_value))


def _without(values: npt.NDArray[Any], part: CoreConfig, bits: str) -> npt.NDArray[Any]:
    """Zeros where these kill bits are set."""
    killed = part.kill_bits.get(bits)
    return values if killed is None else np.where(killed, 0, values)


def _flat(biases: npt.NDArray[Any], part: CoreConfig) -> Floats:
    """One for each neuron [y, x, f]; 0 for a killed one."""
    features, height, width = part.dimensions.output_shape
    everywhere = np.broadcast_to(biases, (height, width, features)).ravel()
    return _float(np.where(_alive(part), everywhere, 0))


def _alive(part: CoreConfig) -> npt.NDArray[np.bool_]:
    killed = part.kill_bits.get("neurons_value_kill_bit")
    features, height, width = part.dimensions.output_shape
    if killed is None:
        return np.ones(features * height * width, np.bool_)
    return ~np.asarray(killed).transpose(1, 2, 0).ravel()


def _float(values: npt.NDArray[Any]) -> Floats:
    return np.ascontiguousarray(values, np.float64)
