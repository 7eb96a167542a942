"""Plain-text tables, so that every part prints them alike."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

WIDEST, NARROWEST = 140, 80  # characters: where there is no terminal, and where it is too narrow for a table


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of numbers: the first column to the left, the others to the right."""
    result = _empty(title)
    for i, name in enumerate(header):
        result.add_column(_text(name), justify="right" if i else "left", overflow="fold")
    return _printed(result, rows, WIDEST)


def text_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, whole: Collection[str] = ()) -> str:
    """A table of words, all to the left, as wide as the terminal; the columns in `whole` are names, which are never broken."""
    result = _empty(title)
    for name in header:
        result.add_column(_text(name), overflow="fold", no_wrap=name in whole)
    return _printed(result, rows, terminal_width())


def terminal_width() -> int:
    """Characters in a line of the terminal, within bounds; the upper one where there is no terminal."""
    return max(get_terminal_size((WIDEST, 0)).columns, NARROWEST)


def _empty(title: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=_text(title), box=SIMPLE_HEAD, title_justify="left", title_style="bold")


def _printed(filled: Table, rows: Sequence[Sequence[str]], width: int) -> str:
    from rich.console import Console

    for row in rows:
        filled.add_row(*map(_text, row))
    console = Console(width=width, color_system=None, file=None)
    with console.capture() as capture:
        console.print(filled)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _text(cell: str) -> Text:
    """What a user wrote is no markup."""
    from rich.text import Text

    return Text(cell)
