"""Layers as they are given on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chipflow.backends.base import Runnable


def layers_named(program: Runnable, monitor: list[str] | None) -> list[str | int] | None:
    """What `--monitor` means: what is no layer's name may be a core's id."""
    known = {*program.parts, *program.config.layer_names.values()}
    return None if monitor is None else [int(name) if name not in known and name.isdecimal() else name for name in monitor]
