"""A chip's numbers stand in its TOML file and nowhere else: no size or limit is a literal in the code or a word in the pages.

Judged are the numbers of all chips above 8, and the neighbours of those from 64 (a comparison may be written with either). 16 and
32 bits and the largest int8, int16 and uint16 are widths of the code's own integers. Numbers up to 8 are too common to be judged.

Examples, benchmarks and pages have batch sizes, maps and dates of their own, so that there only numbers from 1,000 are judged: memories, rates,
features. What a page shows as printed (a fenced block) is judged by the test that runs the page.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from operator import add, lshift, mul, pow, sub
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = {str(path.relative_to(ROOT)): path for name in ("hwconfig", "chipflow") for path in sorted((ROOT / name).rglob("*.py"))}
WIDTHS = {16, 32, 127, 255, 32767, 65535}
NETWORKS = {"chipflow/demo.py"}  # features of a network are written out where it is defined
OWN_SIZES = {
    "BLOCK",
    "CHUNK",
    "BUDGET",
    "BATCH",
    "MOST_JOBS",
    "ROOM",
    "LINE",
}  # of working memory, in constants that end in these words

OPERATORS = {ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Pow: pow, ast.LShift: lshift}


def numbers(value: Any) -> set[float]:
    """All numbers in a chip's description."""
    if isinstance(value, dict):
        return numbers(list(value.values()))
    if isinstance(value, list):
        return {number for item in value for number in numbers(item)}
    return {value} if type(value) in (int, float) else set()


def chip_numbers() -> set[float]:
    found: set[float] = set()
    for path in (ROOT / "hwconfig" / "chips").glob("*.toml"):
        found |= numbers(tomllib.loads(path.read_text()))
    neighbours = {number + step for number in found if number >= 64 for step in (-1, 1)}
    return {number for number in found if number > 8} | neighbours - WIDTHS


CHIP_NUMBERS = chip_numbers() - WIDTHS


def value(node: ast.AST) -> float | None:
    """The number that a literal, or a power or shift of literals, stands for."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = value(node.left), value(node.right)
        return None if left is None or right is None else OPERATORS[type(node.op)](left, right)
    return None


def is_exempt(node: ast.AST) -> bool:
    """Negative numbers, slices of text, numbered columns, the sizes of working memory and of machine words are no limits of a chip."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).endswith("IntType")
    if isinstance(node, ast.Assign):
        names = [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        unpacked = isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Call)
        numbered = unpacked and ast.unparse(node.value).startswith("range(")  # columns: A, B, C = range(3)
        return numbered or all(name.endswith(tuple(OWN_SIZES)) for name in names)
    return isinstance(node, ast.Slice) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub))


def literals(node: ast.AST) -> Iterator[tuple[int, float]]:
    """(line, number) of all that is not exempt."""
    found = value(node)
    if found is not None:
        yield getattr(node, "lineno", 0), found
    elif not is_exempt(node):
        for child in ast.iter_child_nodes(node):
            yield from literals(child)


def chip_literals(source: str) -> list[tuple[int, float]]:
    return [(line, number) for line, number in literals(ast.parse(source)) if number in CHIP_NUMBERS]


@pytest.mark.parametrize("name", sorted(set(FILES) - NETWORKS))
def test_no_number_of_a_chip_in_the_code(name: str) -> None:
    found = chip_literals(FILES[name].read_text(encoding="utf-8"))
    assert not found, f"{name}: a chip's numbers belong into hwconfig/chips/*.toml, found (line, number): {found}"


def test_the_numbers_come_from_the_chips() -> None:
    assert {65536, 32768, 16384, 1024, 128, 64, 63, 15, 13, 12, 30_000_000} <= CHIP_NUMBERS
    assert not CHIP_NUMBERS & {0, 1, 2, 8, 16, 32, 127, 32767}


@pytest.mark.parametrize(
    "source",
    [
        "if words > 65536: pass",
        "SIZE = 1 << 14",
        "WORDS = 16 * 1024",
        "x = f(most=2**6)",
        "n <= 63",
        "f(64)",
        "rate = 3e7",
        "ids = range(12)",
    ],
)
def test_the_checker_objects(source: str) -> None:
    assert len(chip_literals(source)) == 1


@pytest.mark.parametrize(
    "source", ["BLOCK = 1 << 16", "low = -32768", "v > 32767", "bits <= 16", "hash[:15]", "ir.IntType(64)", "'65536'", "n == 8"]
)
def test_the_checker_lets_pass(source: str) -> None:
    assert chip_literals(source) == []


# --- examples, benchmarks, pages ---

SCRIPTS = sorted(path for folder in ("examples", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
PRINTED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.,-])\d[\d,_]*\d(?![\w.]*\d)")


def telling(numbers_found: set[float]) -> set[float]:
    """Those that hardly anything but a chip has."""
    return {number for number in numbers_found & CHIP_NUMBERS if number >= 1000}


def numbers_in_words(page: str) -> set[float]:
    """All whole numbers outside of fenced blocks; a number with a minus is no size."""
    return {float(found.replace(",", "").replace("_", "")) for found in NUMBER.findall(PRINTED.sub("", page))}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_number_of_a_chip_in_a_script(path: Path) -> None:
    assert not telling({number for _, number in literals(ast.parse(path.read_text(encoding="utf-8")))})


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_number_of_a_chip_in_a_page(path: Path) -> None:
    assert not telling(numbers_in_words(path.read_text(encoding="utf-8")))


def test_the_reader_of_pages_objects() -> None:
    page = "a core has 65,536 words\n```text\n32768\n```\nor 16384, at most 1024; -32768, v1024, 1.1024, 3000"
    assert telling(numbers_in_words(page)) == {65536, 16384, 1024}
