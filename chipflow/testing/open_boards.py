"""Boards that are open for the tests of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chipflow.backends.base import Device


class OpenBoards:
    """Boards that are open, or why they could not be opened: opening takes seconds, and fails as slowly.

    Attributes:
        suspect: a test failed on one of them.
    """

    def __init__(self) -> None:
        self._open: dict[str, Device] = {}
        self._failed: dict[str, str] = {}
        self.suspect = False

    def get(self, name: str) -> Device:
        """The board, opened now if it is not yet."""
        if name in self._failed:
            pytest.fail(self._failed[name], pytrace=False)
        if name not in self._open:
            try:
                self._open[name] = open_target(name)
            except pytest.fail.Exception as error:
                self._failed[name] = str(error)
                raise
        return self._open[name]

    def close(self) -> None:
        """Gives all of them back."""
        self.suspect = False
        while self._open:
            self._open.popitem()[1].close()


boards_key = pytest.StashKey[OpenBoards]()
"""Where pytest's configuration has them."""


def open_target(name: str) -> Device:
    """The device; one that cannot be opened fails the test with the reason, and no traceback."""
    from chipflow.backends.opening import open_device
    from chipflow.errors import DeviceError

    try:
        return open_device(name)
    except DeviceError as error:
        message = str(error)
    pytest.fail(f"target {message if message.startswith(name) else f'{name}: {message}'}", pytrace=False)
