"""Calls in a `forward` that only flatten, and where in the code a call stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch.fx import Node

_FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>\S+)\n +(?P<code>.+)')
_TORCH = str(Path(torch.__file__).parent)


def called(node: Node) -> str:
    """Name of the function or method that a node calls."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def is_size(value: Any) -> bool:
    """Whether a value is x.shape or x.size(), or the size of the batch in it."""
    return isinstance(value, Node) and (_is_shape(value) or _is_batch(value))


def flattened_axes(node: Node) -> tuple[int, int] | None:
    """First and last axis that a call flattens; None if it does something else.

    Known are torch.flatten(x, 1), and x.view(x.size(0), -1) with its relatives: reshape, x.shape[0], and a number for the -1 or the size of the batch,
    which then has to be right for the model to run.
    """
    if called(node) == "flatten":
        start, end = (*node.args[1:], 0, -1)[0], (*node.args[2:], -1)[0]
        return node.kwargs.get("start_dim", start), node.kwargs.get("end_dim", end)  # pyright: ignore[reportReturnType]
    if called(node) not in ("view", "reshape"):
        return None
    sizes: Any = (*node.args[1:], *node.kwargs.values())
    if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        sizes = sizes[0]
    flat = len(sizes) == 2 and isinstance(sizes[1], int) and (_is_batch(sizes[0]) or (sizes[0] == -1 and sizes[1] > 0))
    return (1, -1) if flat else None


def place_of(node: Node) -> str:
    """Where a call stands, for messages: its line in the user's code, as far as torch.fx has noted it."""
    frames = [frame for frame in _FRAME.finditer(node.stack_trace or "") if not frame["file"].startswith(_TORCH)]
    if not frames:
        return "in forward"
    file, line, function, code = frames[-1].groups()
    return f"in {function} ({Path(file).name}, line {line}: {code.strip()})"


def _is_shape(value: Any) -> bool:
    if not isinstance(value, Node) or value.op not in ("call_function", "call_method"):
        return False
    if called(value) == "getattr":
        return bool(value.args[1] == "shape")
    return called(value) == "size" and len(value.args) == 1 and not value.kwargs


def _is_batch(value: Any) -> bool:
    if not isinstance(value, Node) or value.op not in ("call_function", "call_method"):
        return False
    if called(value) == "getitem":
        return _is_shape(value.args[0]) and bool(value.args[1] == 0)
    return called(value) == "size" and [*value.args[1:], *value.kwargs.values()] == [0]
