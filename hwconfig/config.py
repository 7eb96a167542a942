"""A chip's configuration: what is written into its registers and memories, named as the vendor names it.

Shapes are (features, y, x), pairs are (y, x). Arrays are integers. Out-of-range values can be held, so that the design
rules (`hwconfig.rules`) can name every one of them; only what could not be read as a configuration at all is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationInfo, field_serializer, field_validator

from hwconfig.chip import ChipSpec
from hwconfig.chip_files import chip_names, get_chip
from hwconfig.core_config import CoreConfig
from hwconfig.factory_config import FactoryConfig
from hwconfig.parts import ConfigPart, CoreId, FrozenDict, Label
from hwconfig.provenance import Provenance
from hwconfig.readout_config import ReadoutConfig
from hwconfig.sensor_config import DvsFilterConfig, DvsLayerConfig

if TYPE_CHECKING:
    from hwconfig.violations import Report


class ChipConfig(ConfigPart):
    """A whole chip. Build by keyword, read with `core(i)`, judge with `violations()`, write with `save(path)`."""

    chip: ChipSpec = Field(description="a known chip's name, a TOML path, or a ChipSpec")
    cnn_layers: dict[CoreId, CoreConfig] = Field(
        default_factory=lambda: FrozenDict({}), strict=False, description="the configured cores by id; all others stay unused"
    )
    dvs_layer: DvsLayerConfig = Field(
        default_factory=DvsLayerConfig, validate_default=True, description="the sensor's pre-processing"
    )
    dvs_filter: DvsFilterConfig = Field(default_factory=DvsFilterConfig, description="the sensor's event filter")
    readout: ReadoutConfig = Field(default_factory=ReadoutConfig, description="the readout block")
    factory_config: FactoryConfig = Field(default_factory=FactoryConfig, description="factory settings")
    suppressed_rules: dict[Label, Label] = Field(
        default_factory=lambda: FrozenDict({}), description="design rules that do not count here, each with the reason"
    )
    provenance: Provenance = Field(default_factory=Provenance, description="where it came from; no part of hash or equality")

    @field_validator("chip", mode="before")
    @classmethod
    def _find_chip(cls, value: Any) -> Any:
        return get_chip(value) if isinstance(value, str | Path) else value

    @field_serializer("chip")
    def _name_known_chip(self, chip: ChipSpec) -> Any:
        known = chip.name in chip_names() and get_chip(chip.name) == chip
        return chip.name if known else chip.model_dump(mode="json")

    @field_validator("cnn_layers")
    @classmethod
    def _freeze_cores(cls, value: dict[int, CoreConfig]) -> dict[int, CoreConfig]:
        return FrozenDict(value)

    @field_validator("dvs_layer")
    @classmethod
    def _spell_out_cut(cls, value: DvsLayerConfig, info: ValidationInfo) -> DvsLayerConfig:
        """The chip knows no "to the end": from here on the last pixel is a number."""
        chip = info.data.get("chip")
        return value if value.cut or chip is None else value.with_changes(cut=value.last_pixel(chip.sensor.size))

    @field_validator("suppressed_rules")
    @classmethod
    def _with_reasons(cls, value: dict[str, str]) -> dict[str, str]:
        unexplained = [rule for rule, reason in value.items() if not reason.strip()]
        if unexplained:
            raise ValueError(f"say why {', '.join(unexplained)} is suppressed: the reason goes into the file")
        return FrozenDict(value)

    @classmethod
    def _compared(cls) -> tuple[str, ...]:
        return tuple(name for name in cls.model_fields if name != "provenance")

    @property
    def active_cores(self) -> tuple[int, ...]:
        """Ids of the configured cores, ascending."""
        return tuple(self.cnn_layers)

    @property
    def layer_names(self) -> dict[int, str]:
        """Core id -> name of the user's layer, for the cores that have one."""
        return {core_id: core.layer_name for core_id, core in self.cnn_layers.items() if core.layer_name}

    def core(self, core_id: int) -> CoreConfig:
        """The configuration of one core; KeyError names the cores there are."""
        if core_id not in self.cnn_layers:
            raise KeyError(
                f"core {core_id} is not configured; configured cores are {list(self.cnn_layers)}, with_core({core_id}, CoreConfig(...)) adds it"
            )
        return self.cnn_layers[core_id]

    def with_core(self, core_id: int, core: CoreConfig | None = None, **changes: Any) -> ChipConfig:
        """A copy in which one core is `core`, or is there with some of its fields replaced.

        Raises:
            KeyError: no `core` is given and none is configured there; it names the cores there are.
            InvalidConfigError: fields that cannot be.
        """
        placed = (self.core(core_id) if core is None else core).with_changes(**changes)
        return self.with_changes(cnn_layers=self.cnn_layers | {core_id: placed})

    def with_suppressed_rule(self, rule: str, reason: str) -> ChipConfig:
        """A copy in which violations of this design rule do not count; rule and reason go into the file and the hash."""
        return self.with_changes(suppressed_rules=self.suppressed_rules | {rule: reason})

    def violations(self, *, slow_clock_period_us: int | None = None, entries: Sequence[int] | None = None) -> Report:
        """Every design rule that this configuration breaks; the arguments are those of `hwconfig.check`."""
        from hwconfig.rules import check

        return check(self, slow_clock_period_us=slow_clock_period_us, entries=entries)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the contents, whatever their spelling in a file; provenance does not count."""
        from hwconfig.files import content_hash

        return content_hash(self)

    def to_json(self, *, readable: bool = False) -> str:
        """The file format: schema version, hash, contents. Arrays compact, or nested lists if `readable`."""
        from hwconfig.files import to_json

        return to_json(self, readable=readable)

    @staticmethod
    def from_json(text: str, *, accept_edit: bool = False) -> ChipConfig:
        """What `to_json` wrote, also in an older schema version.

        Args:
            text: of the file.
            accept_edit: read contents that do not match the stated hash, too.

        Raises:
            ConfigFileError: truncated, foreign, of a newer schema, or with wrong fields.
            EditedConfigError: the contents do not match the hash that the text states.
        """
        from hwconfig.files import from_json

        return from_json(text, accept_edit=accept_edit)

    def save(self, path: str | Path, *, readable: bool = False) -> None:
        """Writes `to_json` into a file, beside it first, then renamed: never half a file."""
        from hwconfig.files import write_text

        write_text(path, self.to_json(readable=readable))

    @staticmethod
    def load(path: str | Path, *, accept_edit: bool = False) -> ChipConfig:
        """The configuration in a file; raises what `from_json` raises, with the path, also for a file that is not there."""
        from hwconfig.files import load

        return load(path, accept_edit=accept_edit)

    def __repr__(self) -> str:
        return f"ChipConfig({self.chip.name}, cores {list(self.cnn_layers)}, {self.hash[:15]})"
