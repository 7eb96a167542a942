"""Membrane potentials of a layer, and of the cores that compute it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from chipflow.backends.base import Runnable
from chipflow.backends.layers import cores_of
from chipflow.errors import DeviceError

States = npt.NDArray[np.int16]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class LayerStates:
    """Where the potentials of a layer are.

    Attributes:
        layer: its name, or a core's id, which means all of the core's features.
        kept: cores in the order of the layer's features, each with those of its features that are the layer's.
        shape: (features, y, x) of the layer.
    """

    layer: str | int
    kept: Mapping[int, slice]
    shape: Shape

    @staticmethod
    def of(runnable: Runnable, layer: str | int) -> LayerStates:
        """Of a program's layer, which may be split over several cores.

        Raises:
            DeviceError: no such layer.
        """
        cores = cores_of(runnable, layer, "find the states of")
        shapes = {core: runnable.config.core(core).dimensions.output_shape for core in cores}
        parts = runnable.parts.get(layer, ()) if isinstance(layer, str) else ()
        kept = {part.core: part.kept(shapes[part.core][0]) for part in parts} or dict.fromkeys(cores, slice(None))
        features = sum(len(range(shapes[core][0])[mine]) for core, mine in kept.items())
        return LayerStates(layer, kept, (features, *shapes[cores[0]][1:]))

    def joined(self, states: Mapping[int, States]) -> States:
        """The layer's potentials, int16 [feature, y, x], from those of its cores."""
        return np.concatenate([states[core][mine] for core, mine in self.kept.items()])

    def split(self, states: npt.ArrayLike, before: Mapping[int, States]) -> dict[int, States]:
        """The potentials of the layer's cores, int16 [feature, y, x].

        Args:
            states: the layer's, integers of its shape, in the int16 range.
            before: those of the cores, whose features that are none of the layer's stay as they are.

        Raises:
            DeviceError: wrong shape, dtype or range.
        """
        checked = self._checked(states)
        found = {core: before[core].copy() for core in self.kept}
        ends = np.cumsum([0, *(len(found[core][mine]) for core, mine in self.kept.items())])
        for (core, mine), (first, end) in zip(self.kept.items(), pairwise(ends), strict=True):
            found[core][mine] = checked[first:end]
        return found

    def _checked(self, states: npt.ArrayLike) -> States:
        array = np.asarray(states)
        if array.shape != self.shape or array.dtype.kind not in "iu":
            raise DeviceError(f"states of {self.layer!r} are integers of shape {self.shape}, found {array.dtype} {array.shape}")
        bounds = np.iinfo(np.int16)
        if array.size and (int(array.min()) < bounds.min or int(array.max()) > bounds.max):
            raise DeviceError(
                f"states of {self.layer!r} must be in {bounds.min}..{bounds.max}, found {int(array.min())}..{int(array.max())}"
            )
        return array.astype(np.int16)
