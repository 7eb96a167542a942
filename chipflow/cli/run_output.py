"""What `chipflow run` prints as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chipflow.events.readings import ReadoutOutput
    from chipflow.events.result import RunResult


def document(result: RunResult, output: Path | None) -> dict[str, Any]:
    """A run, without its spikes, which are in the file."""
    counters = {core: asdict(counter) | {"layer": result.names.get(core)} for core, counter in result.counters.items()}
    load = {
        core: asdict(load) | {"mean_per_s": load.mean_per_s, "worst_per_s": load.worst_per_s, "overloaded": load.overloaded}
        for core, load in result.load.items()
    }
    return {
        "accounting": asdict(result.accounting),
        "counters": counters,
        "load_estimate": load,
        "sensor": asdict(result.sensor.counters) if result.sensor and result.counters else None,
        "readout": result.readout and _readout(result.readout),
        "warnings": result.warnings(),
        "output": output and str(output),
    }


def _readout(block: ReadoutOutput) -> dict[str, Any]:
    counted = block.events_in > 0  # a board does not count
    return {
        "events_in": block.events_in if counted else None,
        "without_class": block.without_class if counted else None,
        "values": [{"t": int(t), "value": int(value)} for t, value in block.values],
        "pins": [{"t": int(t), "index": int(index)} for t, index in block.pins],
    }
