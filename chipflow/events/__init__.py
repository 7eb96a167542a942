"""Events: the one array type, rasters, files, and what a run reports."""

from chipflow.events.array import (
    EVENT_DTYPE,
    EVENT_LAYER_DTYPE,
    EventArray,
    as_events,
    events_to_raster,
    make_events,
    raster_to_events,
    rebase_time,
)
from chipflow.events.files import load_events, save_events
from chipflow.events.readings import (
    PIN_DTYPE,
    READOUT_DTYPE,
    TRACE_DTYPE,
    CoreLoad,
    ReadoutOutput,
    SensorCounters,
    SensorOutput,
)
from chipflow.events.result import Accounting, CoreCounters, RunResult

__all__ = [
    "EVENT_DTYPE",
    "EVENT_LAYER_DTYPE",
    "PIN_DTYPE",
    "READOUT_DTYPE",
    "TRACE_DTYPE",
    "Accounting",
    "CoreCounters",
    "CoreLoad",
    "EventArray",
    "ReadoutOutput",
    "RunResult",
    "SensorCounters",
    "SensorOutput",
    "as_events",
    "events_to_raster",
    "load_events",
    "make_events",
    "raster_to_events",
    "rebase_time",
    "save_events",
]
