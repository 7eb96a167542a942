"""The rules of `chipflow.emulator.time_steps` in plain Python, one core at a time: a list of what happens, handled in order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chipflow.emulator.time_steps import Causes
from chipflow.emulator.time_steps_numbers import STATE_MAX, STATE_MIN, CoreNumbers
from hwconfig import CoreConfig

EVENT, TICK, END = 0, 1, 2  # the order of what happens at one time
Spike = tuple[int, int, int, int]


def run_core(
    part: CoreConfig, numbers: CoreNumbers, causes: Causes, events: list[Spike], clock: tuple[int, int, int, int]
) -> tuple[list[Spike], np.ndarray[Any, Any]]:
    """Spikes (key, f, y, x) of a core, and its states, from events (key, c, y, x) inside its map.

    Args:
        clock: length of a step, number of steps, period of the ticks (0: none), time of the last.
    """
    step_us, steps, period, last = clock
    ticks = [(2 * t, TICK, None) for t in range(period, last + 1, period)] if period and causes.leak else []
    ends = [(2 * (k + 1) * step_us, END, None) for k in range(steps)]
    happening = [(event[0], EVENT, event) for event in events] + ticks + ends
    core = _Core(part, numbers, causes)
    for key, kind, event in sorted(happening, key=lambda item: item[:2]):  # stable
        if kind == EVENT:
            core.arrive(event)
        elif kind == TICK:
            core.add_biases(key)
        else:
            if not causes.leak:
                core.add_biases(key)
            core.end_step(key)
    return core.sent, core.v


class _Core:
    def __init__(self, part: CoreConfig, numbers: CoreNumbers, causes: Causes) -> None:
        self.part, self.numbers, self.causes = part, numbers, causes
        self.v = np.array(numbers.initial, float)
        self.updates = np.zeros(self.v.shape, int)
        self.sent: list[Spike] = []
        features, self.height, self.width = part.dimensions.output_shape
        self.places = [(f, y, x) for y in range(self.height) for x in range(self.width) for f in range(features)]

    def killed(self, bits: str, *place: int) -> bool:
        found = self.part.kill_bits.get(bits)
        return found is not None and bool(found[place])

    def arrive(self, event: Spike) -> None:
        key, c, y, x = event
        size = self.part.dimensions
        for place in self.places:
            f, oy, ox = place
            ky, kx = y + size.padding[0] - oy * size.stride[0], x + size.padding[1] - ox * size.stride[1]
            if not (0 <= ky < size.kernel_size and 0 <= kx < size.kernel_size):
                continue
            weight = self.numbers.weights[f, c, ky, kx]
            if weight != 0 and not self.killed("weights_kill_bit", f, c, ky, kx):
                self.update(key, place, float(weight))

    def add_biases(self, key: int) -> None:
        for place in self.places if self.part.leak_enable else []:
            bias = self.numbers.biases[place[0]]
            if bias != 0 and not self.killed("biases_kill_bit", place[0]):
                self.update(key, place, float(bias))

    def update(self, key: int, place: tuple[int, int, int], amount: float) -> None:
        if self.killed("neurons_value_kill_bit", *place):
            return
        self.v[place] += amount
        self.updates[place] += 1
        if self.causes.clamp:
            self.v[place] = max(self.v[place], self.low)
            if self.causes.rounding:
                self.v[place] = min(self.v[place], STATE_MAX)
        if self.causes.order:
            self.decide(key, place)

    @property
    def low(self) -> float:
        return max(self.numbers.lower_bound, STATE_MIN) if self.causes.rounding else self.numbers.lower_bound

    def decide(self, key: int, place: tuple[int, int, int]) -> None:
        count = math.floor(self.v[place] / self.numbers.threshold) if self.v[place] >= self.numbers.threshold else 0
        if self.causes.one_spike:
            count = min(count, int(self.updates[place]))
        self.updates[place] = 0
        if count:
            self.v[place] = 0 if self.part.return_to_zero else self.v[place] - count * self.numbers.threshold
        self.sent += [(key, *place)] * count

    def end_step(self, key: int) -> None:
        for place in self.places:
            if self.killed("neurons_value_kill_bit", *place):
                continue
            if not self.causes.order:
                self.decide(key, place)
            if not self.causes.clamp:
                self.v[place] = max(self.v[place], self.low)
