"""A strict stand-in for the vendor's package, written from its documented surface (hardware facts, sections 3 and 6).

With `tests/samna_standin` on the path, `import samna` finds it. chipflow's emulator plays the chip; `SAMNA_STANDIN` in the
environment says which boards are plugged in and what goes wrong (`_faults.Faults`, as JSON). Names that the vendor does not document
raise AttributeError, where they are read and where they are set.
"""

import sys as _sys
from pathlib import Path as _Path

_sys.path.append(str(_Path(__file__).resolve().parents[3]))  # for tests.hwconfig.vendor_standin, in processes of their own

from samna import _modules, device, graph

__version__ = "0.48.6"
__all__ = ["device", "graph"]

for _name, _value in _modules.everything().items():
    globals()[_name] = _value
