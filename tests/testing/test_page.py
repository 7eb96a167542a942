"""The test file that docs/testing.md shows, run as a user would run it: on the emulator, and on a board of the stand-in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.backends.standin import standin

pytest_plugins = ["pytester"]
PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_file_of_the_page_runs_on_either(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    made, file = re.findall(r"^```python[^\n]*\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[:2]
    assert len(file.splitlines()) < 30
    monkeypatch.chdir(pytester.path)
    exec(compile(made, str(PAGE), "exec"), {})
    (pytester.path / "test_deploy.py").write_text(file, encoding="utf-8")
    pytester.runpytest_inprocess("--strict-markers").assert_outcomes(passed=3)
    with standin():
        pytester.runpytest_inprocess("--target", "speck2fdevkit:0").assert_outcomes(passed=2, skipped=1)
    pytester.runpytest_inprocess("--target", "speck2fdevkit:0").assert_outcomes(errors=3)  # no board
