"""One core at run time: its tables, its state, and how a stream goes through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipflow.emulator import layout, records
from chipflow.emulator.machine_code import advance
from chipflow.emulator.records import Geometry, Items, Tables
from chipflow.emulator.streams import Shape, concatenate, empty_items, take
from chipflow.errors import EmulatorError, StrictModeError
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig

MIN_BUFFER = 1 << 14


@dataclass(frozen=True)
class CoreMemory:
    """What a core remembers: int16 states in the kernels' layout, and its totals (the decimator's phase included)."""

    states: npt.NDArray[np.int16]
    totals: npt.NDArray[np.int64]


class Core:
    """A deterministic transducer of its input stream."""

    def __init__(self, config: ChipConfig, core_id: int, *, strict: bool) -> None:
        self.id = core_id
        self.config: CoreConfig = config.core(core_id)
        self.input_shape: Shape = self.config.dimensions.input_shape
        self.shape: Shape = self.config.dimensions.output_shape
        self._geometry: Geometry = layout.geometry(config, core_id, strict=strict)
        self._tables: Tables = layout.tables(self.config)
        self._masks = layout.masks(self.shape)
        self._out: Items | None = None
        self.totals = np.zeros(records.N_TOTALS, np.int64)
        self.reset()

    def reset(self) -> None:
        """Initial states, decimator at zero."""
        self.totals[records.PHASE] = 0
        self.write(np.asarray(self.config.neurons_initial_value, dtype=np.int16))

    def read(self) -> npt.NDArray[np.int16]:
        """A copy of the states, int16 [f][y][x]."""
        return layout.from_kernel(self._states, self.shape)

    def write(self, states: npt.NDArray[np.int16]) -> None:
        """Replace the states, int16 [f][y][x] of the core's output shape."""
        self._states = layout.to_kernel(states)

    def save(self) -> CoreMemory:
        """A copy of all that the core remembers."""
        return CoreMemory(self._states.copy(), self.totals.copy())

    def restore(self, memory: CoreMemory) -> None:
        """Back to what `save` copied."""
        self.totals = memory.totals.copy()
        self.write(layout.from_kernel(memory.states, self.shape))

    def process(self, items: Items) -> Items:
        """The core's spikes, after the decimator, for a stream of items inside its input map.

        Raises:
            StrictModeError: a state left its range in strict mode; the states are then unspecified.
        """
        if not items.f.size:
            return empty_items()
        handled = int(self.totals[records.HANDLED]) + int(np.count_nonzero(items.f != records.TICK))
        spikes = self._advance(items)
        if int(self.totals[records.HANDLED]) != handled:
            raise EmulatorError(
                f"core {self.id} handled {self.totals[records.HANDLED]} events instead of {handled}: please report this"
            )
        return spikes

    def _advance(self, items: Items) -> Items:
        buffer = self._buffer()
        pieces: list[Items] = []
        position, status, neuron = 0, records.FULL, 0
        while status == records.FULL:
            position, count, status, neuron = advance(
                self._geometry, self._tables, self._states, self.totals, self._masks, items, position, buffer
            )
            pieces.append(take(buffer, slice(0, count)))
        if status in (records.LOW_CLIPPED, records.HIGH_CLIPPED):
            raise self._clipped(status, neuron, int(items.t[position]))
        return concatenate(pieces)

    def _clipped(self, status: int, neuron: int, time: int) -> StrictModeError:
        features, _, width = self.shape
        place, f = divmod(int(neuron), features)
        y, x = divmod(place, width)
        limit = records.STATE_MIN if status == records.LOW_CLIPPED else records.STATE_MAX
        return StrictModeError(self.id, (f, y, x), time, f"the membrane potential was clipped at {limit}")

    def _buffer(self) -> Items:
        """Bounded room for spikes: enough for every neuron firing once more than a handful of times."""
        if self._out is None:
            self._out = empty_items(max(MIN_BUFFER, 2 * int(np.prod(self.shape))))
        return self._out
