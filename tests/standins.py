"""Stand-ins for packages that tests must not load."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

SAMNA = ("samna", "samnagui", *(f"samna.speck2{kind}{part}" for kind in "ef" for part in ("", ".configuration")))


def chip_backend_of_sinabs() -> Any:
    """`sinabs.backend.dynapcnn`, imported without the vendor's package, of which nothing is used.

    The package of that name on PyPI runs pip when it is imported, so it must never be. The stand-in is there during the import only.
    """
    name = "sinabs.backend.dynapcnn"
    if name in sys.modules:
        return sys.modules[name]
    missing = [module for module in SAMNA if module not in sys.modules]
    sys.modules.update({module: _Anything(module) for module in missing})
    try:
        return importlib.import_module(name)
    finally:
        for module in missing:
            del sys.modules[module]


class _Anything(ModuleType):
    """A module that has every attribute asked for."""

    def __getattr__(self, name: str) -> MagicMock:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")
