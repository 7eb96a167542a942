"""Graphs of two nodes."""

from __future__ import annotations

from typing import Any

from samna._faults import Surface


class EventFilterGraph(Surface):
    """Joins a source with a model's sink, or a model's source with a sink; what is not started passes nothing."""

    __slots__ = ("_chains", "_running")

    def __init__(self) -> None:
        self._chains: list[tuple[Any, Any]] = []
        self._running = False

    def sequential(self, nodes: list[Any]) -> list[Any]:
        first, last = nodes
        if getattr(first, "CHIP", None) != getattr(last, "CHIP", None):
            raise TypeError(f"{type(first).__name__} and {type(last).__name__} do not fit together")
        self._chains.append((first, last))
        return nodes

    def start(self) -> None:
        self._running = True
        for first, last in self._chains:
            _join(first, last, True)

    def stop(self) -> None:
        self._running = False
        for first, last in self._chains:
            _join(first, last, False)


def _join(first: Any, last: Any, on: bool) -> None:
    if hasattr(first, "_target"):
        first._target = last if on else None
    else:
        last._origin = first if on else None
