"""What is installed, what works, and what to do about what does not."""

from chipflow.doctor.examination import examine
from chipflow.doctor.finding import Finding, State
from chipflow.doctor.usb import RULES

__all__ = ["RULES", "Finding", "State", "examine"]
