"""Plain-text tables, so that every part prints them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import JustifyMethod

WIDEST, NARROWEST = 140, 80  # characters: where there is no terminal, and where it is too narrow for a table


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of numbers: the first column to the left, the others to the right."""
    return _table(title, header, rows, WIDEST, lambda column: "right" if column else "left")


def text_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of words, all to the left, as wide as the terminal."""
    width = max(get_terminal_size((WIDEST, 0)).columns, NARROWEST)
    return _table(title, header, rows, width, lambda column: "left")


def _table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], width: int, justify: Callable[[int], JustifyMethod]
) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    result = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    for i, name in enumerate(header):
        result.add_column(name, justify=justify(i), overflow="fold")
    for row in rows:
        result.add_row(*row)
    console = Console(width=width, color_system=None, file=None)
    with console.capture() as capture:
        console.print(result)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
