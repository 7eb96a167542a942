"""The time loop of a layer in one pass, where there is a kernel for it, and step by step where there is none."""

from chipflow.snn.fused.choose import run, time_loop

__all__ = ["run", "time_loop"]
