"""The fixtures of the plugin: `target`, `device`, `program` and `tolerance`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chipflow.testing.open_boards import boards_key, open_target
from chipflow.testing.selection import select_by_capability, select_by_kind
from chipflow.testing.targets import is_emulator, targets

if TYPE_CHECKING:
    from chipflow.backends.base import Device
    from chipflow.program import Program
    from chipflow.testing.similarity import Tolerance
    from hwconfig import ChipConfig


@pytest.fixture(scope="session")
def _chipflow_target(request: pytest.FixtureRequest) -> str:
    """One of the targets: of its own name, so that a project may have a fixture or an argument `target`."""
    given = targets(request.config)
    if not hasattr(request, "param") and len(given) > 1:
        pytest.fail(f"on which of {', '.join(given)}? Make `device` or `target` an argument of the test", pytrace=False)
    return getattr(request, "param", given[0])


@pytest.fixture(scope="session")
def target(_chipflow_target: str) -> str:
    """Name of the device that the test runs on, as `chipflow.open_device` takes it: from `--target`."""
    return _chipflow_target


@pytest.fixture
def device(target: str, request: pytest.FixtureRequest) -> Iterator[Device]:
    """The device that the test runs on: a fresh emulator, or a board that is opened once and shared by all tests.

    A board that cannot be opened is an error with the reason, never a skip: a test that did not run has shown nothing.
    """
    select_by_kind(request.node, target)
    opened = open_target(target) if is_emulator(target) else request.config.stash[boards_key].get(target)
    try:
        select_by_capability(request.node, opened)
        yield opened
    finally:
        if is_emulator(target):
            opened.close()


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Program | ChipConfig:
    """The program of the marker `chipflow_program`, or else of the setting `chipflow_program`; define your own to compile one."""
    from hwconfig import DeploymentError

    path = _program_path(request)
    try:
        return _load(path)
    except DeploymentError as error:
        message = str(error)
    pytest.fail(message, pytrace=False)  # here, so that the error before it is not printed, too


@pytest.fixture
def tolerance(request: pytest.FixtureRequest) -> Tolerance:
    """The tolerance of the marker `chipflow_tolerance`: `Tolerance` with these fields changed; its defaults without a marker."""
    from chipflow.testing.similarity import Tolerance

    marker = request.node.get_closest_marker("chipflow_tolerance")
    try:
        return Tolerance(*marker.args, **marker.kwargs) if marker else Tolerance()
    except (TypeError, ValueError) as error:
        message = f"chipflow_tolerance: {error}"
    pytest.fail(message, pytrace=False)


def _program_path(request: pytest.FixtureRequest) -> Path:
    marker = request.node.get_closest_marker("chipflow_program")
    if marker is not None and marker.args:
        return request.path.parent / marker.args[0]
    setting = request.config.getini("chipflow_program")
    if not setting:
        pytest.fail(
            "the fixture `program` does not know which one: mark the test with chipflow_program('path'), set chipflow_program in pytest's "
            "settings, or define a fixture `program` that returns one",
            pytrace=False,
        )
    return (request.config.inipath.parent if request.config.inipath else request.config.rootpath) / setting


def _load(path: Path) -> Program | ChipConfig:
    """As on the command line: a bare configuration does, too."""
    from chipflow.program import Program
    from hwconfig import ChipConfig, ConfigFileError, files

    try:
        is_bare = files.parse(path.read_text(encoding="utf-8"), "program").get("format") == files.FORMAT
    except (OSError, UnicodeDecodeError, ConfigFileError):
        is_bare = False  # loading it says what is wrong
    return ChipConfig.load(path) if is_bare else Program.load(path)
