"""Synaptic operations added over all that a network has seen."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError
from chipflow.snn.synops import SynopsHooks, not_counted, weighted_layers


class SynopsTotals(SynopsHooks):
    """Adds up the synaptic operations of every layer over calls of a model.

    All numbers are tensors, and all are there from the start: so a compiled model is not compiled again because one has changed.

    Args:
        layers: names of the layers with weights.
    """

    def __init__(self, layers: Iterable[str]) -> None:
        super().__init__()
        self._layers = tuple(layers)
        self._now: dict[str, Tensor] = {}
        self._analog_now: dict[str, Tensor] = {}
        self._forget()

    def begin(self) -> None:
        """Put aside what a call that failed has left."""
        self._now, self._analog_now = {}, {}

    def count(self, name: str, synops: Tensor, analog: Tensor | None) -> None:
        """Add to the call in progress."""
        self._now[name] = self._now[name] + synops[0] if name in self._now else synops[0]
        if analog is not None:
            self._analog_now[name] = self._analog_now[name] | analog if name in self._analog_now else analog

    def end(self) -> None:
        """Add the call to the totals, if it is one of layers as they stand here: other code may use their parameters in its own way."""
        if self.axes is None or (self._layers and not self._now):
            return
        for name, synops in self._now.items():
            self._totals[name] = self._totals[name].to(synops) + synops
        for name, analog in self._analog_now.items():
            self._analog[name] = self._analog[name].to(analog) | analog
        self._samples = self._samples + self.axes[0]
        self._sample_steps = self._sample_steps + self.axes[0] * self.axes[1]
        self._now, self._analog_now = {}, {}

    def _forget(self) -> None:
        self._totals = {name: torch.zeros((), dtype=torch.float64) for name in self._layers}
        self._analog = {name: torch.zeros((), dtype=torch.bool) for name in self._layers}
        self._samples = torch.zeros((), dtype=torch.int64)
        self._sample_steps = torch.zeros((), dtype=torch.int64)

    def _seen(self) -> int:
        """Number of samples, which is above 0."""
        samples = int(self._samples)
        if samples == 0:
            raise ChipflowError(
                f"{type(self).__name__}: no call of the model was counted yet. "
                "Call the model itself on [batch, time, ...]; calls of its parts are not counted, nor is a forward() that does not call its layers."
            )
        return samples

    def _analog_layers(self) -> list[str]:
        """Layers whose input was no whole number of spikes."""
        return [name for name, analog in self._analog.items() if bool(analog)]


class SynopsCounter(SynopsTotals):
    """Counts the synaptic operations of every layer for as long as the model lives.

    Made to be always on: one sum over batch and time for each layer, no graph, nothing kept from one call to the next but a few numbers. It goes along
    when the model is copied (the copy has a counter of its own), and into the graph when the model is compiled. What is counted, and
    what is not followed, is said in `chipflow.snn.synops`.

        counter = SynopsCounter.attach(model)
        model(raster)
        counter.get_synops()
    """

    def __init__(self, layers: Iterable[str], not_counted: Iterable[str] = ()) -> None:
        super().__init__(layers)
        self.paused = False
        self._not_counted = tuple(not_counted)
        self._warned = False

    @classmethod
    def attach(cls, model: nn.Module) -> SynopsCounter:
        """A counter of a model's calls. Hooks that merge batch and time (`TimeAxes`) are attached before it.

        Raises:
            ChipflowError: for a model without neurons of chipflow.
        """
        counter = cls(weighted_layers(model), not_counted(model))
        counter._hook(model)
        return counter

    @classmethod
    def of(cls, model: nn.Module) -> SynopsCounter | None:
        """The counter attached to a model; None if there is none."""
        owners = (getattr(hook, "__self__", None) for hook in model._forward_pre_hooks.values())
        return next((owner for owner in owners if isinstance(owner, cls)), None)

    def get_synops(self) -> dict[str, float]:
        """Synaptic operations per sample of every layer with weights: the mean over all samples since the last `reset_synops()`.

        Layers that did not run have 0. Warns, once, of layers whose input was no whole number of spikes, and of layers with weights that are not
        counted.

        Raises:
            ChipflowError: if the model was not called since.
        """
        samples, doubts = self._seen(), self._doubts()
        if doubts and not self._warned:
            self._warned = True
            warnings.warn(" ".join(doubts), stacklevel=2)
        return {name: total.item() / samples for name, total in self._totals.items()}

    def reset_synops(self) -> None:
        """Forget what was counted."""
        self._forget()
        self._warned = False

    def _begin(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        super()._begin(model, args)
        self._running = self._running and not self.paused

    def _doubts(self) -> list[str]:
        """What the numbers do not say."""
        doubts: list[str] = []
        if analog := self._analog_layers():
            doubts.append(
                f"Synaptic operations of {_quoted(analog)}: the input was no whole number of spikes (a constant current, or "
                "what an average pool that is no module has divided), and was counted by its size."
            )
        if self._not_counted:
            doubts.append(f"Synaptic operations of {_quoted(self._not_counted)} are not counted, although there are weights.")
        return doubts


@contextmanager
def uncounted(model: nn.Module) -> Iterator[None]:
    """The counters of a model and of its parts stand still inside of `with`."""
    found = (SynopsCounter.of(module) for module in model.modules())
    running = [counter for counter in found if counter is not None and not counter.paused]
    for counter in running:
        counter.paused = True
    try:
        yield
    finally:
        for counter in running:
            counter.paused = False


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
