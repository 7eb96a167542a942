"""Markers: requests for a neuron's state, sent behind events; an answer says that all before it has been taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from chipflow.backends.board.heard import Answer
from chipflow.backends.board.states import addresses_of, request
from hwconfig import AddressError, ChipConfig

DIFFERENT_MARKERS = 50


class Markers:
    """Those of one run. They differ in the neuron asked for, so that a lost one is known by the answer to a later one.

    Args:
        kinds: the vendor's classes of events.
        config: what runs.
        core: whose neurons are asked for: one that the events enter.

    Attributes:
        answered: number of the last one that was answered, from 1.
        lost: how many were never answered, as far as is known.
    """

    def __init__(self, kinds: Any, config: ChipConfig, core: int) -> None:
        self._kinds, self._core = kinds, core
        self._addresses = _addresses(config, core)
        self._waiting: deque[tuple[int, int]] = deque()
        self.sent = self.answered = self.lost = 0

    def __len__(self) -> int:
        """How many are waited for."""
        return len(self._waiting)

    def next(self) -> Any:
        """The next one, as the vendor's event."""
        address = self._addresses[self.sent % len(self._addresses)]
        self.sent += 1
        self._waiting.append((self.sent, address))
        return request(self._kinds, self._core, address)

    def again(self) -> Any:
        """One more, where no answer came; it also stands for those before it, where all look alike."""
        if len(self._addresses) == 1:
            self._waiting.clear()
        return self.next()

    def hear(self, answers: Iterable[Answer]) -> None:
        """Takes answers; those to other requests mean nothing here."""
        for layer, address, _ in answers:
            numbers = [number for number, asked in self._waiting if asked == address]
            if layer == self._core and numbers:
                self._take(numbers[0])

    def _take(self, number: int) -> None:
        while self._waiting[0][0] < number:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.popleft()
        self.answered = number


def _addresses(config: ChipConfig, core: int) -> list[int]:
    """Of some neurons of the core; 0 is that of the first one, whatever the rest of the rule."""
    if core not in config.active_cores:
        return [0]
    try:
        return addresses_of(config, core).ravel()[:DIFFERENT_MARKERS].tolist()
    except AddressError:
        return [0]
