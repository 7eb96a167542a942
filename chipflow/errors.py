"""Errors of chipflow. All of them are about what a caller gave, and say what to change.

hwconfig.errors.DeploymentError (ValueError)
└── ChipflowError
    ├── EventError                    events refused: fields, order, outside the map (`.index`), unreadable file
    ├── EmulatorError                 the emulator cannot do what it was asked
    │   ├── UnsupportedConfigError    a configuration that uses what the emulator does not model yet
    │   └── StrictModeError           a number left its range during a strict run (`.layer`, `.neuron`, `.time`)
    ├── CompileError                  a model cannot become a configuration
    │   ├── UnsupportedModelError     a layer that has no counterpart on a core
    │   ├── QuantizationError         a layer that cannot be expressed in the chip's integers
    │   └── MappingError              layers that do not fit the cores
    ├── ProgramFileError              not a program file: truncated, foreign, of a newer version
    └── DeviceError                   a device that does not exist, cannot be opened, or does not answer
"""

from __future__ import annotations

from hwconfig.errors import DeploymentError


class ChipflowError(DeploymentError):
    """Root of chipflow's own errors."""


class EventError(ChipflowError):
    """Events that cannot be used.

    Attributes:
        index: the first offending event, or None where the whole array or file is at fault.
    """

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class EmulatorError(ChipflowError):
    """The emulator cannot do what it was asked."""


class UnsupportedConfigError(EmulatorError):
    """A configuration that uses a feature which the emulator does not model yet."""


class StrictModeError(EmulatorError):
    """A value left its range during a strict run.

    Attributes:
        layer: id of the core.
        neuron: (feature, y, x).
        time: of the event or clock tick, in microseconds.
        what: which limit was passed.
    """

    def __init__(self, layer: int, neuron: tuple[int, int, int], time: int, what: str) -> None:
        super().__init__(layer, neuron, time, what)  # the plain arguments, so that the error can be pickled
        self.layer, self.neuron, self.time, self.what = layer, neuron, time, what

    def __str__(self) -> str:
        return (
            f"core {self.layer}, neuron (feature, y, x) = {self.neuron}, t = {self.time} us: {self.what}; "
            "scale weights and thresholds down, or use strict=False, which only counts it"
        )


class CompileError(ChipflowError):
    """A model that cannot become a configuration."""


class UnsupportedModelError(CompileError):
    """A model with layers that have no counterpart on a core."""


class QuantizationError(CompileError):
    """A layer that cannot be expressed in the chip's integers."""


class MappingError(CompileError):
    """Layers that do not fit the cores."""


class ProgramFileError(ChipflowError):
    """A file that is not a readable program."""


class DeviceError(ChipflowError):
    """A device that does not exist, cannot be opened, or does not answer."""
