"""What is installed as samna is told without importing it: the installer stub from PyPI would run pip."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chipflow import open_device
from chipflow.backends.opening import devices
from chipflow.backends.samna import boards, package_state, vendor_package
from chipflow.errors import VendorPackageError
from tests.backends.standin import of_samna, standin

STUB = """
import subprocess, sys, pathlib
PYPI_SAMNA = True
pathlib.Path({marker!r}).touch()
subprocess.check_call([sys.executable, "-m", "pip", "install", "samna", "--index-url=https://example.invalid"])
"""
OLD_STUB = (
    'import sys\nfrom subprocess import check_call\ncheck_call([sys.executable, "-m", "pip", "install", "--upgrade", "samna"])\n'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for packages, the only one in which a samna can be."""
    before = {name: sys.modules.pop(name) for name in of_samna()}
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    yield tmp_path
    for name in of_samna():
        del sys.modules[name]
    sys.modules.update(before)


def put(folder: Path, text: str | None, name: str = "__init__.py") -> None:
    (folder / "samna").mkdir(exist_ok=True)
    if text is not None:
        (folder / "samna" / name).write_text(text)


def test_the_stub_is_found_and_never_imported(folder: Path) -> None:
    marker = folder / "imported"
    put(folder, STUB.format(marker=str(marker)))
    metadata = folder / "samna-0.48.6.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: samna\nVersion: 0.48.6\n")
    state = package_state()
    assert (state.kind, state.version, Path(state.path).parent.name) == ("stub", "0.48.6", "samna")
    for call in (vendor_package, lambda: open_device("speck2fdevkit:0")):
        with pytest.raises(VendorPackageError, match=r"installer from PyPI.*uninstall -y samna.*index-url"):
            call()
    assert boards() == []
    assert {info.kind for info in devices()} == {"emulator"}
    assert not marker.exists()
    assert "samna" not in sys.modules


def test_older_stubs_are_known_too(folder: Path) -> None:
    put(folder, OLD_STUB)
    assert package_state().kind == "stub"


def test_nothing_is_there(folder: Path) -> None:
    state = package_state()
    assert (state.kind, state.path) == ("missing", "")
    with pytest.raises(VendorPackageError, match=r"speck2fdevkit:0: samna is not installed.*Nothing of chipflow but boards"):
        open_device("speck2fdevkit:0")
    assert boards() == []


@pytest.mark.parametrize("text", [None, ""])
def test_leftovers_of_an_uninstall(folder: Path, text: str | None) -> None:
    put(folder, text)
    state = package_state()
    assert state.kind == "leftover"
    assert state.path.startswith(str(folder))
    with pytest.raises(VendorPackageError, match=r"leftovers.*delete the folder"):
        vendor_package()


def test_a_package_that_cannot_be_imported(folder: Path) -> None:
    put(folder, "raise OSError('wrong glibc')\n")
    assert package_state().kind == "found"
    with pytest.raises(VendorPackageError, match="cannot be imported: wrong glibc"):
        vendor_package()
    assert ["wrong glibc" in info.note and not info.free for info in boards()] == [True]


def test_a_package_without_devices(folder: Path) -> None:
    put(folder, "x = 1\n")
    with pytest.raises(VendorPackageError, match=r"no samna\.device"):
        vendor_package()


def test_what_is_imported_already_is_used() -> None:
    with standin() as samna:
        assert (package_state().kind, package_state().version) == ("found", samna.__version__)
        assert vendor_package() is samna
