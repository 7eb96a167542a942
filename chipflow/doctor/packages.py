"""Python, the packages that chipflow needs, and those of its extras; by their metadata, without importing any of them."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires

from chipflow.doctor.finding import Finding
from chipflow.versions import installed_version

PURPOSES = {
    "demo": "chipflow demo",
    "nir": "networks in NIR files",
    "sinabs": "networks of sinabs",
    "events": "files of events: AEDAT 4, Prophesee, Event Stream, hdf5",
    "plot": "plots",
    "bench": "benchmarks",
    "docs": "building the documentation",
    "dev": "working on chipflow",
}
"""What each extra is for; the project's metadata cannot say it."""

FEW = 4  # packages that are listed one by one


@dataclass(frozen=True)
class Requirement:
    """A line of the project's metadata.

    Attributes:
        package: its name.
        least: the oldest version allowed; "" for any.
        extra: that asks for it; "" if chipflow itself does.
    """

    package: str
    least: str
    extra: str

    def lack(self, installed: str | None) -> str:
        """In words, how the version that is installed falls short; "": it does not."""
        if installed is None:
            return f"{self.package} is not installed"
        if self.least and _numbers(installed) < _numbers(self.least):
            return f"{self.package} is {installed}, needed is {self.least} or newer"
        return ""


def packages() -> list[Finding]:
    """Python, chipflow, and what chipflow cannot do without."""
    needed = [requirement for requirement in requirements() if not requirement.extra]
    return [_python(), _chipflow(), *(_needed(requirement) for requirement in needed)]


def extras() -> list[Finding]:
    """Each extra: whether all of its packages are there."""
    asked = requirements()
    names = [name for name in dict.fromkeys(requirement.extra for requirement in asked) if name]
    return [
        _extra(name, [requirement for requirement in asked if requirement.extra == name]) for name in sorted(names, key=_order)
    ]


def requirements(lines: Iterable[str] | None = None) -> list[Requirement]:
    """What the metadata ask for on this system.

    Args:
        lines: in the form of metadata: "nir>=1.0.4; extra == 'nir'"; None: those of the installed chipflow.
    """
    if lines is None:
        lines = _own_lines()
    return [_requirement(line) for line in lines if _is_for_this_system(line)]


def _own_lines() -> list[str]:
    try:
        return requires("chipflow") or []
    except PackageNotFoundError:
        return []


def _requirement(line: str) -> Requirement:
    wanted, _, condition = line.partition(";")
    package = re.match(r"\s*[\w.-]+", wanted)
    least = re.search(r">=\s*([\w.]+)", wanted)
    extra = re.search(r"extra\s*==\s*['\"]([\w.-]+)['\"]", condition)
    return Requirement(package[0].strip() if package else wanted, least[1] if least else "", extra[1] if extra else "")


def _is_for_this_system(line: str) -> bool:
    system = re.search(r"platform_system\s*==\s*['\"](\w+)['\"]", line)
    return system is None or system[1] == platform.system()


def _python() -> Finding:
    found, needed = platform.python_version(), _needed_python()
    good = _numbers(found) >= _numbers(needed)
    advice = "" if good else f"use Python {needed} or newer"
    return Finding("packages", "python", "ok" if good else "problem", f"{found}, {sys.executable}", advice)


def _needed_python() -> str:
    try:
        return metadata("chipflow")["Requires-Python"].removeprefix(">=")
    except (PackageNotFoundError, KeyError, AttributeError):
        return ""


def _chipflow() -> Finding:
    found = installed_version("chipflow")
    if found is None:
        advice = "install it: python -m pip install -e . in its folder; without that the extras cannot be told"
        return Finding("packages", "chipflow", "problem", "runs from a folder, and is not installed", advice)
    return Finding("packages", "chipflow", "ok", found)


def _needed(requirement: Requirement) -> Finding:
    found = installed_version(requirement.package)
    lack = requirement.lack(found)
    if not lack:
        return Finding("packages", requirement.package, "ok", found or "")
    wanted = f"{requirement.package}>={requirement.least}" if requirement.least else requirement.package
    return Finding("packages", requirement.package, "problem", lack, f"python -m pip install '{wanted}'")


def _extra(name: str, asked: list[Requirement]) -> Finding:
    versions = {requirement.package: installed_version(requirement.package) for requirement in asked}
    lacks = [lack for requirement in asked if (lack := requirement.lack(versions[requirement.package]))]
    if not lacks:
        listed = ", ".join(f"{package} {found}" for package, found in versions.items())
        return Finding("extras", name, "ok", listed if len(versions) <= FEW else f"{len(versions)} packages, all of them")
    purpose = f"for {PURPOSES[name]}: " if name in PURPOSES else ""
    return Finding("extras", name, "note", "; ".join(lacks), f"{purpose}python -m pip install 'chipflow[{name}]'")


def _order(name: str) -> int:
    return list(PURPOSES).index(name) if name in PURPOSES else len(PURPOSES)


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: enough to tell which of two is older."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", version)[0]))
