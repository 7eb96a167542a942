# pyright: standard
"""The kernels' object code: compiled once by numba, kept in a file, loaded from there by LLVM alone.

numba needs about half a second to start, also where its own cache is warm; most runs are shorter than that. What it compiled is
kept with everything it depends on in the file's name, and a checksum in its first line.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm

from hwconfig.replacing import replacing

CACHE_VARIABLE = "CHIPFLOW_CACHE_DIR"
SOURCES = ("kernels.py", "records.py", "vectors.py")


@dataclass(frozen=True)
class Compiled:
    """Object code, the name of the function in it, and what it refers to without ever calling it: error paths of numba's own."""

    code: bytes
    name: str
    unused: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """A line of JSON, then the code."""
        head = asdict(self) | {"code": hashlib.sha256(self.code).hexdigest()}
        return json.dumps(head).encode() + b"\n" + self.code

    @staticmethod
    def from_bytes(data: bytes) -> Compiled | None:
        """None for anything damaged."""
        line, _, code = data.partition(b"\n")
        try:
            head = json.loads(line)
            intact = head["code"] == hashlib.sha256(code).hexdigest()
            return Compiled(code, head["name"], tuple(head["unused"])) if intact else None
        except (ValueError, TypeError, KeyError):
            return None


@cache
def function() -> Callable[[int], int]:
    """`kernels.advance_c`, which takes the address of a list; the call lets other threads run."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    compiled = _cached() or _compile_and_keep()
    for name in compiled.unused:
        if llvm.address_of_symbol(name) is None:
            llvm.add_symbol(name, ctypes.cast(ctypes.pythonapi.Py_FatalError, ctypes.c_void_p).value)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(compiled.code))
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
    loaded = kind(engine.get_function_address(compiled.name))
    loaded.engine = engine  # pyright: ignore[reportAttributeAccessIssue]  # the code lives as long as its engine
    return loaded


def _machine() -> llvm.TargetMachine:
    target = llvm.Target.from_default_triple()
    features = llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(llvm.get_host_cpu_name(), features, opt=3, codemodel="jitdefault", jit=True)


def _cached() -> Compiled | None:
    for folder in cache_folders():
        try:
            compiled = Compiled.from_bytes((folder / cache_file_name()).read_bytes())
        except OSError:
            continue
        if compiled is not None:
            return compiled
    return None


def _compile_and_keep() -> Compiled:
    compiled = _compile()
    for folder in cache_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder, compiled.to_bytes())
            break
        except OSError:
            continue  # a read-only installation: the next folder, or else no file at all
    return compiled


def _write(folder: Path, data: bytes) -> None:
    """Other processes may write it, too."""
    with replacing(folder / cache_file_name()) as beside:
        beside.write_bytes(data)


def _compile() -> Compiled:
    from chipflow.emulator.kernels import advance_c

    module = llvm.parse_assembly(advance_c.inspect_llvm())
    unused = [f.name for f in module.functions if f.is_declaration and f.name.startswith(("numba_", "NRT_", "Py"))]
    return Compiled(_machine().emit_object(module), advance_c.native_name, tuple(unused))


def cache_folders() -> Iterator[Path]:
    """Where the file may be, best first; the first one that can be written to gets it."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        yield Path(named)
        return
    yield Path(__file__).parent / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chipflow"


@cache
def cache_file_name() -> str:
    """The file's name, made of all that the machine code depends on."""
    sources = [(Path(__file__).parent / name).read_bytes() for name in SOURCES]
    processor = [llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvm.get_default_triple()]
    versions = [version("numba"), version("llvmlite")]
    return f"kernels-{hashlib.sha256(b''.join([*sources, *(text.encode() for text in processor + versions)])).hexdigest()[:24]}.o"
