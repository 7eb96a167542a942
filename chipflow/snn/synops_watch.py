"""Hooks that come and go: by `with`, or by `start` and `stop`."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from torch import nn

from chipflow.snn.synops import SynopsHooks


class SynopsWatch(SynopsHooks):
    """Hooks on a model that are there between `start` and `stop`, and once only.

    Attributes:
        model: the model looked at.
    """

    model: nn.Module

    def start(self) -> Self:
        """Begin, or go on, to look at calls of the model."""
        if not self._handles:
            self._handles = self._hook(self.model)
        return self

    def stop(self) -> None:
        """Remove all hooks."""
        self._unhook()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()
