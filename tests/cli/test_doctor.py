"""chipflow doctor."""

from __future__ import annotations

import pytest

from chipflow.doctor import RULES
from chipflow.doctor.finding import Finding
from tests.cli.command_line import OK, WANTING, chipflow
from tests.processes import python

FINE = Finding("packages", "numpy", "ok", "2.0")
OPTIONAL = Finding("extras", "nir", "note", "nir is not installed", "install it")
BROKEN = Finding("boards", "Speck2f", "problem", "this user may not open it", "write rules")


def test_this_installation_is_fine():
    outcome = chipflow("doctor")
    assert outcome.code == OK, outcome.message
    for words in ("python", "numpy", "machine code", "works, in", "samna", "0 problems", "nothing is broken"):
        assert words in outcome.out
    document = chipflow("doctor", "--json").document
    assert document["ok"] is True
    assert {finding["part"] for finding in document["findings"]} == {"packages", "extras", "emulator", "boards"}


@pytest.mark.parametrize(("found", "code"), [([FINE], OK), ([FINE, OPTIONAL], OK), ([OPTIONAL, BROKEN], WANTING)])
def test_only_what_is_broken_is_exit_1_and_each_has_its_advice(monkeypatch, found, code):
    monkeypatch.setattr("chipflow.doctor.examine", lambda: found)
    outcome = chipflow("doctor")
    assert outcome.code == code
    for finding in found:
        assert finding.found in outcome.out
        assert finding.advice in outcome.out
    assert chipflow("doctor", "--json").document["ok"] == (code == OK)


def test_the_rules_alone_can_be_printed():
    outcome = chipflow("doctor", "--udev-rules")
    assert (outcome.code, outcome.out) == (OK, RULES)
    assert outcome.out.count('MODE="0666"') == 3


def test_it_imports_nothing_heavy_and_nothing_of_the_vendors():
    code = "from chipflow.doctor import examine; print(*(found.part for found in examine() if found.state == 'problem'))"
    done = python(code, blocked=("torch", "samna", "sinabs", "nir", "networkx", "pytest"))
    assert done.stdout.split() == [], done.stdout + done.stderr
    assert "import of" not in done.stderr


def test_python_dash_m_is_the_command():
    command = (
        "import runpy, sys; sys.argv = ['chipflow', 'doctor', '--udev-rules']; runpy.run_module('chipflow', run_name='__main__')"
    )
    done = python(command)
    assert (done.returncode, done.stdout) == (0, RULES), done.stderr
