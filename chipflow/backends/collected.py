"""A stream as one result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from chipflow.backends.base import Runnable
from chipflow.backends.layers import cores_of
from chipflow.events.array import EVENT_LAYER_DTYPE, EventArray, make_events
from chipflow.events.readings import ReadoutOutput, StreamChunk
from chipflow.events.result import Accounting, RunResult


def collected(chunks: Iterable[StreamChunk], runnable: Runnable, cores: Sequence[int]) -> RunResult:
    """What a stream answered, as the result of a run without counters and states.

    Args:
        chunks: all of them, in order.
        runnable: the program that ran.
        cores: the monitored ones, in the order of the network.
    """
    found = list(chunks)
    config = runnable.config
    totals = {name: sum(getattr(chunk, name) for chunk in found) for name in ("sent", "late", "lost")}
    events = np.concatenate([np.empty(0, EVENT_LAYER_DTYPE), *(chunk.events for chunk in found)])
    readouts = [chunk.readout for chunk in found if chunk.readout is not None]
    result = RunResult(
        events=np.empty(0, EVENT_LAYER_DTYPE),
        counters={},
        states={},
        accounting=Accounting(received=len(events), **totals),
        monitored=tuple(cores),
        shapes={core: config.core(core).dimensions.output_shape for core in config.active_cores},
        duration=found[-1].end_us if found else None,
        readout=_read_out(readouts) if readouts else None,
    )
    return replace(result.with_names(config.layer_names, runnable.parts), events=events)  # a chunk has the layer's features


def by_layer(events: EventArray, runnable: Runnable) -> EventArray:
    """Reported spikes with the features of layers, where a core has those of a part only, as in a run's result."""
    config = runnable.config
    shapes = {core: config.core(core).dimensions.output_shape for core in config.active_cores}
    return RunResult(events, {}, {}, Accounting(), shapes=shapes).with_names(config.layer_names, runnable.parts).events


def _read_out(blocks: Sequence[ReadoutOutput]) -> ReadoutOutput:
    """What the readout block did in all windows."""
    values, pins = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("values", "pins"))
    counts = {name: sum(getattr(block, name) for block in blocks) for name in ("events_in", "counted", "without_class")}
    return ReadoutOutput(values, pins, **counts)


def layer_spikes(chunks: Iterable[StreamChunk], runnable: Runnable, layer: str | int) -> EventArray:
    """The spikes of one layer in a stream, x, y, t, p; p is the layer's feature.

    Raises:
        DeviceError: no such layer.
    """
    spikes = collected(chunks, runnable, cores_of(runnable, layer, "record")).spikes(layer)
    return make_events(*(spikes[name] for name in ("x", "y", "t", "p")))
