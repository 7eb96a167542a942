"""The markers that say which devices a test is meant for: on others it is skipped, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chipflow.testing.targets import is_emulator

if TYPE_CHECKING:
    from chipflow.backends.base import Device

CAPABILITIES = ("counters", "exact", "power", "sensor")


def select_by_kind(item: pytest.Item, name: str) -> None:
    """Skips what is for the other kind of device than that of this name."""
    for marker, wanted in (("board_only", False), ("emulator_only", True)):
        found = item.get_closest_marker(marker)
        if found is not None and is_emulator(name) != wanted:
            pytest.skip(f"{marker}, and the target is {name}{_reason(*found.args, **found.kwargs)}")


def select_by_capability(item: pytest.Item, opened: Device) -> None:
    """Skips what this device cannot do; fails where a capability does not exist."""
    for marker in item.iter_markers("needs"):
        unknown = sorted(set(marker.args) - set(CAPABILITIES))
        if unknown or not marker.args:
            pytest.fail(f"needs({', '.join(map(repr, marker.args))}): known are {', '.join(CAPABILITIES)}", pytrace=False)
        missing = sorted(set(marker.args) - set(opened.capabilities))
        if missing:
            pytest.skip(f"needs {', '.join(missing)}, which {opened.name} does not have{_reason(**marker.kwargs)}")


def _reason(*reason: str, **named: str) -> str:
    given = [*reason, *named.values()]
    return f": {given[0]}" if given else ""
