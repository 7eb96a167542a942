"""What a chip is: its cores, memories, limits and errata, read from one TOML file per chip."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hwconfig.errors import ChipFileError, UnknownChipError
from hwconfig.messages import one_line_per_error


class _Description(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CoreSpec(_Description):
    """One core: memory sizes in words, and how fast it is said to be."""

    id: int = Field(ge=0)
    kernel_words: int = Field(ge=0, description="8-bit words for weights")
    neuron_words: int = Field(ge=0, description="16-bit words for membrane potentials")
    bias_words: int = Field(ge=0, description="16-bit words for biases")
    synops_per_second: int = Field(gt=0, description="rated synaptic operations per second (second-hand figure)")
    parallel: bool = Field(default=False, description="one of the cores with parallel computing, meant for input layers")


class Limits(_Description):
    """What any core of the chip accepts, whatever its memories."""

    input_size: int = Field(gt=0, description="largest input map, per axis")
    output_size: int = Field(gt=0, description="largest neuron map before pooling, per axis")
    features: int = Field(gt=0, description="most features, in or out")
    kernel_size: int = Field(gt=0, description="largest kernel side")
    strides: tuple[int, ...] = Field(strict=False)
    padding: int = Field(ge=0, description="largest padding, per axis")
    poolings: tuple[int, ...] = Field(strict=False, description="sum pooling of a destination")
    destinations: int = Field(gt=0, description="most destinations of a core")
    weight_bits: int = Field(gt=1, le=8, description="signed")
    state_bits: int = Field(gt=1, le=16, description="signed: membrane potentials, thresholds, biases")
    decimator_ratios: tuple[int, ...] = Field(strict=False, description="1 of N spikes passes, by interval setting")

    @property
    def weight_range(self) -> tuple[int, int]:
        """Smallest and largest weight."""
        return _signed_range(self.weight_bits)

    @property
    def state_range(self) -> tuple[int, int]:
        """Smallest and largest membrane potential, threshold and bias."""
        return _signed_range(self.state_bits)


class LayerIds(_Description):
    """Addresses that are not cores: destination of the readout block, source id of sensor events."""

    readout: int
    sensor: int


class SensorSpec(_Description):
    """The event sensor: square, `size` pixels per axis."""

    size: int = Field(gt=0)
    poolings: tuple[int, ...] = Field(strict=False)


class ReadoutSpec(_Description):
    """The readout block: how many classes, and which features reach them."""

    classes: int = Field(gt=0)
    feature_stride: int = Field(gt=0, description="feature stride * (n - 1) reaches class n; 1 on chips without the erratum")


class ChipSpec(_Description):
    """A chip as the compiler, the design rules and the emulator see it."""

    name: str
    family: str
    description: str
    devices: tuple[str, ...] = Field(default=(), strict=False)
    limits: Limits
    layers: LayerIds
    sensor: SensorSpec
    readout: ReadoutSpec
    cores: tuple[CoreSpec, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _core_ids_ascend(self) -> ChipSpec:
        ids = [core.id for core in self.cores]
        if ids != sorted(set(ids)):
            raise ValueError(f"core ids must ascend without repeats, found {ids}")
        if {self.layers.readout, self.layers.sensor} & set(ids):
            raise ValueError(f"readout {self.layers.readout} and sensor {self.layers.sensor} must differ from the core ids {ids}")
        return self

    @property
    def core_ids(self) -> tuple[int, ...]:
        """Ids of the cores, ascending."""
        return tuple(core.id for core in self.cores)

    def core(self, core_id: int) -> CoreSpec:
        """The core with this id; KeyError names the ids that exist."""
        for core in self.cores:
            if core.id == core_id:
                return core
        raise KeyError(f"{self.name} has no core {core_id}; its cores are {list(self.core_ids)}")


def _signed_range(bits: int) -> tuple[int, int]:
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def chip_names() -> tuple[str, ...]:
    """Names of the chips that ship with the package, sorted."""
    folder = resources.files("hwconfig") / "chips"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def get_chip(name_or_path: str | Path) -> ChipSpec:
    """The chip of this name, or the one described by the TOML file at this path.

    Raises:
        UnknownChipError: neither a known name nor an existing file; the message lists the names.
        ChipFileError: the file is not a chip description; the message lists what is wrong with each field.
    """
    name = str(name_or_path)
    if name in chip_names():
        return _built_in(name)
    path = Path(name_or_path)
    if not path.is_file():
        raise UnknownChipError(
            f"unknown chip {name!r}: known chips are {', '.join(chip_names())}; or give the path of a chip's TOML file"
        )
    return _parse(path.read_bytes(), str(path))


@cache
def _built_in(name: str) -> ChipSpec:
    return _parse((resources.files("hwconfig") / "chips" / f"{name}.toml").read_bytes(), name)


def _parse(data: bytes, source: str) -> ChipSpec:
    try:
        return ChipSpec.model_validate(tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChipFileError(f"{source}: not a TOML file: {error}") from None
    except ValidationError as error:
        raise ChipFileError(f"{source}: not a chip description:\n{one_line_per_error(error)}") from None


def synthetic_chip(cores: Sequence[tuple[int, int, int]], *, like: str = "speck2f", name: str = "synthetic") -> ChipSpec:
    """A chip that does not exist, for tests and what-if questions.

    Args:
        cores: (kernel, neuron, bias) words of each core, ids counted from 0.
        like: the chip whose limits it shares.
        name: its name.
    """
    model = get_chip(like)
    rate = model.cores[-1].synops_per_second
    specs = tuple(
        CoreSpec(id=i, kernel_words=kernel, neuron_words=neuron, bias_words=bias, synops_per_second=rate)
        for i, (kernel, neuron, bias) in enumerate(cores)
    )
    # Readout and sensor keep clear of the core ids, however many cores there are.
    layers = LayerIds(readout=max(model.layers.readout, len(specs)), sensor=max(model.layers.sensor, len(specs) + 1))
    return ChipSpec.model_validate(
        dict(model, name=name, description=f"synthetic chip with {len(specs)} cores", devices=(), cores=specs, layers=layers)
    )
