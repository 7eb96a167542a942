"""Where spikes and sensor events go."""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field

from hwconfig.parts import ConfigPart, Flag, Integer

SomeTarget = TypeVar("SomeTarget", bound="Target")


class Target(ConfigPart):
    """What both kinds of destinations have."""

    layer: Integer = Field(description="id of the target core; from a core also that of the readout block")
    enable: Flag = Field(default=True, description="in use")


class DvsDestination(Target):
    """Where sensor events go: to core `layer`, neither pooled nor shifted."""


class Destination(Target):
    """Where a core's spikes go: coordinates // pooling, feature + feature_shift, into core `layer`."""

    pooling: Integer = Field(default=1, description="side of the square over which spikes are summed, in pixels")
    feature_shift: Integer = Field(default=0, description="added to the feature, for the target")

    @property
    def where(self) -> str:
        """The target, in words."""
        return f"core {self.layer}"


def enabled(destinations: tuple[SomeTarget, ...]) -> tuple[SomeTarget, ...]:
    """Those in use, in index order."""
    return tuple(destination for destination in destinations if destination.enable)


def without_unused(destinations: tuple[SomeTarget, ...]) -> tuple[SomeTarget, ...]:
    """The chip has a fixed number of destinations: those at the end that were left as they are say nothing."""
    used = len(destinations)
    while used and destinations[used - 1] == type(destinations[used - 1])(layer=0, enable=False):
        used -= 1
    return destinations[:used]
