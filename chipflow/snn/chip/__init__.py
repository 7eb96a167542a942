"""Training with the chip's own rules: event by event forward, surrogate gradients backward."""

from chipflow.snn.chip.network import ChipFaithful, ChipRun

__all__ = ["ChipFaithful", "ChipRun"]
