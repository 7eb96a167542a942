"""How far a long job is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str) -> Iterator[Item]:
    """A progress bar on a terminal, nothing elsewhere; one that only moves where nobody knows how many items will come."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, what, console=console, disable=not console.is_terminal)
