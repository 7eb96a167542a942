"""Plain-text tables, so that every part prints them alike."""

from __future__ import annotations

from collections.abc import Sequence


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = 140) -> str:
    """A table as text: the first column to the left, the others to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    result = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    for i, name in enumerate(header):
        result.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        result.add_row(*row)
    console = Console(width=width, color_system=None, file=None)
    with console.capture() as capture:
        console.print(result)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
