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
from chipflow.events.files import FORMATS, EventFile, load_events, open_events, save_events
from chipflow.events.readings import (
    PIN_DTYPE,
    READOUT_DTYPE,
    TRACE_DTYPE,
    CoreLoad,
    PowerReadings,
    RailPower,
    ReadoutOutput,
    SensorCounters,
    SensorOutput,
    StreamChunk,
)
from chipflow.events.result import Accounting, CoreCounters, RunResult
from chipflow.events.summary import EventSummary, summarise
from chipflow.events.transform import crop, downsample

__all__ = [
    "EVENT_DTYPE",
    "EVENT_LAYER_DTYPE",
    "FORMATS",
    "PIN_DTYPE",
    "READOUT_DTYPE",
    "TRACE_DTYPE",
    "Accounting",
    "CoreCounters",
    "CoreLoad",
    "EventArray",
    "EventFile",
    "EventSummary",
    "PowerReadings",
    "RailPower",
    "ReadoutOutput",
    "RunResult",
    "SensorCounters",
    "SensorOutput",
    "StreamChunk",
    "as_events",
    "crop",
    "downsample",
    "events_to_raster",
    "load_events",
    "make_events",
    "open_events",
    "raster_to_events",
    "rebase_time",
    "save_events",
    "summarise",
]
