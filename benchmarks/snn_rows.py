"""One step of training of the tutorial's row-by-row MNIST network through time, with the neurons of chipflow and of sinabs.

The rows are made up: all operations are dense, and take as long for one image as for another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

SIZES = (28, 128, 128, 256, 256, 10)
STEPS = 28
SPIKE_SHARE = 0.13  # the mean intensity of MNIST
WITHOUT = "ReLU, no neurons"


@dataclass(frozen=True)
class Trainer:
    """A network that is being trained.

    Attributes:
        model: with the parameters that learn.
        run: rows [batch, time, 28] to spikes [batch, time, 10].
        reset: forgets the states.
        optimiser: of the parameters.
    """

    model: nn.Module
    run: Callable[[Tensor], Tensor]
    reset: Callable[[], object]
    optimiser: Optimizer

    def step(self, rows: Tensor, labels: Tensor) -> Tensor:
        """The loss on one batch, from which the weights learn: the tutorial's loop, once."""
        from torch.nn.functional import cross_entropy

        self.optimiser.zero_grad()
        self.reset()
        loss = cross_entropy(self.run(rows).sum(1), labels)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def gradients(self) -> Tensor:
        """Of all weights and biases in a row, after a step; a parameter that does not learn has none."""
        import torch

        return torch.cat([one.grad.flatten() for one in self.model.parameters() if one.grad is not None])


def make_batch(batch: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows [batch, time, 28] of 0 and 1 as float32, and labels."""
    import torch

    random = torch.Generator().manual_seed(seed)
    rows = torch.rand(batch, STEPS, SIZES[0], generator=random) < SPIKE_SHARE
    return rows.float(), torch.randint(SIZES[-1], (batch,), generator=random)


def _chipflow(batch: int) -> Trainer:
    """In the calls of the tutorial."""
    import chipflow

    network = chipflow.from_model(_ann(), batch_size=batch)
    return _trainer(network.spiking_model, network.spiking_model, network.reset_states)


def _sinabs(batch: int) -> Trainer:
    """The same in the form that sinabs takes today: batch and time are merged, without a copy."""
    from sinabs.from_torch import from_model

    network = from_model(_ann(), batch_size=batch)
    model = network.spiking_model
    return _trainer(model, lambda rows: model(rows.flatten(0, 1)).unflatten(0, (batch, STEPS)), network.reset_states)


def _without(batch: int) -> Trainer:
    """What the linear layers and the optimiser take alone: no library of neurons can be faster."""
    ann = _ann()
    return _trainer(ann, ann, lambda: None)


TRAINERS: dict[str, Callable[[int], Trainer]] = {"chipflow": _chipflow, "sinabs": _sinabs, WITHOUT: _without}


def _trainer(model: nn.Module, run: Callable[[Tensor], Tensor], reset: Callable[[], object]) -> Trainer:
    import torch

    return Trainer(model, run, reset, torch.optim.Adam(model.parameters()))


def _ann() -> nn.Module:
    """With weights that keep all layers active: the ones that torch begins with leave the last neurons silent until they learn."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    ann = nn.Sequential(*(layer for size in pairwise(SIZES) for layer in (nn.Linear(*size), nn.ReLU())))
    for layer in ann:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    return ann
