"""The emulator where torch is not installed: its own tests, in a process that cannot import torch."""

from __future__ import annotations

import re
from pathlib import Path

from tests.processes import python

FOLDER = Path(__file__).parent
# A few examples of every property are enough to see what it imports; all of them run in the usual process.
PYTEST = """
import pytest, sys
class FewExamples:
    def pytest_configure(self):
        from hypothesis import settings
        every = settings.__init__
        settings.__init__ = lambda self, *args, **options: every(self, *args, **options | {"max_examples": 5})
sys.exit(pytest.main(sys.argv[1:], plugins=[FewExamples()]))
"""
OPTIONS = ("-q", "-m", "not slow", "-p", "no:xdist", "-p", "no:cacheprovider", f"--ignore={__file__}", FOLDER)


def test_the_emulator_tests_pass() -> None:
    done = python(PYTEST, *OPTIONS, blocked=("torch",))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "import of torch" not in done.stderr
    ran = sum(int(number) for number in re.findall(r"(\d+) (?:passed|skipped|deselected)", done.stdout.splitlines()[-1]))
    written = sum(path.read_text().count("\ndef test_") for path in FOLDER.glob("test_*.py") if path != Path(__file__))
    assert ran >= written > 0
