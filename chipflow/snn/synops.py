"""Synaptic operations of a network as it runs: forward hooks that follow the spikes to the layers with weights.

A synaptic operation is one spike that arrives at one synapse (see `DEFINITION`). A layer's operations are the spikes at each of its inputs
times the synapses of that input. Spikes are added over time where they come out of neurons, or at the input of the network, and these
small sums are carried on to the layer that reads them:

- An average pool divides spikes by the size of its windows. The sum of the spikes in each window is carried on in place of the average,
  so that it counts what a sum pool would pass on, through several pools and overlapping windows as well.
- Dropout between neurons and a layer is looked through. Flatten, Unflatten, Identity and any view of a tensor carry on what it carries.
- What anything else computes (sums, concatenations, maximum pools, normalisation) is taken for spike counts as it stands.

So an average pool is followed if it is a module; average pools in functions (F.avg_pool2d, mean) are not. What arrives then is no whole number
of spikes, and neither is a constant current. Such values are counted by their size, 0.3 as 0.3 spikes, and the layer is marked as `analog`.

A chip-faithful network counts by itself, and is refused here.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from chipflow.errors import ChipflowError
from chipflow.snn.chip import ChipFaithful
from chipflow.snn.fan_out import Pool, Weighted, exact, fan_out, pooled, sample_axes
from chipflow.snn.pooling import SumPool2d
from chipflow.snn.stateful import StatefulLayer

DEFINITION = (
    "A synaptic operation is one spike that arrives at one synapse: one weight is read and added to one neuron. A synapse is a tap of the kernel "
    "whose neuron lies inside the map, a weight of zero included. Spikes that an average pool divides count as the spikes they were. "
    "Biases, leak and the neurons' own work are not counted."
)

SAME_VALUES = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Modules whose output carries the spikes of their input, in the same order."""


class Spikes(NamedTuple):
    """The spikes behind a tensor.

    Attributes:
        counts: of each value, added over time: [groups, *sample]; a group is a sample, or all of them.
        analog: bool without axes: whether there were values that are no whole numbers; None where there can be none.
    """

    counts: Tensor
    analog: Tensor | None = None


class Place(NamedTuple):
    """Where the values of a tensor lie. The memory is not kept alive, and its address alone would not do: what comes later may have the same.

    Attributes:
        storage: the memory.
        layout: first value, and number of values; of values that do not follow one another also how they lie.
    """

    storage: weakref.ref[torch.UntypedStorage]
    layout: tuple[Any, ...]

    @staticmethod
    def of(tensor: Tensor) -> Place | None:
        """That of a tensor; None where no memory is known: to a compiler, and to transformations such as torch.func.grad."""
        if torch.compiler.is_compiling():
            return None
        try:
            storage = tensor.untyped_storage()
        except NotImplementedError:
            return None
        shape = () if tensor.is_contiguous() else (*tensor.shape, *tensor.stride())
        return Place(weakref.ref(storage), (tensor.storage_offset(), tensor.numel(), *shape))


class SynopsHooks:
    """Hooks on a model that give `count` the spikes and synaptic operations of each layer with weights, whenever one runs.

    Calls of the model that the hooks were attached to are counted; calls of its parts alone are not.

    Attributes:
        axes: samples and time steps of the call in progress; None if not known yet.
    """

    per_sample = False
    """Whether counts have an axis for the samples; otherwise they are added over these, too."""

    def __init__(self) -> None:
        self.axes: tuple[int, int] | None = None
        self._running = False
        self._handles: list[RemovableHandle] = []
        self._carried: list[tuple[Tensor | Place, int, Spikes]] = []

    # --- what becomes of the counts ---

    def begin(self) -> None:
        """A call of the model begins."""

    def end(self) -> None:
        """A call of the model has ended; where it raised an error, this never comes."""

    def count(self, name: str, synops: Tensor, analog: Tensor | None) -> None:
        """A layer with weights has run.

        Args:
            name: of the layer.
            synops: its operations, [groups]; a group is a sample, or all of them.
            analog: see Spikes.
        """
        raise NotImplementedError

    def fired(self, name: str, output: Tensor, counts: Tensor) -> None:
        """A layer of spiking neurons has run.

        Args:
            name: of the layer.
            output: its output.
            counts: the same added over time, [groups, *sample].
        """

    # --- hooks ---

    def _hook(self, model: nn.Module) -> list[RemovableHandle]:
        """Attach everything; bound methods and partials, which become those of the copy where a model is copied."""
        if any(isinstance(module, ChipFaithful) for module in model.modules()):
            raise ChipflowError(
                f"{type(self).__name__}: a chip-faithful network counts by itself: take `.synops`, `.counts` and `.firing_rates()` of its "
                "run(...), and give the sum of its synops to `synops_loss`."
            )
        if not any(isinstance(module, StatefulLayer) for module in model.modules()):
            raise ChipflowError(
                f"{type(self).__name__}: the model ({type(model).__name__}) has no spiking neurons of chipflow. "
                "Give it the spiking model, for example `from_model(...).spiking_model`."
            )
        handles = [model.register_forward_pre_hook(self._begin)]
        for name, module in model.named_modules():
            if isinstance(module, StatefulLayer):
                handles.append(module.register_forward_pre_hook(self._neurons_start))
            if is_spiking(module):
                handles.append(module.register_forward_hook(partial(self._neurons, name)))
            elif isinstance(module, Weighted):
                handles.append(module.register_forward_pre_hook(partial(self._weighted, name), with_kwargs=True))
            elif isinstance(module, Pool):
                handles.append(module.register_forward_hook(partial(self._pool, name)))
            elif isinstance(module, SAME_VALUES):
                handles.append(module.register_forward_hook(self._same_values))
        handles.append(model.register_forward_hook(self._end))
        return handles

    def _unhook(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles, self._running, self._carried = [], False, []

    def _begin(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        self._running = not any(isinstance(value, Tensor) and value.is_meta for value in args)
        self._carried = []
        self.axes = _axes_of_input(model, args)
        self.begin()

    def _end(self, model: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self._running:
            self.end()
        self._running, self._carried = False, []

    def _neurons_start(self, neurons: nn.Module, args: tuple[Any, ...]) -> None:
        """The neurons know best what is batch and what is time."""
        if self._running and args and isinstance(args[0], Tensor) and isinstance(neurons, StatefulLayer):
            self.axes = _axes_of_neurons(neurons, args[0])

    def _neurons(self, name: str, neurons: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not self._running or not isinstance(neurons, StatefulLayer) or not isinstance(output, Tensor):
            return
        sample = tuple(output.shape[1 if _is_merged(neurons) else 2 :])
        counts = self._summed(_at_least_single(self._values(output)), sample, name)
        self._carry(output, Spikes(counts))
        self.fired(name, output, counts)

    def _pool(self, name: str, pool: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not self._running or not args or not isinstance(pool, Pool) or not isinstance(output, Tensor):
            return
        if isinstance(pool, SumPool2d) and self._spikes_behind(args[0]) is None:
            return  # its output is a sum of spikes as it stands
        axes = sample_axes(pool)
        spikes = self._spikes(args[0], axes, name)
        counts = pooled(spikes.counts, pool, tuple(output.shape[output.ndim - axes + 1 :]))
        self._carry(output, spikes._replace(counts=counts))

    def _same_values(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not self._running or not args or not isinstance(output, Tensor):
            return
        spikes = self._spikes_behind(args[0], by_itself=bool(getattr(module, "inplace", False)))
        if spikes is not None:
            self._carry(output, spikes)

    def _weighted(self, name: str, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        input = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        if not self._running or input is None or not isinstance(layer, Weighted):
            return
        counts, analog = self._spikes(input, sample_axes(layer), name)
        synapses = fan_out(layer, counts.shape[1:], counts.device)
        self.count(name, (counts * synapses).flatten(1).sum(1), analog)

    # --- the spikes behind a tensor ---

    def _spikes(self, input: Tensor, axes: int, name: str) -> Spikes:
        """Spikes at the inputs of a layer or pool that takes samples of so many axes."""
        sample = tuple(input.shape[max(input.ndim - axes, 0) :])
        carried = self._spikes_behind(input)
        if carried is not None and axes == 1:  # all inputs of a linear layer have as many synapses, in whatever axes
            return carried._replace(counts=carried.counts.flatten(1))
        if carried is not None and carried.counts[0].numel() == prod(sample):
            return carried._replace(counts=carried.counts.reshape(-1, *sample))
        values = _at_least_single(self._values(input))
        sizes = torch.where(values < 0, -values, values) if values.requires_grad else values.abs()
        return Spikes(self._summed(sizes, sample, name), sizes.detach().frac().amax() > 0)

    def _summed(self, values: Tensor, sample: Sequence[int], name: str) -> Tensor:
        """[..., *sample] added over time, and over the samples unless these are kept: [groups, *sample]."""
        groups = self._groups(values.numel() // max(prod(sample), 1), name)
        return values.reshape(groups, -1, *sample).sum(1).to(exact(values.device))

    def _groups(self, entries: int, name: str) -> int:
        if not self.per_sample:
            return 1
        if self.axes is None or not self.axes[0] or entries % self.axes[0]:
            raise ChipflowError(
                f"{type(self).__name__}: layer '{name}' runs on {entries} entries of batch and time, and which of them belong to one sample "
                "cannot be told. Let the model take one tensor [batch, time, ...]."
            )
        return self.axes[0]

    def _values(self, tensor: Tensor) -> Tensor:
        """What is counted: the values without their graph."""
        return tensor.detach()

    def _carry(self, tensor: Tensor, spikes: Spikes) -> None:
        """Note the spikes behind a tensor, which is not kept alive for that where its memory is known."""
        self._carried.append((Place.of(tensor) or tensor, _version(tensor), spikes))

    def _spikes_behind(self, tensor: Any, *, by_itself: bool = False) -> Spikes | None:
        """The spikes noted for a tensor, or for one of which it is a view, if nothing wrote into it since (unless the layer at hand did)."""
        if not isinstance(tensor, Tensor):
            return None
        place = Place.of(tensor)
        for noted, version, spikes in reversed(self._carried):
            same = noted == place if isinstance(noted, Place) else _is_same(noted, tensor)
            if same and (by_itself or version == _version(tensor)):
                return spikes
        return None

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: nothing of a call in progress."""
        return self.__dict__ | {"_carried": [], "_running": False, "_handles": []}


def is_spiking(module: nn.Module) -> bool:
    """Whether a module is a layer of neurons that gives spikes, rather than potentials."""
    return isinstance(module, StatefulLayer) and getattr(module, "threshold", None) is not None


def weighted_layers(model: nn.Module) -> list[str]:
    """Names of the layers whose synaptic operations are counted."""
    return [name for name, module in model.named_modules() if isinstance(module, Weighted)]


def not_counted(model: nn.Module) -> list[str]:
    """Names of other layers that have matrices or kernels of weights: transposed convolutions, attention, layers of the user's own."""
    counted = tuple(f"{name}." for name in weighted_layers(model))  # what is inside of these computes their weights
    return [
        name
        for name, module in model.named_modules()
        if not isinstance(module, (Weighted, StatefulLayer))
        and not name.startswith(counted)
        and any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    ]


def _is_same(known: Tensor, tensor: Tensor) -> bool:
    """Whether both are one tensor, or views of one with the same order of values: what is known in place of memory."""
    if known is tensor:
        return True
    if known.numel() != tensor.numel() or not (known.is_contiguous() and tensor.is_contiguous()):
        return False
    one = known if known._base is None else known._base
    other = tensor if tensor._base is None else tensor._base
    return one is other and one.numel() == known.numel()


def _version(tensor: Tensor) -> int:
    """How often something wrote into a tensor, where this is known."""
    return 0 if torch.compiler.is_compiling() or tensor.is_inference() else tensor._version


def _at_least_single(values: Tensor) -> Tensor:
    """Halves as float32, in which sums stay whole."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _is_merged(neurons: nn.Module) -> bool:
    return isinstance(neurons, StatefulLayer) and (neurons.num_timesteps is not None or neurons.batch_size is not None)


def _axes_of_neurons(neurons: StatefulLayer, input: Tensor) -> tuple[int, int]:
    """(samples, time steps) of the input of neurons."""
    if neurons.num_timesteps is not None:
        return input.shape[0] // neurons.num_timesteps, neurons.num_timesteps
    if neurons.batch_size is not None:
        return neurons.batch_size, input.shape[0] // neurons.batch_size
    return input.shape[0], input.shape[1]


def _axes_of_input(model: nn.Module, args: tuple[Any, ...]) -> tuple[int, int] | None:
    """(samples, time steps) of a model's input, as far as can be told before its neurons run."""
    neurons = next((module for module in model.modules() if isinstance(module, StatefulLayer)), None)
    if neurons is None or not args or not isinstance(args[0], Tensor) or args[0].ndim < 2:
        return None
    return _axes_of_neurons(neurons, args[0])
