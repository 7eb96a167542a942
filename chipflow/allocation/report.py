"""Why there is no placement, and what would help: for machines (JSON) and for the message."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
StopReason = Literal["solved", "proven impossible", "budget spent"]
Shape = tuple[int, int, int]
LeverKind = Literal[
    "split", "unpin", "chip", "features", "bias", "kernel", "padding", "stride", "pooling", "crop", "leave_out", "relay"
]


class Record(BaseModel):
    """Frozen, without fields that do not exist."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(Record):
    """Words of each memory."""

    kernel: int
    neuron: int
    bias: int


class CoreKind(Record):
    """Cores with the same memories."""

    cores: tuple[int, ...] = Field(description="ids")
    capacity: Words


class Fit(Record):
    """One layer on cores of one kind."""

    kind: int = Field(description="index into the report's `kinds`")
    overflow: dict[str, int] = Field(
        description="memory that is too small -> words that are missing; nothing where the layer fits"
    )
    most_features: int = Field(description="of this layer, that such a core could hold; at most all of them")


class LayerNeed(Record):
    """What a layer needs, and what the cores have for it."""

    layer: str
    input_shape: Shape
    output_shape: Shape = Field(description="of the neuron map, before pooling")
    need: Words
    cores: tuple[int, ...] = Field(description="ids of those that hold the whole layer")
    fits: tuple[Fit, ...] = Field(
        description="one for each kind of core; left out for layers that are not involved, where the network is very large"
    )


class LimitBroken(Record):
    """What no core of the chip could meet."""

    rule: str = Field(description="name of the design rule")
    layer: str = Field(description="empty for the sensor")
    problem: str
    fix: str
    found: int | None
    allowed: int | None
    unit: str


class FanOut(Record):
    """A source that needs more destinations than there are."""

    source: str = Field(description="the layer; empty for the sensor")
    targets: tuple[str, ...] = Field(description="the layers that read it")
    needed: int
    allowed: int


class Competing(Record):
    """A smallest set of layers that together have too few cores; in a network so large that not all sets could be looked at, a set of
    which no layer can be left out."""

    layers: tuple[str, ...]
    cores: tuple[int, ...] = Field(description="ids of all cores that hold any of these layers whole")
    smallest: bool = Field(description="whether no smaller set exists")


class Unsplit(Record):
    """Why a layer that fits no core could not be split."""

    layer: str
    reason: str
    hopeless: bool = Field(description="whether it could not be split even if all cores were free for it")


class Pin(Record):
    """A pin that is involved."""

    layer: str
    cores: tuple[int, ...]


class Lever(Record):
    """A change that helps."""

    kind: LeverKind
    layer: str = Field(description="empty where the change is not to one layer")
    value: int | tuple[int, int] | str | None = Field(
        description="features, kernel, pooling; (y, x) of stride, padding or the cropped input; the chip's name; how many copies"
    )
    words: str = Field(description="what to do")
    effect: str = Field(description="what it changes")
    before: Words | None = Field(default=None, description="the layer's need now")
    after: Words | None = Field(default=None, description="its need then")
    cores: tuple[int, ...] = Field(default=(), description="ids of the cores that hold the layer whole then")
    sufficient: bool = Field(description="whether the network has a placement then, by running the allocation again")


class MappingReport(Record):
    """Why there is no placement, and what would help."""

    schema_version: int = SCHEMA_VERSION
    headline: str = Field(description="first line of the message")
    chip: str
    stop: StopReason
    kinds: tuple[CoreKind, ...]
    layers: tuple[LayerNeed, ...]
    limits: tuple[LimitBroken, ...] = ()
    fan_out: tuple[FanOut, ...] = ()
    competing: Competing | None = None
    unsplit: tuple[Unsplit, ...] = ()
    pins: tuple[Pin, ...] = ()
    levers: tuple[Lever, ...] = Field(default=(), description="sufficient ones first, then those that change the network least")
    together: tuple[Lever, ...] = Field(
        default=(),
        description="where no lever is sufficient alone: some that are, made one after the other; each counts from the one before",
    )
