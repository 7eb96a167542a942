"""Fresh interpreters, in which chosen packages cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# An attempt is also printed, as code may catch the error and do without.
_BLOCK = """
import sys
class Blocked:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            print("import of", name, file=sys.stderr)
            raise ModuleNotFoundError(f"No module named {{name!r}}: blocked by the test", name=name)
sys.meta_path.insert(0, Blocked)
"""


def python(
    code: str, *arguments: object, blocked: tuple[str, ...] = (), stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the code at the project's root; importing a blocked package, or a part of one, fails there."""
    command = [sys.executable, "-c", _BLOCK.format(blocked=blocked) + code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)
