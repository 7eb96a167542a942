"""What can be compared of the answers of any device."""

from __future__ import annotations

from chipflow.backends.base import Device
from chipflow.events import RunResult
from tests.emulator.test_equality import assert_same


def counts(device: Device, result: RunResult) -> bool:
    """Whether the device counts what its cores did; where it does not, the result has neither counters nor states."""
    able = "counters" in device.capabilities
    assert bool(result.counters) == bool(result.states) == able
    return able


def assert_same_answer(device: Device, found: RunResult, wanted: RunResult) -> None:
    """The same spikes, and nothing late or lost; with counters, the same counters, states and load as well."""
    if counts(device, found) and wanted.counters:
        assert_same(found, wanted)
    assert found.events.tolist() == wanted.events.tolist()
    assert (found.monitored, found.shapes, found.duration) == (wanted.monitored, wanted.shapes, wanted.duration)
    accounts = found.accounting
    assert (accounts.sent, accounts.received) == (wanted.accounting.sent, wanted.accounting.received)
    assert (accounts.late, accounts.lost) == (0, 0)
