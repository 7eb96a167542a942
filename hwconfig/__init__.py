"""What a DYNAP-CNN style chip is, and what a configuration of it may hold. Needs numpy and pydantic only."""

from hwconfig.chip import ChipSpec, CoreSpec, chip_names, get_chip, synthetic_chip
from hwconfig.config import ChipConfig, CoreConfig, Destination, Dimensions, DvsLayerConfig, ReadoutConfig
from hwconfig.errors import (
    ChipFileError,
    ConfigFileError,
    DeploymentError,
    DesignRuleError,
    EditedConfigError,
    HwconfigError,
    UnknownChipError,
)
from hwconfig.memory import MemoryNeed
from hwconfig.rules import RULES, check, check_core
from hwconfig.violations import Report, Violation

__all__ = [
    "RULES",
    "ChipConfig",
    "ChipFileError",
    "ChipSpec",
    "ConfigFileError",
    "CoreConfig",
    "CoreSpec",
    "DeploymentError",
    "DesignRuleError",
    "Destination",
    "Dimensions",
    "DvsLayerConfig",
    "EditedConfigError",
    "HwconfigError",
    "MemoryNeed",
    "ReadoutConfig",
    "Report",
    "UnknownChipError",
    "Violation",
    "check",
    "check_core",
    "chip_names",
    "get_chip",
    "synthetic_chip",
]
