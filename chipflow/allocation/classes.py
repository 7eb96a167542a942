"""Cores that are the same to every layer, and the smallest sets of them that hold a layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chipflow.allocation.bounds import Bounds, covers
from chipflow.allocation.problem import Problem

Choice = tuple[int, ...]
"""How many cores of each class a layer takes."""


@dataclass(frozen=True)
class CoreClass:
    """Cores that every layer could use alike, at the same cost: their columns, ascending."""

    columns: tuple[int, ...]


def classes_of(problem: Problem) -> tuple[CoreClass, ...]:
    """The classes, in the order of their first cores."""
    groups: dict[tuple[bytes, tuple[int, ...]], list[int]] = {}
    for column in range(len(problem.chip.cores)):
        alike = problem.most[:, column].tobytes(), tuple(problem.cost[:, column].tolist())
        groups.setdefault(alike, []).append(column)
    return tuple(CoreClass(tuple(columns)) for columns in groups.values())


def choices(problem: Problem, bounds: Bounds, row: int, classes: tuple[CoreClass, ...], most_parts: int) -> Iterator[Choice]:
    """Every set of cores that holds the layer and would not hold it with one core less."""
    pinned = problem.pins.get(problem.names[row], ())
    if len(pinned) > 1:
        yield _pinned(problem, bounds, row, classes)
        return
    most = [int(problem.most[row, group.columns[0]]) for group in classes]
    order = sorted((i for i, count in enumerate(most) if count), key=lambda i: (-most[i], i))
    for taken in _descending(order, most, [len(group.columns) for group in classes], int(problem.features[row]), most_parts):
        whole = len(taken) == 1
        if whole or covers([most[i] for i in taken], int(problem.features[row]), bounds.least_last[row], ordered=False):
            yield tuple(taken.count(i) for i in range(len(classes)))


def _descending(order: list[int], most: list[int], free: list[int], missing: int, parts: int) -> Iterator[list[int]]:
    """Classes, the roomiest first, up to the core that completes the layer: without any of them it would not be complete."""
    for position, i in enumerate(order):
        if most[i] * parts < missing:
            return
        if most[i] >= missing:
            if free[i]:
                yield [i]
            continue
        if free[i]:
            left = [count - (other == i) for other, count in enumerate(free)]
            for rest in _descending(order[position:], most, left, missing - most[i], parts - 1):
                yield [i, *rest]


def _pinned(problem: Problem, bounds: Bounds, row: int, classes: tuple[CoreClass, ...]) -> Choice:
    columns = [problem.column_of[core] for core in problem.pins[problem.names[row]]]
    return tuple(sum(column in group.columns for column in columns) for group in classes)
