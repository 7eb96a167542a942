"""From a trained network to a Speck / DYNAP-CNN configuration, and its bit-accurate emulation.

Public names are resolved on first use, so that `import chipflow` loads neither torch nor numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chipflow.backends.opening import devices, open_device
    from chipflow.compiler import compile
    from chipflow.fitting import Fit, alternatives, fit
    from chipflow.frontends.nir import from_nir, to_nir
    from chipflow.ir.nodes import Sensor
    from chipflow.program import Program
    from chipflow.report import compare
    from chipflow.snn import IAF, Network, SumPool2d, from_model

_HOMES = {
    "Fit": "chipflow.fitting",
    "IAF": "chipflow.snn",
    "Network": "chipflow.snn",
    "Program": "chipflow.program",
    "Sensor": "chipflow.ir.nodes",
    "SumPool2d": "chipflow.snn",
    "alternatives": "chipflow.fitting",
    "compare": "chipflow.report",
    "compile": "chipflow.compiler",
    "devices": "chipflow.backends.opening",
    "fit": "chipflow.fitting",
    "from_model": "chipflow.snn",
    "from_nir": "chipflow.frontends.nir",
    "open_device": "chipflow.backends.opening",
    "to_nir": "chipflow.frontends.nir",
}

__all__ = [
    "IAF",
    "Fit",
    "Network",
    "Program",
    "Sensor",
    "SumPool2d",
    "alternatives",
    "compare",
    "compile",
    "devices",
    "fit",
    "from_model",
    "from_nir",
    "open_device",
    "to_nir",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chipflow' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
