"""A core's layer without its numbers: all that the limits of a core judge, so that they can be asked before there are any weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hwconfig.core_config import Dimensions


class Towards(Protocol):
    """What the limits see of a destination."""

    @property
    def enable(self) -> bool:
        """In use."""
        ...

    @property
    def pooling(self) -> int:
        """Side of the square over which spikes are summed."""
        ...

    @property
    def feature_shift(self) -> int:
        """Added to the feature."""
        ...

    @property
    def where(self) -> str:
        """The target, in words."""
        ...


class Shaped(Protocol):
    """What the limits see of a core: a `CoreConfig`, or a `CoreShape`."""

    @property
    def dimensions(self) -> Dimensions:
        """Shapes of the convolution."""
        ...

    @property
    def destinations(self) -> Sequence[Towards]:
        """All of them, used or not."""
        ...


@dataclass(frozen=True)
class ShapeDestination:
    """A destination before placement, by the name of the user's layer.

    Attributes:
        target: name of the layer that reads the spikes; "" for the readout block.
        pooling: side of the square over which spikes are summed, in pixels.
        feature_shift: added to the feature, for the target.
        enable: in use.
    """

    target: str
    pooling: int = 1
    feature_shift: int = 0
    enable: bool = True

    @property
    def where(self) -> str:
        """The target, in words."""
        return f"layer {self.target!r}" if self.target else "the readout block"


@dataclass(frozen=True)
class CoreShape:
    """A layer before there are weights or a place for it.

    Attributes:
        dimensions: shapes of its convolution.
        destinations: where its spikes go.
    """

    dimensions: Dimensions
    destinations: tuple[ShapeDestination, ...] = ()
