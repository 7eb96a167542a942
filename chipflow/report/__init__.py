"""What people read: tables of a run, of a program, of the demo; and `compare`, which says why a network's answers change."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chipflow.report.compare_stages import compare
    from chipflow.report.comparison import Comparison

_HOMES = {"Comparison": "chipflow.report.comparison", "compare": "chipflow.report.compare_stages"}

__all__ = ["Comparison", "compare"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chipflow.report' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
