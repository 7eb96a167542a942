"""The plugin, in a project of a user's own: pytest inside of pytest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chipflow.backends import opening
from tests.processes import python
from tests.testing.runs import config, with_threshold

pytest_plugins = ["pytester"]

# Boards of the inner project are emulators; one of them cannot be opened.
BOARDS = """
from chipflow.backends import opening
from chipflow.errors import DeviceError
from tests.testing.runs import FakeBoard

def open_device(name="emulator"):
    if name == "speck2edevkit:0":
        print("opening", name)
        raise DeviceError("speck2edevkit:0 is held by another process: close it there")
    return FakeBoard(name) if name.startswith("speck") else usual(name)

usual, opening.open_device = opening.open_device, open_device
"""

USES = """
import pytest
from chipflow.testing import assert_similar_run
from tests.testing.runs import FakeBoard, config, events

pytestmark = pytest.mark.chipflow_program("program.json")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with a program, and with boards."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    monkeypatch.setattr(opening, "open_device", opening.open_device)  # put back what BOARDS changes in this process
    config().save(pytester.path / "program.json")
    with_threshold(61).save(pytester.path / "other.json")
    pytester.makeconftest(BOARDS)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\naddopts = '--strict-markers --strict-config -p no:cacheprovider'\n")
    return pytester


def run_on(project: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    project.makepyfile(USES + body)
    return project.runpytest_inprocess(*arguments)


RUNS = """
def test_answers(device, program):
    assert device.run(program, events()).counts("out").sum() > 10
"""


def test_a_test_runs_on_the_emulator_without_any_option_or_header(project: pytest.Pytester) -> None:
    done = run_on(project, RUNS, "-v")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*test_answers?emulator? PASSED*"])
    done.stdout.no_fnmatch_line("*chipflow*: target*")


def test_the_same_file_runs_on_each_target_and_the_header_says_on_which(project: pytest.Pytester) -> None:
    done = run_on(project, RUNS, "--target", "emulator:speck2f", "--target=speck2fdevkit:0", "-v")
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["chipflow *: target emulator:speck2f (chip speck2f), speck2fdevkit:0 (chip speck2f)"])
    done.stdout.fnmatch_lines_random(["*test_answers?emulator:speck2f? PASSED*", "*test_answers?speck2fdevkit:0? PASSED*"])


def test_the_setting_is_the_default_and_the_option_beats_it(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(
        "[tool.pytest.ini_options]\nchipflow_target = 'speck2fdevkit:0'\nchipflow_program = 'program.json'\n"
    )
    body = RUNS + "\npytestmark = []\n"
    run_on(project, body, "-v").stdout.fnmatch_lines(["*speck2fdevkit:0? PASSED*"])
    run_on(project, body, "-v", "--target", "emulator").stdout.fnmatch_lines(["*?emulator? PASSED*"])


def test_a_target_that_does_not_exist_is_an_error_that_lists_those_that_do(project: pytest.Pytester) -> None:
    done = run_on(project, RUNS, "--target", "emulater")
    done.assert_outcomes(errors=1)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["*target emulater: unknown device 'emulater': known are emulator, *speck2fdevkit:0*"])
    done.stdout.no_fnmatch_line("*Traceback*")


def test_a_board_that_cannot_be_opened_is_an_error_and_is_tried_once(project: pytest.Pytester) -> None:
    done = run_on(project, RUNS + RUNS.replace("answers", "again"), "--target", "speck2edevkit:0", "-s")
    done.assert_outcomes(errors=2)
    assert str(done.stdout).count("opening speck2edevkit:0") == 1
    assert str(done.stdout).count("target speck2edevkit:0 is held by another process") >= 2


def test_a_board_is_opened_once_and_anew_after_a_failure(project: pytest.Pytester) -> None:
    body = """
def test_first(device): assert FakeBoard.opened == 1
def test_second(device): assert FakeBoard.opened == 1
def test_fails(device): assert not device
def test_after(device, program):
    assert FakeBoard.opened == 2
    device.run(program, events())

@pytest.fixture(autouse=True, scope="session")
def none_yet(): FakeBoard.opened = 0
"""
    run_on(project, body, "--target", "speck2fdevkit:0").assert_outcomes(passed=3, failed=1)


SELECTION = """
@pytest.mark.board_only("needs a scope")
def test_board(device): pass

@pytest.mark.emulator_only
def test_emulator(device): pass

@pytest.mark.needs("power")
def test_power(device): pass

@pytest.mark.needs("counters", "exact", reason="exact counts")
def test_exact(device): pass
"""


def test_markers_select_and_say_why(project: pytest.Pytester) -> None:
    done = run_on(project, SELECTION, "-rs")
    done.assert_outcomes(passed=2, skipped=2)
    done.stdout.fnmatch_lines_random(
        ["*board_only, and the target is emulator: needs a scope", "*needs power, which emulator does not have"]
    )
    done = run_on(project, SELECTION, "-rs", "--target", "speck2fdevkit:0")
    done.assert_outcomes(passed=2, skipped=2)
    done.stdout.fnmatch_lines_random(
        [
            "*emulator_only, and the target is speck2fdevkit:0",
            "*needs counters, exact, which speck2fdevkit:0 does not have: exact counts",
        ]
    )


OWN_DEVICE = """
@pytest.fixture(scope="session")
def device(target): return target

@pytest.mark.board_only
def test_board(device): pass

@pytest.mark.board_only
def test_neither(): pass
"""


def test_markers_hold_for_a_device_of_the_project_s_own_and_not_for_tests_of_something_else(project: pytest.Pytester) -> None:
    done = run_on(project, OWN_DEVICE, "-v")
    done.assert_outcomes(passed=1, skipped=1)
    done.stdout.fnmatch_lines(["*test_board?emulator? SKIPPED*", "*test_neither PASSED*"])
    run_on(project, OWN_DEVICE, "--target", "speck2fdevkit:0").assert_outcomes(passed=2)


def test_a_device_that_is_asked_for_during_the_test_must_be_the_only_one(project: pytest.Pytester) -> None:
    body = "def test_late(request): assert request.getfixturevalue('device').name == 'emulator:speck2f'"
    run_on(project, body, "--target", "emulator:speck2f").assert_outcomes(passed=1)
    done = run_on(project, body, "--target", "emulator:speck2f", "--target", "speck2fdevkit:0")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*on which of emulator:speck2f, speck2fdevkit:0?*"])


def test_a_capability_that_does_not_exist_is_an_error(project: pytest.Pytester) -> None:
    done = run_on(project, "@pytest.mark.needs('speed')\ndef test_fast(device): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*needs('speed'): known are counters, exact, power, sensor*"])


def test_a_failure_says_where_runs_part_without_a_traceback_into_chipflow(project: pytest.Pytester) -> None:
    body = """
from chipflow.testing import assert_same_run
from hwconfig import ChipConfig

def test_same(device, program, request):
    other = ChipConfig.load(request.path.with_name("other.json"))
    assert_same_run(*(device.run(each, events(), monitor=["conv", "out"]) for each in (program, other)))
"""
    done = run_on(project, body)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["E*the runs differ", "E*first difference: layer conv (core 3), event *"])
    done.stdout.no_fnmatch_line("*assertions.py*raise AssertionError*")


def test_the_tolerance_is_the_marker_s(project: pytest.Pytester) -> None:
    body = """
@pytest.mark.chipflow_tolerance(cosine=0.5, few=9)
def test_marked(tolerance): assert (tolerance.cosine, tolerance.few, tolerance.spikes) == (0.5, 9, 0.01)
def test_default(tolerance): assert tolerance.cosine == 0.999
@pytest.mark.chipflow_tolerance(cosines=0.5)
def test_wrong(tolerance): pass
"""
    done = run_on(project, body)
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*chipflow_tolerance: *cosines*"])


@pytest.mark.parametrize(
    ("marker", "words"), [("'nowhere.json'", "*nowhere.json: No such file*"), ("'conftest.py'", "*conftest.py: not a program*")]
)
def test_a_program_that_cannot_be_read_is_an_error(project: pytest.Pytester, marker: str, words: str) -> None:
    done = run_on(project, f"@pytest.mark.chipflow_program({marker})\ndef test_it(program): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([words])


def test_no_program_at_all_is_an_error_with_the_ways_to_give_one(project: pytest.Pytester) -> None:
    done = run_on(project, "pytestmark = []\ndef test_it(program): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*does not know which one*chipflow_program*define a fixture*"])


def test_fixtures_can_be_overridden(project: pytest.Pytester) -> None:
    body = """
@pytest.fixture(params=["a", "b"])
def device(request): return request.param
@pytest.fixture
def program(): return 7
def test_mine(device, program): assert device in "ab" and program == 7
@pytest.mark.parametrize("target", [1, 2])
def test_target(target): assert target in (1, 2)
"""
    run_on(project, body).assert_outcomes(passed=4)


def test_another_option_of_that_name_stays_its_owner_s(project: pytest.Pytester) -> None:
    project.makeconftest(BOARDS + "\ndef pytest_addoption(parser): parser.addoption('--target', type=int, default=0)\n")
    body = RUNS + "\ndef test_theirs(pytestconfig): assert pytestconfig.getoption('target') == 4\n"
    done = run_on(project, body, "--target", "4", "--chipflow-target", "speck2fdevkit:0", "-v")
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["*test_answers?speck2fdevkit:0? PASSED*"])


def test_options_of_a_conftest_below_are_found_beside_a_target(project: pytest.Pytester) -> None:
    """`--target NAME` alone names no path, so that the settings' testpaths hold."""
    project.makepyprojecttoml("[tool.pytest.ini_options]\ntestpaths = 'below'\n")
    project.mkdir("below")
    below = project.path / "below"
    (below / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--mine')\n")
    (below / "test_it.py").write_text(
        "def test_it(target, pytestconfig): assert (target, pytestconfig.getoption('mine')) == ('emulator', 'x')"
    )
    project.runpytest_inprocess("--target", "emulator", "--mine=x").assert_outcomes(passed=1)


def test_it_runs_in_several_processes(project: pytest.Pytester) -> None:
    project.makepyfile(USES + RUNS)
    done = project.runpytest_subprocess("-n", "1", "--target", "emulator:speck2f")
    done.assert_outcomes(passed=1)


def test_a_board_in_several_processes_is_refused(project: pytest.Pytester) -> None:
    project.makepyfile(USES + RUNS)
    done = project.runpytest_subprocess("-n", "2", "--target", "speck2fdevkit:0")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*speck2fdevkit:0 can be opened by one process only, not by the 2 of -n: add -n 0"])
    project.runpytest_subprocess("-n", "2", "--target", "speck2fdevkit:0", "-n", "0").assert_outcomes(passed=1)


def test_the_plugin_is_small_for_those_who_do_not_use_it() -> None:
    heavy = ("numpy", "torch", "numba", "networkx", "pydantic", "rich", "typer", "hwconfig", "chipflow.backends")
    done = python(f"import sys, chipflow.testing.plugin; print([name for name in {heavy!r} if name in sys.modules])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
    assert "chipflow.testing.plugin" in sys.modules  # through its entry point
