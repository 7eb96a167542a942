"""What the doctor finds in systems made up for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chipflow.backends import samna
from chipflow.backends.opening import DeviceInfo
from chipflow.doctor import RULES, Finding, emulation, examine, packages
from chipflow.doctor.finding import careful
from chipflow.doctor.usb import usb


def plugged_in(root: Path, name: str, **files: str) -> None:
    """A device on the bus."""
    folder = root / "sys/bus/usb/devices" / name
    folder.mkdir(parents=True)
    for file, text in ({"busnum": "2", "devnum": "7", "idProduct": "0001"} | files).items():
        (folder / file).write_text(f"{text}\n")


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A bus with a hub and a mouse."""
    plugged_in(tmp_path, "usb1", idVendor="1d6b", manufacturer="Linux Foundation", product="hub")
    plugged_in(tmp_path, "1-2", idVendor="046d", product="Mouse")
    (tmp_path / "etc/udev/rules.d").mkdir(parents=True)
    return tmp_path


def named(found: list[Finding], name: str) -> Finding:
    (finding,) = [finding for finding in found if name in finding.name]
    return finding


def test_a_bus_without_boards_is_a_note(system: Path) -> None:
    found = usb(system)
    assert [(finding.name, finding.state) for finding in found] == [("USB", "note"), ("USB rules", "note")]
    assert "no board" in found[0].found


def test_no_bus_is_a_note(tmp_path: Path) -> None:
    (finding,) = usb(tmp_path)
    assert (finding.state, "cannot be looked at" in finding.found) == ("note", True)


@pytest.mark.parametrize(
    "files",
    [{"idVendor": "337D"}, {"idVendor": "04b4", "manufacturer": "SynSense"}, {"idVendor": "1234", "product": "Speck2fDevKit"}],
)
def test_a_board_that_can_be_opened_is_fine(system: Path, files: dict[str, str]) -> None:
    plugged_in(system, "2-1", speed="5000", **files)
    found = usb(system, lambda node: node == system / "dev/bus/usb/002/007")
    assert [(finding.state, finding.found.partition(",")[0]) for finding in found[:1]] == [("ok", "can be opened")]


def test_a_board_that_cannot_be_opened_is_a_problem_with_the_rules_to_write(system: Path) -> None:
    plugged_in(system, "2-1", idVendor="337d", manufacturer="SynSense", product="Speck2fDevKit")
    finding = named(usb(system, lambda node: False), "Speck2fDevKit")
    assert (finding.state, "002/007" in finding.found) == ("problem", True)
    for words in ("--udev-rules", "/etc/udev/rules.d/60-synsense.rules", "udevadm control --reload-rules"):
        assert words in finding.advice


def test_a_board_on_a_slow_port_is_a_problem(system: Path) -> None:
    plugged_in(system, "2-1", idVendor="337d", speed="480")
    finding = named(usb(system, lambda node: True), "337d")
    assert (finding.state, finding.found) == ("problem", "runs at 480 Mbit/s")
    assert "USB 3" in finding.advice


@pytest.mark.parametrize(("may_open", "state"), [(True, "ok"), (False, "note")])
def test_a_vendor_of_many_products_is_only_perhaps_a_board(system: Path, may_open: bool, state: str) -> None:
    plugged_in(system, "2-1", idVendor="04b4", product="FX3")
    finding = named(usb(system, lambda node: may_open), "FX3")
    assert (finding.state, "may be a board" in finding.found) == (state, True)


def test_our_rules_are_found_by_their_vendor(system: Path) -> None:
    (system / "etc/udev/rules.d/60-synsense.rules").write_text(RULES)
    (system / "etc/udev/rules.d/10-mouse.rules").write_text('ATTR{idVendor}=="046d"\n')
    finding = named(usb(system), "USB rules")
    assert finding.state == "ok"
    for words in ("60-synsense.rules", "337d", "04b4", "152a"):
        assert words in finding.found
    assert "mouse" not in finding.found


@pytest.mark.parametrize(
    ("rule", "state"), [('# ATTR{idVendor}=="337d"', "note"), ('SUBSYSTEM=="usb",  ATTRS{idVendor} == "337d"', "ok")]
)
def test_a_rule_counts_unless_it_is_a_comment(system: Path, rule: str, state: str) -> None:
    (system / "etc/udev/rules.d/60-mine.rules").write_text(f"{rule}\n")
    assert named(usb(system), "USB rules").state == state


def test_requirements_are_read_from_metadata() -> None:
    lines = ["numpy>=1.26", "llvmlite", 'nir>=1.0.4; extra == "nir"', "evil[x]>=2; platform_system == 'Plan9' and extra == 'dev'"]
    found = [(wanted.package, wanted.least, wanted.extra) for wanted in packages.requirements(lines)]
    assert found == [("numpy", "1.26", ""), ("llvmlite", "", ""), ("nir", "1.0.4", "nir")]


@pytest.mark.parametrize(
    ("installed", "lack"),
    [
        ("1.26.4", ""),
        ("2.0.0rc1", ""),
        ("1.26", ""),
        ("1.3", "nir is 1.3, needed is 1.26 or newer"),
        (None, "nir is not installed"),
    ],
)
def test_versions_are_compared_by_their_numbers(installed: str | None, lack: str) -> None:
    assert packages.Requirement("nir", "1.26", "").lack(installed) == lack


def test_missing_packages_are_problems_and_missing_extras_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "installed_version", lambda name: None if name in ("torch", "nir") else "99")
    needed = named(packages.packages(), "torch")
    assert (needed.state, needed.advice) == ("problem", "python -m pip install 'torch>=2.4'")
    extra = named(packages.extras(), "nir")
    assert (extra.state, extra.advice) == ("note", "for networks in NIR files: python -m pip install 'chipflow[nir]'")
    monkeypatch.setattr(packages, "installed_version", lambda name: None)
    assert named(packages.packages(), "chipflow").state == "problem"


def test_machine_code_is_there_damaged_old_or_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chipflow.emulator.object_code import Compiled

    def look() -> list[tuple[str, str]]:
        return [(found.name, found.state) for found in emulation.kernel_cache([tmp_path], "kernels-now.o")]

    assert look() == [("machine code", "ok")]
    (tmp_path / "kernels-now.o").write_bytes(Compiled(b"code", "advance", ()).to_bytes())
    assert look() == [("machine code", "ok")]
    (tmp_path / "kernels-now.o").write_bytes(b"damaged")
    (tmp_path / "kernels-old.o").write_bytes(b"x" * 5000)
    assert look() == [("machine code", "note"), ("old machine code", "note")]
    monkeypatch.setattr(emulation, "_can_write", lambda folder: False)
    (finding,) = emulation.kernel_cache([tmp_path / "nowhere"], "kernels-now.o")
    assert (finding.state, "CHIPFLOW_CACHE_DIR" in finding.advice) == ("note", True)


def test_a_run_is_tried() -> None:
    assert emulation.first_run().state == "ok"


def test_a_look_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Finding]:
        raise OSError("disk on fire")

    (finding,) = careful("emulator", "run", fail)
    assert (finding.state, finding.found) == ("problem", "OSError: disk on fire")


@pytest.mark.parametrize(("kind", "state"), [("missing", "note"), ("stub", "note"), ("leftover", "problem"), ("found", "ok")])
def test_the_vendors_package_and_boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: samna.Kind, state: str) -> None:
    monkeypatch.setattr(samna, "package_state", lambda: samna.PackageState(kind, "1.0", "/there", "do this"))
    held = DeviceInfo("speck2fdevkit:1", "board", "speck2f", False, "held by another process")
    monkeypatch.setattr(samna, "boards", lambda: [DeviceInfo("speck2fdevkit:0", "board", "speck2f", note="serial 7"), held])
    found = {finding.name: finding for finding in examine(tmp_path)}
    assert found["samna"].state == state
    assert (found["speck2fdevkit:0"].state, found["speck2fdevkit:0"].found) == ("ok", "serial 7")
    assert (found["speck2fdevkit:1"].state, found["speck2fdevkit:1"].found) == ("note", "held by another process")
