"""From a trained network to a Speck / DYNAP-CNN configuration, and its bit-accurate emulation.

Public names are resolved on first use, so that `import chipflow` loads neither torch nor numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chipflow.backends.base import open_device
    from chipflow.compiler import compile
    from chipflow.program import Program
    from chipflow.snn import IAF, Network, SumPool2d, from_model

_HOMES = {
    "IAF": "chipflow.snn",
    "Network": "chipflow.snn",
    "Program": "chipflow.program",
    "SumPool2d": "chipflow.snn",
    "compile": "chipflow.compiler",
    "from_model": "chipflow.snn",
    "open_device": "chipflow.backends.base",
}

__all__ = ["IAF", "Network", "Program", "SumPool2d", "compile", "from_model", "open_device"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chipflow' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
