"""Who may know whom: the import rules of the house, as data, checked against the syntax tree of every file.

An import counts wherever it stands: inside a function, under `TYPE_CHECKING`, or as `import_module("name")`. Where a heavy or
optional library may be used but must not be loaded by the import of the package, the table has it under `lazy`.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("hwconfig", "chipflow")

OPEN_TO_ALL = (*sys.stdlib_module_names, "numpy")
COMMON_IN_CHIPFLOW = ("chipflow.errors", "chipflow.tables")
PYDANTIC = ("pydantic", "pydantic_core")  # one library in two packages
IMPORTED_BY_NOBODY = ("chipflow.cli", "chipflow.testing")


@dataclass(frozen=True)
class Row:
    """What a package may import beside itself, the standard library and numpy; names stand for all that is below them."""

    may: tuple[str, ...] = ()
    lazy: tuple[str, ...] = ()  # only inside a function or under TYPE_CHECKING
    never: tuple[str, ...] = IMPORTED_BY_NOBODY  # beats the other two


def room(*may: str, lazy: tuple[str, ...] = (), never: tuple[str, ...] = IMPORTED_BY_NOBODY) -> Row:
    """A row of chipflow, where errors and tables are open to every package."""
    return Row((*COMMON_IN_CHIPFLOW, *may), lazy, never)


COMPILER = room(
    "chipflow.frontends", "chipflow.ir", "chipflow.passes", "chipflow.allocation", "chipflow.emit", "chipflow.compiler",
    "chipflow.program", "chipflow.program_file", "chipflow.fitting", "chipflow.quantization", "chipflow.events",
    "chipflow.backends.base", "chipflow.backends.opening", "hwconfig", *PYDANTIC,
)  # fmt: skip
READER = room("chipflow", "hwconfig", *PYDANTIC, "rich", "tqdm", lazy=("torch", "chipflow.snn", "matplotlib"))
FRONT_DOOR = room(
    "chipflow", "hwconfig", *PYDANTIC, "typer", "click", "rich", "tqdm", "pytest",
    lazy=("torch", "sklearn", "numba", "networkx", "chipflow.snn"), never=(),
)  # fmt: skip

# The row of the longest matching name holds.
TABLE: dict[str, Row] = {
    "hwconfig": Row(PYDANTIC),
    "chipflow": Row(lazy=("chipflow", "hwconfig")),  # chipflow/__init__.py: public names are resolved when asked for
    "chipflow.__main__": FRONT_DOOR,
    "chipflow.tables": Row(("rich",)),
    "chipflow.progress": Row(("rich",)),
    "chipflow.versions": room(lazy=("chipflow.emulator",)),
    "chipflow.errors": Row(("hwconfig", "chipflow.tables")),
    "chipflow.events": room("hwconfig"),
    "chipflow.events.formats.libraries": room("chipflow.events", lazy=("faery", "lz4", "zstandard", "h5py", "hdf5plugin")),
    "chipflow.quantization": room(),
    "chipflow.snn": room("chipflow.events", "chipflow.quantization", "torch", "numba", lazy=("matplotlib",)),
    "chipflow.snn.fused.triton_kernels": room("triton"),  # loaded by the first call on CUDA
    "chipflow.ir": room("networkx", *PYDANTIC),
    "chipflow.frontends": room("chipflow.ir", lazy=("torch", "chipflow.snn")),
    "chipflow.frontends.nir": room("chipflow.ir", lazy=("torch", "chipflow.snn", "nir")),
    "chipflow.frontends.sinabs": room(
        "chipflow.ir", "chipflow.frontends.torch_modules", "chipflow.frontends.sinabs_sensor", lazy=("torch", "chipflow.snn")
    ),
    "chipflow.passes": room("chipflow.ir", "chipflow.quantization", *PYDANTIC, "hwconfig.chip", "hwconfig.memory"),
    "chipflow.allocation": room(
        "chipflow.ir",
        "chipflow.quantization",
        *PYDANTIC,
        "hwconfig.chip",
        "hwconfig.memory",
        "hwconfig.rules",
        "hwconfig.shapes",
        "hwconfig.core_config",
        "hwconfig.violations",
    ),
    "chipflow.emit": room("chipflow.ir.plan", "chipflow.allocation", "hwconfig"),
    "chipflow.emulator": room("hwconfig", "chipflow.events", "numba", "llvmlite"),
    "chipflow.backends": room("hwconfig", "chipflow.events"),
    "chipflow.backends.emulated": room("hwconfig", "chipflow.events", "chipflow.backends", "chipflow.emulator"),
    "chipflow.backends.board": room("hwconfig", "chipflow.events", "chipflow.backends", "chipflow.emulator"),
    "chipflow.backends.samna": room("hwconfig", "chipflow.events", "chipflow.backends", lazy=("samna",)),
    "chipflow.compiler": COMPILER,
    "chipflow.fitting": COMPILER,
    "chipflow.program": COMPILER,
    "chipflow.program_file": COMPILER,
    "chipflow.report": READER,
    "chipflow.evaluate": READER,
    "chipflow.cli": FRONT_DOOR,
    "chipflow.demo": FRONT_DOOR,
    "chipflow.doctor": room("hwconfig", "chipflow.events", "chipflow.emulator", "chipflow.backends", "chipflow.versions"),
    "chipflow.testing": FRONT_DOOR,
}

# What the import of a package must not load.
LOADS_NOT: dict[str, tuple[str, ...]] = {
    "hwconfig": ("torch", "numba", "networkx", "samna", "chipflow"),
    "chipflow": ("torch", "numba", "networkx", "pydantic", "samna"),
    "chipflow.snn": ("triton",),
    "chipflow.emulator": ("torch", "networkx", "samna"),
    "chipflow.cli": ("torch", "samna"),
}


@dataclass(frozen=True)
class Import:
    """One imported module, and whether it is loaded only later or never (inside a function, for the type checker)."""

    target: str
    line: int
    lazy: bool


def is_below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def row_name(module: str) -> str:
    """The longest name in the table that holds the module; the row `chipflow` is the package's own file only."""
    names = [name for name in TABLE if is_below(module, (name,)) and (name != "chipflow" or module == "chipflow")]
    return max(names, key=len, default="")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def targets(node: ast.AST, package: str) -> list[str]:
    """The modules a statement or call imports; `from a import b` names a.b where that is a module, else a."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
        full = [f"{base}.{alias.name}" for alias in node.names]
        return [name if name in MODULES else base for name in full]
    if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return [name.value if not name.value.startswith(".") else importlib.util.resolve_name(name.value, package)]
    return []


def imports(node: ast.AST, package: str, lazy: bool = False) -> Iterator[Import]:
    for target in targets(node, package):
        yield Import(target, getattr(node, "lineno", 0), lazy)
    inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(node)
    for child in ast.iter_child_nodes(node):
        yield from imports(child, package, inside)


def objection(module: str, found: Import) -> str | None:
    """Why this import breaks the table, or None."""
    name = row_name(module)
    row, target = TABLE[name], found.target
    # The row `chipflow` is one file: what is below it is not its own.
    own = target == module or (name != "chipflow" and is_below(target, (name,)))
    if own or is_below(target, OPEN_TO_ALL):
        return None
    if is_below(target, row.never):
        return f"{name} must never import {target}"
    if is_below(target, row.lazy) and not found.lazy:
        return f"{name} may import {target} only inside a function"
    if not is_below(target, row.may + row.lazy):
        return f"{name} may not import {target}"
    return None


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    if not row_name(module):
        return [f"{module} has no row in the table of tests/test_architecture.py"]
    package = module if is_package else module.rpartition(".")[0]
    judged = [(found, objection(module, found)) for found in imports(ast.parse(source), package)]
    return [f"{module}:{found.line}: {reason}" for found, reason in judged if reason]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_obey_the_table(module: str) -> None:
    path = MODULES[module]
    found = violations(module, path.read_text(encoding="utf-8"), path.name == "__init__.py")
    assert not found, "\n".join(found)


def test_samna_is_imported_in_one_file_only() -> None:
    users = {
        module
        for module, path in MODULES.items()
        if any(is_below(found.target, ("samna",)) for found in imports(ast.parse(path.read_text(encoding="utf-8")), module))
    }
    assert users <= {"chipflow.backends.samna"}


@pytest.mark.parametrize("module", sorted(LOADS_NOT))
def test_import_stays_light(module: str) -> None:
    """In a process of its own, as this one has loaded everything already."""
    if module not in MODULES:
        pytest.skip(f"{module} is not written yet")
    code = f"import sys, {module}; print(*(name for name in {LOADS_NOT[module]!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"import {module} loads {done.stdout.strip()}"


FORBIDDEN = [
    ("hwconfig.chip", "import torch"),
    ("hwconfig.chip", "from chipflow import errors"),
    ("hwconfig.vendor", "def f():\n    import samna"),
    ("chipflow", "import chipflow.compiler"),
    ("chipflow.ir.graph", "from chipflow.passes import quantize"),
    ("chipflow.ir.graph", "from ..passes.quantize import run"),
    ("chipflow.passes.split", "from hwconfig.config import ChipConfig"),
    ("chipflow.passes.split", "from chipflow.allocation.solve import place"),
    ("chipflow.passes.split", "if TYPE_CHECKING:\n    import torch"),
    ("chipflow.emulator.kernels", "import importlib\nimportlib.import_module('torch')"),
    ("chipflow.frontends.torch_fx", "import torch.fx"),
    ("chipflow.frontends.torch_fx", "def f():\n    import nir"),
    ("chipflow.backends.samna", "import samna"),
    ("chipflow.backends.base", "def f():\n    from chipflow.emulator import Emulator"),
    ("chipflow.report.summary", "from chipflow.cli import app"),
    ("chipflow.report.compare", "import torch"),
    ("chipflow.somewhere", "import json"),
]
ALLOWED = [
    ("hwconfig.chip", "import json, numpy.typing, pydantic"),
    ("chipflow", "def __getattr__(name):\n    from chipflow.compiler import compile"),
    ("chipflow.ir.graph", "import networkx\nfrom .nodes import Node\nfrom ..errors import ChipflowError"),
    ("chipflow.passes.split", "from hwconfig.chip import ChipSpec\nfrom hwconfig.memory import words"),
    ("chipflow.frontends.torch_fx", "def f():\n    import torch.fx"),
    ("chipflow.backends.samna", "def f():\n    import samna"),
    ("chipflow.backends.emulated", "from chipflow.emulator import Emulator"),
]


@pytest.mark.parametrize(("module", "source"), FORBIDDEN)
def test_the_checker_objects(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(("module", "source"), ALLOWED)
def test_the_checker_lets_pass(module: str, source: str) -> None:
    assert violations(module, source) == []
