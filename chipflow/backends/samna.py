"""The vendor's package, samna: found without importing it, imported by this file only, and only when a board is wanted.

On PyPI the name belongs to an installer: importing *that* runs pip against the vendor's index (hardware facts, section 6.6). So
the package is looked at first, and imported only where it is not the installer.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chipflow.errors import DeviceError, VendorPackageError

if TYPE_CHECKING:
    from chipflow.backends.base import Device
    from chipflow.backends.opening import DeviceInfo

Kind = Literal["missing", "stub", "leftover", "found"]
STUB_MARKS = re.compile(r"PYPI_SAMNA|subprocess[^\n]*\n?[^\n]*\bpip\b")
HOW = (
    "the real samna is on the vendor's own GitLab package index, whose address the installer on PyPI has in the text of its samna/__init__.py "
    "(read it, without importing it: python -m pip download --no-deps samna, then unzip): python -m pip install "
    "--index-url=<that address> samna. Nothing of chipflow but boards needs it"
)
ADVICE: dict[Kind, str] = {
    "missing": f"samna is not installed: {HOW}",
    "stub": (
        "what is installed as samna is the installer from PyPI, which would run pip if it were imported; it was not: "
        f"python -m pip uninstall -y samna, then install the real one: {HOW}"
    ),
    "leftover": (
        "what is found as samna are leftovers without a package, as an uninstall leaves them: delete the folder, then install the "
        f"real one: {HOW}"
    ),
    "found": "",
}


@dataclass(frozen=True)
class PackageState:
    """What is installed under the name samna.

    Attributes:
        kind: nothing; the installer stub from PyPI; leftovers of an uninstall; or a package that looks like the real one.
        version: as its metadata says; "" where there are none.
        path: where it is; "" where there is none.
        advice: what to do; "" where nothing is wrong.
    """

    kind: Kind
    version: str = ""
    path: str = ""
    advice: str = ""


def package_state() -> PackageState:
    """What is installed under the name samna, found without importing anything of it."""
    loaded = sys.modules.get("samna")
    if loaded is not None and getattr(loaded, "__file__", None):
        version = str(getattr(loaded, "__version__", "")) or _version()
        return PackageState("found", version, str(loaded.__file__))
    spec = importlib.machinery.PathFinder.find_spec("samna")
    if spec is None:
        return PackageState("missing", advice=ADVICE["missing"])
    path = str(spec.origin or next(iter(spec.submodule_search_locations or ()), ""))
    kind = _kind(spec)
    return PackageState(kind, "" if kind == "leftover" else _version(), path, ADVICE[kind])


def _kind(spec: importlib.machinery.ModuleSpec) -> Kind:
    """By the text of the package's first file: a few lines that call pip are the installer's, whatever its version."""
    if spec.origin is None or spec.loader is None:
        return "leftover"
    if not spec.origin.endswith(".py"):
        return "found"
    text = Path(spec.origin).read_text(encoding="utf-8", errors="replace")
    if STUB_MARKS.search(text):
        return "stub"
    return "found" if text.strip() or _has_more(Path(spec.origin).parent) else "leftover"


def _has_more(folder: Path) -> bool:
    """Whether the package is more than its first file."""
    return any(path.suffix in (".py", ".so", ".pyd", ".dylib") and path.name != "__init__.py" for path in folder.rglob("*"))


def _version() -> str:
    for name in ("samna", "synsense-samna"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def vendor_package() -> Any:
    """The real samna, imported.

    Raises:
        VendorPackageError: it is missing, a stub, leftovers, cannot be imported, or lacks what every version has.
    """
    state = package_state()
    if state.kind != "found":
        where = f" ({state.path})" if state.path else ""
        raise VendorPackageError(f"{state.advice}{where}")
    try:
        import samna  # pyright: ignore[reportMissingImports]
    except Exception as error:  # of whatever kind: its binary may not fit this system
        raise VendorPackageError(
            f"samna {state.version or ''} at {state.path} cannot be imported: {error}; install a version for this Python and system"
        ) from error
    if not hasattr(samna, "device"):
        raise VendorPackageError(f"what is imported as samna, from {state.path}, has no samna.device: {HOW}")
    return samna


def boards() -> list[DeviceInfo]:
    """The boards on the bus; none where the vendor's package is missing. Boards of kinds that chipflow does not know are left out.

    Where samna is there and cannot say what is on the bus, or cannot be imported, one entry that cannot be opened says so.
    """
    from chipflow.backends.board.bus import boards_on_bus
    from chipflow.backends.opening import DeviceInfo

    if package_state().kind != "found":
        return []
    try:
        found = boards_on_bus(vendor_package())
    except Exception as error:
        return [DeviceInfo("boards", "board", "", free=False, note=f"samna cannot list the boards: {error}; see chipflow doctor")]
    return [DeviceInfo(board.name, "board", board.chip.name, board.free, board.note) for board in found]


def open_board(name: str) -> Device:
    """The board of this name.

    Args:
        name: "speck2fdevkit:0"; without a number the first free one of its kind.

    Raises:
        DeviceError: no such board is plugged in; the message lists those there are.
        DeviceBusyError: another process has it, or it is open here already.
        VendorPackageError: samna is missing, a stub, or of a version that lacks the chip.
    """
    from chipflow.backends.board import BoardDevice, boards_on_bus
    from chipflow.backends.board.bus import chosen
    from chipflow.backends.board.link import Link

    try:
        samna = vendor_package()
    except VendorPackageError as error:
        raise VendorPackageError(f"{name}: {error}") from error
    try:
        there = boards_on_bus(samna)
    except Exception as error:
        raise DeviceError(f"{name}: samna cannot list the boards: {error}; see chipflow doctor") from error
    board = chosen(there, name)
    return BoardDevice(Link(samna, board, name if ":" in name else board.name))
