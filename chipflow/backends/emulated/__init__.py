"""A device without a chip: the emulator behind the protocol."""

from chipflow.backends.emulated.device import EmulatedDevice

__all__ = ["EmulatedDevice"]
