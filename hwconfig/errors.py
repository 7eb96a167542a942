"""Errors of this package, and the root that chipflow's errors share.

DeploymentError (ValueError)          root of everything either package raises about bad input
└── HwconfigError
    ├── UnknownChipError              no chip of that name, no TOML at that path
    ├── ChipFileError                 a chip's TOML that cannot be read
    ├── ConfigFileError               not a configuration: truncated, foreign, of a newer schema, wrong fields
    │   └── EditedConfigError         well-formed, but the contents no longer match the stated hash
    ├── InvalidConfigError            fields that no configuration can have: of a wrong type, misspelt, missing
    ├── DesignRuleError               a configuration that breaks design rules; `.report` holds all of them
    ├── AddressError                  a neuron without an address, or an address without a neuron
    └── VendorError                   the vendor's object cannot hold a configuration, or holds what no configuration can
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwconfig.violations import Report


class DeploymentError(ValueError):
    """Root of all errors about bad input, in hwconfig and in chipflow."""


class HwconfigError(DeploymentError):
    """Root of hwconfig's own errors."""


class UnknownChipError(HwconfigError):
    """No chip description of that name or at that path."""


class ChipFileError(HwconfigError):
    """A chip description (TOML) that cannot be read or has wrong fields."""


class ConfigFileError(HwconfigError):
    """A text or file that is not a readable configuration."""


class EditedConfigError(ConfigFileError):
    """A configuration whose contents do not match the hash it states."""


class InvalidConfigError(HwconfigError):
    """Fields that cannot be part of any configuration: wrong types, names that do not exist, values missing; all of them."""


class DesignRuleError(HwconfigError):
    """A configuration that breaks design rules.

    Attributes:
        report: every violation found, not only the first.
    """

    def __init__(self, report: Report, intro: str = "the configuration breaks design rules") -> None:
        super().__init__(f"{intro}:\n{report}")
        self.report = report


class AddressError(HwconfigError):
    """A neuron whose address does not exist or is not known, or an address that belongs to no neuron."""


class VendorError(HwconfigError):
    """The vendor's object has no place for what a configuration says, or says what a configuration has no place for."""
