"""The pages do what they say: their Python blocks and commands run, in order, and print what the page shows.

In a page, ```python is executed, or, with a title, written to a file of that name; a ```text block titled "prints" right behind it
is what it printed; ```console has commands (`$ ...`) and their output. `...` stands for anything left out. Numbers may differ from
the page, since training gives other ones on other machines: how many, where, and the words around them may not.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import chipflow
import hwconfig
from chipflow import emulator, events, snn
from chipflow.cli import app

DOCS = Path(__file__).resolve().parent.parent / "docs"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![A-Za-z_.])-?\d[\d,.]*(?:e[-+]?\d+)?")
LEFT_OUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is, its title, its text, and where it starts."""

    kind: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    source = page.read_text(encoding="utf-8")
    return [Block(m[1], m[2] or "", m[3], source.count("\n", 0, m.start()) + 2) for m in FENCE.finditer(source)]


def is_run(block: Block) -> bool:
    return block.kind in ("python", "console") or block.title == "prints"


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if any(is_run(block) for block in blocks(page))]


def comparable(text: str) -> str:
    """Numbers and hashes masked; rules of tables of one length."""
    text = re.sub(r"sha256:[0-9a-f]+", "sha256:#", text)
    return re.sub("─+", "─", NUMBER.sub("#", text)).strip() + "\n"


def assert_shown(page: Path, line: int, shown: str, printed: str) -> None:
    matches = doctest.OutputChecker().check_output(comparable(shown), comparable(printed), LEFT_OUT)
    assert matches, f"{page.name}, line {line} shows\n{shown}\nbut this was printed\n{printed}"


def run_python(block: Block, page: Path, names: dict[str, Any]) -> str:
    """What the block prints; a traceback has the page's line numbers."""
    if block.title:
        Path(block.title).write_text(block.text, encoding="utf-8")
        return ""
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names)
    return printed.getvalue()


def commands(block: Block) -> Iterator[tuple[int, str, str]]:
    """(line, command, output shown) for each `$ ...`; a line that ends with a backslash goes on in the next."""
    for match in re.finditer(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        yield block.line + block.text.count("\n", 0, match.start()), match[1].replace("\\\n", " "), match[2]


def run_console(block: Block, page: Path) -> None:
    """Each command, with the output and, where the page asks for it with `echo $?`, the exit code; 0 where it does not."""
    code = 0
    asked = [*[command for _, command, _ in commands(block)][1:], ""]
    for (line, command, shown), following in zip(commands(block), asked, strict=True):
        program, *arguments = shlex.split(command)
        if program == "echo":
            assert (arguments, shown.strip()) == (["$?"], str(code)), f"{page.name}, line {line}: the exit code was {code}"
            continue
        assert program == "chipflow", f"{page.name}, line {line}: {command}"
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "140"})
        code = result.exit_code
        assert_shown(page, line, shown, result.output)
        assert code == 0 or following == "echo $?", f"{page.name}, line {line}: exit code {code}\n{result.output}"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Pages may set the number of threads."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_page_does_what_it_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    try:
        for block in blocks(page):
            if block.kind == "python":
                printed = run_python(block, page, names)
            elif block.kind == "console":
                run_console(block, page)
            elif block.title == "prints":
                assert_shown(page, block.line, block.text, printed)
    finally:
        sys.modules.pop("model", None)


def test_the_quick_start_is_among_the_pages() -> None:
    kinds = {block.kind for block in blocks(DOCS / "index.md")}
    assert DOCS / "index.md" in PAGES
    assert {"python", "console"} <= kinds


def test_every_public_name_is_in_the_reference() -> None:
    fill = runpy.run_path(str(DOCS / "generate.py"))["on_page_markdown"]
    reference = "\n".join(fill(page.read_text(encoding="utf-8")) for page in sorted((DOCS / "reference").glob("*.md")))
    public = {f"{package.__name__}.{name}" for package in (chipflow, events, emulator, hwconfig, snn) for name in package.__all__}
    missing = [name for name in sorted(public) if not re.search(rf"\b{name.rpartition('.')[2]}\b", reference)]
    assert not missing
