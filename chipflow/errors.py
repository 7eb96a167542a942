"""Errors of chipflow. All of them are about what a caller gave, and say what to change.

hwconfig.errors.DeploymentError (ValueError)
└── ChipflowError
    ├── EventError                    events refused: fields, order, outside the map (`.index`), unreadable file
    │   └── EventFileError            a file of events that is damaged or cannot be read here (`.path`, `.read`)
    ├── EmulatorError                 the emulator cannot do what it was asked
    │   ├── UnsupportedConfigError    a configuration that uses what the emulator does not model yet
    │   ├── StrictModeError           a number left its range during a strict run (`.layer`, `.neuron`, `.time`)
    │   └── OverloadError             a core was asked for more than its rating, and that was to be an error (`.layer`, `.load`)
    ├── CompileError                  a model cannot become a configuration
    │   ├── UnsupportedModelError     a layer that has no counterpart on a core
    │   ├── QuantizationError         a layer that cannot be expressed in the chip's integers
    │   └── MappingError              layers that do not fit the cores (`.report`)
    ├── ProgramFileError              not a program file: truncated, foreign, of a newer version
    ├── BundleError                   not a replay bundle, or a run that cannot become one
    └── DeviceError                   a device that does not exist, cannot be opened, or does not answer
        ├── DeviceBusyError           held by another process or thread
        ├── DeviceLostError           a board that went away (`.result`)
        ├── DeviceTimeoutError        a run that did not finish in time (`.missing`, `.result`)
        └── VendorPackageError        the vendor's package is missing, a stub, or too old
"""

from __future__ import annotations

from typing import Any

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


class EventFileError(EventError):
    """A file of events that is damaged, or whose format cannot be read here.

    Attributes:
        path: the file.
        read: events before the damage, which can be had with `on_damage="keep"`.
    """

    def __init__(self, message: str, path: str = "", read: int = 0, index: int | None = None) -> None:
        super().__init__(message, index)
        self.path, self.read = path, read


def core_named(core: int, name: str) -> str:
    """A core in messages, with the user's name of its layer."""
    return f"core {core} ({name})" if name else f"core {core}"


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
        name: the user's name of the layer; "" where it has none.
    """

    CLIPPED = "the membrane potential was clipped at {}; scale weights and thresholds down"
    NO_CLASS = (
        "the spike reached the readout block, where no class counts its feature; "
        "give the last layer a feature for every class's address"
    )

    def __init__(self, layer: int, neuron: tuple[int, int, int], time: int, what: str, name: str = "") -> None:
        super().__init__(layer, neuron, time, what, name)  # the plain arguments, so that the error can be pickled
        self.layer, self.neuron, self.time, self.what, self.name = layer, neuron, time, what, name

    def __str__(self) -> str:
        place = f"{core_named(self.layer, self.name)}, neuron (feature, y, x) = {self.neuron}, t = {self.time} us"
        return f"{place}: {self.what}, or use strict=False, which only counts it"


class OverloadError(EmulatorError):
    """A core was asked for more operations per second than its rating.

    Attributes:
        layer: id of the core.
        load: the estimate, a `chipflow.events.CoreLoad`.
        result: the run's `chipflow.events.RunResult`, which is complete.
        name: the user's name of the layer; "" where it has none.
    """

    def __init__(self, layer: int, load: object, result: object = None, name: str = "") -> None:
        super().__init__(layer, load, result, name)
        self.layer, self.load, self.result, self.name = layer, load, result, name

    def __str__(self) -> str:
        return (
            f"{core_named(self.layer, self.name)} is overloaded: {self.load}; give it less to do, another core or more time, correct the rating in the "
            'chip\'s description, or use on_overload="warn"'
        )


class CompileError(ChipflowError):
    """A model that cannot become a configuration."""


class UnsupportedModelError(CompileError):
    """A model with layers that have no counterpart on a core."""


class QuantizationError(CompileError):
    """A layer that cannot be expressed in the chip's integers."""


class MappingError(CompileError):
    """Layers that do not fit the cores.

    Attributes:
        report: why, and what would help: a `chipflow.allocation.MappingReport`, whose headline is the message's first line; None where
            what was asked for made no sense.
    """

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class ProgramFileError(ChipflowError):
    """A file that is not a readable program."""


class BundleError(ChipflowError):
    """A file that is not a readable replay bundle: truncated, foreign, edited, of a newer version; or a run that cannot become one."""


class DeviceError(ChipflowError):
    """A device that does not exist, cannot be opened, or does not answer."""


class DeviceBusyError(DeviceError):
    """A device that another process or thread holds."""


class DeviceLostError(DeviceError):
    """A board that went away.

    Attributes:
        result: what a run had reported by then, a `chipflow.events.RunResult`; None outside of a run.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class DeviceTimeoutError(DeviceError):
    """A run that did not finish in time.

    Attributes:
        missing: what was still awaited, in words.
        result: what had come by then, a `chipflow.events.RunResult`; None where nothing can have.
    """

    def __init__(self, message: str, missing: str = "", result: Any = None) -> None:
        super().__init__(message)
        self.missing, self.result = missing, result


class VendorPackageError(DeviceError):
    """The vendor's package is not installed, only its installer stub is, or it is of another version; says what to do."""
