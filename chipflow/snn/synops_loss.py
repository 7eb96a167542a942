"""A loss that keeps the number of synaptic operations of a network near a target."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chipflow.errors import ChipflowError
from chipflow.snn.stateful import spiking_part
from chipflow.snn.synops_watch import SynopsWatch


def synops_loss(synops: Tensor, target: float, *, only_above: bool = False) -> Tensor:
    """How far the synaptic operations are from a target: ((mean over samples) / target - 1) ** 2.

    The form of Sorbaro et al. 2020, "Optimizing the energy consumption of spiking neural networks for neuromorphic applications": relative to the
    target, so that its weight beside another loss does not depend on the size of the network.

    Args:
        synops: synaptic operations per sample [batch], with graph, of a layer or of all together: those of a `SynopsLoss`, or the sum over
            the layers of a `ChipRun`.
        target: synaptic operations per sample, above 0.
        only_above: whether fewer operations than the target are as good as the target.

    Returns:
        The loss, without axes, of torch's default dtype.

    Raises:
        ChipflowError: for a target that is not above 0.
    """
    if not target > 0:
        raise ChipflowError(f"synops_loss: target is {target}, it must be above 0 (synaptic operations per sample).")
    excess = synops.mean() / target - 1
    if only_above:
        excess = excess.clamp(min=0)
    return excess.square().to(torch.get_default_dtype())


class SynopsLoss(SynopsWatch):
    """Collects the synaptic operations of a model as it runs, with their graph, and makes a loss of them.

        with SynopsLoss(network, target=200_000) as synops_loss:
            for raster, label in batches:
                network.reset_states()
                output = network(raster)
                loss = cross_entropy(output.sum(1), label) + 0.5 * synops_loss()
                loss.backward()
                ...

    The gradient is that of activity times fan-out: every spike costs the synapses that it reaches, through the surrogate gradient of its
    neurons. What the network's input costs is part of the number, and has no gradient. What is counted is said in `chipflow.snn.synops`.
    The graph of a call is let go when the next one begins, and at the end of `with`.

    Args:
        model: a network from `from_model`, or any module that holds neurons of chipflow; takes [batch, time, ...], or merged axes where the
            neurons know the number of samples or time steps.
        target: synaptic operations per sample, all layers together.
        relative: whether `target` is a share of what the first call counts, 0.5 for half as many. Calls without any operations are passed over.
        only_above: whether fewer operations than the target are as good as the target.

    Attributes:
        synops: of the last call: synaptic operations [batch] by layer, with graph. For a target of a layer's own, give `synops_loss` its entry.

    Raises:
        ChipflowError: for a model without neurons of chipflow, a `ChipFaithful`, a target that is not above 0, or input whose samples cannot be
            told apart.
    """

    per_sample = True

    def __init__(self, model: nn.Module, target: float, *, relative: bool = False, only_above: bool = False) -> None:
        super().__init__()
        if not target > 0:
            what = "a share of the first call's" if relative else "a number of"
            raise ChipflowError(f"SynopsLoss: target is {target}, it must be above 0 ({what} synaptic operations per sample).")
        self.model = spiking_part(model)
        self.target = target
        self.relative = relative
        self.only_above = only_above
        self.synops: dict[str, Tensor] = {}
        self._now: dict[str, Tensor] = {}
        self._first = 0.0  # synaptic operations per sample

    def stop(self) -> None:
        """Remove all hooks, and let go of the graph of the last call."""
        super().stop()
        self.begin()

    def __call__(self) -> Tensor:
        """The loss of the last call of the model, without axes.

        Raises:
            ChipflowError: if there was none, or a relative target has no call with operations yet.
        """
        total = self.total
        self._first = self._first or float(total.detach().mean())
        return synops_loss(total, self.target_synops, only_above=self.only_above)

    @property
    def total(self) -> Tensor:
        """Synaptic operations [batch] of all layers in the last call, with graph."""
        if not self.synops:
            raise ChipflowError("SynopsLoss: there was no call of the model inside of `with` yet, or the last one failed.")
        return torch.stack(list(self.synops.values())).sum(0)

    @property
    def target_synops(self) -> float:
        """The target as a number of synaptic operations per sample.

        Raises:
            ChipflowError: if it is relative, and the loss was not called yet for a call with operations.
        """
        if not self.relative:
            return self.target
        if not self._first:
            raise ChipflowError(
                "SynopsLoss: the target is a share of the synaptic operations of the first call that has any, and there was none yet: "
                "give an absolute target."
            )
        return self.target * self._first

    # --- calls of the model ---

    def begin(self) -> None:
        """Let go of the graph of the call before."""
        self.synops, self._now = {}, {}

    def count(self, name: str, synops: Tensor, analog: Tensor | None) -> None:
        """Keep a layer's operations."""
        self._now[name] = self._now[name] + synops if name in self._now else synops

    def end(self) -> None:
        """They are complete."""
        self.synops, self._now = self._now, {}

    def _values(self, tensor: Tensor) -> Tensor:
        """With graph."""
        return tensor
