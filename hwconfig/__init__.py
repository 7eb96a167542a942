"""What a DYNAP-CNN style chip is, and what a configuration of it may hold. Needs numpy and pydantic only.

What few programs need is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwconfig.chip import ChipSpec, CoreSpec, DeviceSpec, Features, LayerIds, Limits, ReadoutSpec, SensorSpec, VendorSpec
from hwconfig.chip_files import chip_names, get_chip, synthetic_chip
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig, Dimensions
from hwconfig.destinations import Destination, DvsDestination
from hwconfig.errata import ERRATA, Erratum
from hwconfig.errors import (
    AddressError,
    ChipFileError,
    ConfigFileError,
    DeploymentError,
    DesignRuleError,
    EditedConfigError,
    HwconfigError,
    InvalidConfigError,
    UnknownChipError,
    VendorError,
)
from hwconfig.factory_config import FactoryConfig, FactoryCore, FactoryDvsFilter, FactoryDvsLayer, MemoryTiming
from hwconfig.memory import MemoryNeed, memory_need, most_features, neuron_address, neuron_position
from hwconfig.provenance import Provenance
from hwconfig.readout_config import ReadoutConfig
from hwconfig.rules import RULES, Rule, check, check_core, check_sensor_targets, check_shape
from hwconfig.sensor_config import DvsFilterConfig, DvsLayerConfig
from hwconfig.shapes import CoreShape, ShapeDestination
from hwconfig.violations import Report, Violation

if TYPE_CHECKING:
    from hwconfig.diff import ConfigDiff, Difference, diff_configs
    from hwconfig.schema import json_schema
    from hwconfig.vendor import from_vendor, to_vendor

_LATER = {
    "ConfigDiff": "hwconfig.diff",
    "Difference": "hwconfig.diff",
    "diff_configs": "hwconfig.diff",
    "from_vendor": "hwconfig.vendor",
    "json_schema": "hwconfig.schema",
    "to_vendor": "hwconfig.vendor",
}

__all__ = [
    "ERRATA",
    "RULES",
    "AddressError",
    "ChipConfig",
    "ChipFileError",
    "ChipSpec",
    "ConfigDiff",
    "ConfigFileError",
    "CoreConfig",
    "CoreShape",
    "CoreSpec",
    "DeploymentError",
    "DesignRuleError",
    "Destination",
    "DeviceSpec",
    "Difference",
    "Dimensions",
    "DvsDestination",
    "DvsFilterConfig",
    "DvsLayerConfig",
    "EditedConfigError",
    "Erratum",
    "FactoryConfig",
    "FactoryCore",
    "FactoryDvsFilter",
    "FactoryDvsLayer",
    "Features",
    "HwconfigError",
    "InvalidConfigError",
    "LayerIds",
    "Limits",
    "MemoryNeed",
    "MemoryTiming",
    "Provenance",
    "ReadoutConfig",
    "ReadoutSpec",
    "Report",
    "Rule",
    "SensorSpec",
    "ShapeDestination",
    "UnknownChipError",
    "VendorError",
    "VendorSpec",
    "Violation",
    "check",
    "check_core",
    "check_sensor_targets",
    "check_shape",
    "chip_names",
    "diff_configs",
    "from_vendor",
    "get_chip",
    "json_schema",
    "memory_need",
    "most_features",
    "neuron_address",
    "neuron_position",
    "synthetic_chip",
    "to_vendor",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'hwconfig' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
