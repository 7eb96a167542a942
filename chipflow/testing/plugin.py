"""The pytest plugin: `--target`, the fixtures `device`, `program` and `target`, and the markers.

pytest loads it in every project that has chipflow installed, so it is small, imports nothing of chipflow's before it is used, and gives
way where another plugin has an option `--target` of its own.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from typing import Any

import pytest

from chipflow.testing.fixtures import _chipflow_target, device, program, target, tolerance  # noqa: F401  # pytest finds them here
from chipflow.testing.open_boards import OpenBoards, boards_key
from chipflow.testing.selection import CAPABILITIES, select_by_kind
from chipflow.testing.targets import DESTINATION, SETTING, asked_for, is_emulator, targets, with_chip

OPTION, SHORT_OPTION = "--chipflow-target", "--target"
CHOSEN = "_chipflow_target"
"""The fixture that every test on a device has, be it through a fixture of the project's own."""

ATTRIBUTES: dict[str, Any] = {
    "action": "append",
    "dest": DESTINATION,
    "metavar": "DEVICE",
    "help": "Device of the chipflow fixtures: emulator, emulator:speck2f, speck2fdevkit:0, ...; repeat it to run on several.",
}
MARKERS = (
    "board_only(reason): runs on boards only, and is skipped on emulators; for tests that use `device` or `target`",
    "emulator_only(reason): runs on emulators only, and is skipped on boards; for tests that use `device` or `target`",
    f"needs(capability, ...): is skipped where the fixture `device` cannot do this: {', '.join(CAPABILITIES)}",
    "chipflow_program(path): the program, or bare configuration, of the fixture `program`; relative to the test's file",
    "chipflow_tolerance(**bounds): fields of chipflow.testing.Tolerance, for the fixture `tolerance`",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option under the name that nobody else has, and what a project may set for good."""
    parser.getgroup("chipflow").addoption(OPTION, **ATTRIBUTES)
    parser.addini(SETTING, "devices of the chipflow fixtures, where no --target is given", type="args", default=[])
    parser.addini("chipflow_program", "program of the fixture `program`, relative to this file", default="")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """`--target`, once the project's own files have been read: they may have an option of that name, which then stays theirs."""
    _forget_values(early_config.known_args_namespace.file_or_dir, args)
    loaded = yield
    if _is_free(SHORT_OPTION, parser):
        parser.getgroup("chipflow").addoption(SHORT_OPTION, **ATTRIBUTES)
    return loaded


def _is_free(option: str, parser: pytest.Parser) -> bool:
    try:
        return bool(parser.parse_known_and_unknown_args([f"{option}=x"])[1])
    except pytest.UsageError:  # somebody's, whose values are of another kind
        return False


def _forget_values(paths: list[str], args: list[str]) -> None:
    """`--target NAME` is not known yet when pytest looks for the paths given, and takes the name for one."""
    for option, value in pairwise(args):
        if option == SHORT_OPTION and value in paths:
            paths.remove(value)


def pytest_configure(config: pytest.Config) -> None:
    """Markers, so that `--strict-markers` knows them; and the boards that are open."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    _refuse_boards_in_several_processes(config)
    config.stash[boards_key] = OpenBoards()


def _refuse_boards_in_several_processes(config: pytest.Config) -> None:
    """Of pytest-xdist. Its `--dist loadgroup`, which could keep a board's tests together, has no effect with pytest 9.2."""
    boards = [name for name in targets(config) if not is_emulator(name)]
    processes = config.getoption("numprocesses", None)
    if boards and processes not in (None, 0, 1):
        raise pytest.UsageError(f"{boards[0]} can be opened by one process only, not by the {processes} of -n: add -n 0")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Gives the boards back."""
    if boards_key in config.stash:
        config.stash[boards_key].close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What is tested, where a device was asked for."""
    if not asked_for(config):
        return []
    from chipflow.versions import installed_version

    return [f"chipflow {installed_version('chipflow')}: target {', '.join(with_chip(name) for name in targets(config))}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each target, if it uses the fixture `target`."""
    if CHOSEN in metafunc.fixturenames:
        metafunc.parametrize(CHOSEN, targets(metafunc.config), indirect=True, scope="session")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Also where a project's own fixture `device` is used; of tests that use neither it nor `target`, markers may mean anything."""
    name = _target_of(item)
    if name is not None:
        select_by_kind(item, name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A board on which a test failed is opened anew for the next one."""
    report = yield
    boards = item.config.stash[boards_key]
    boards.suspect |= report.failed
    if report.when == "teardown" and boards.suspect:
        boards.close()
    return report


def _target_of(item: pytest.Item) -> str | None:
    """The target that a test was made for; None: it uses none, or asks for it while it runs."""
    parameters: dict[str, Any] = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return parameters.get(CHOSEN)
