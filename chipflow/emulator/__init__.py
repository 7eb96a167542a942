"""The emulator: what a chip would do with a configuration and a stream of events, bit for bit (the chip model)."""

from chipflow.emulator.assumptions import Assumption
from chipflow.emulator.batch import run_batch
from chipflow.emulator.emulator import Emulator
from chipflow.emulator.options import Options
from chipflow.emulator.reference import ReferenceEmulator

__all__ = ["Assumption", "Emulator", "Options", "ReferenceEmulator", "run_batch"]
