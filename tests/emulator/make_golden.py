"""Writes the golden recordings anew: `python -m tests.emulator.make_golden`. Only for a change that is meant: look at the difference.

Each file holds all that a run needs and all that the reference emulator answered, so that it can be read without this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator import ReferenceEmulator
from chipflow.events import EventArray, RunResult, make_events
from hwconfig import ChipConfig, Destination, DvsDestination, DvsLayerConfig, ReadoutConfig

from .builders import Kind, chip, core, pointwise, relay

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Recording:
    """A run; `options` are those of the emulators, as JSON has them."""

    config: ChipConfig
    events: EventArray
    duration: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def played(self, kind: Kind) -> Any:
        """What an emulator answers, as plain data."""
        traced = {int(name): [tuple(neuron) for neuron in neurons] for name, neurons in self.options.get("trace", {}).items()}
        emulator = kind(self.config, **dict(self.options) | {"trace": traced})
        return plain(emulator.run(self.events, duration=self.duration))


def plain(result: RunResult) -> Any:
    """All of a result, as it comes back from JSON."""
    sensor, readout = result.sensor, result.readout
    parts: dict[str, Any] = {
        "accounting": asdict(result.accounting),
        "counters": {layer: asdict(counted) for layer, counted in result.counters.items()},
        "load": {layer: asdict(load) for layer, load in result.load.items()},
        "events": result.events.tolist(),
        "states": {layer: states.tolist() for layer, states in result.states.items()},
        "traces": {layer: trace.tolist() for layer, trace in result.traces.items()},
        "sensor": sensor and {"counters": asdict(sensor.counters), "raw": sensor.raw.tolist()},
        "readout": readout and asdict(readout) | {"values": readout.values.tolist(), "pins": readout.pins.tolist()},
    }
    return json.loads(json.dumps(parts))


def to_text(recording: Recording) -> str:
    """The file."""
    document = {
        "config": json.loads(recording.config.to_json()),
        "options": dict(recording.options),
        "duration": recording.duration,
        "fields": recording.events.dtype.names,
        "events": recording.events.tolist(),
        "expected": recording.played(ReferenceEmulator),
    }
    return lines(document, depth=2) + "\n"


def lines(value: Any, depth: int) -> str:
    """JSON, fields down to this depth on lines of their own: small, and a difference shows which of them it is about."""
    if depth == 0 or not isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))
    return "{\n" + ",\n".join(f"{json.dumps(name)}:{lines(item, depth - 1)}" for name, item in value.items()) + "\n}"


def from_text(text: str) -> tuple[Recording, Any]:
    """The run in a file, and what is expected of it."""
    document = json.loads(text)
    columns = dict(zip(document["fields"], np.array(document["events"]).T, strict=True))
    config = ChipConfig.from_json(json.dumps(document["config"]))
    return Recording(config, make_events(**columns), document["duration"], document["options"]), document["expected"]


def events(seed: int, count: int, shape: tuple[int, int, int], end: int) -> EventArray:
    """Events with some ties."""
    rng = np.random.default_rng(seed)
    p, y, x = (rng.integers(0, size, count) for size in shape)
    return make_events(x, y, np.sort(rng.integers(0, end, count)), p)


def weights(seed: int, shape: tuple[int, ...], low: int, high: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True)


def chain() -> Recording:
    """Pooling of a 9 x 9 map, which leaves a remainder; a decimator; all neurons of a map into one layer."""
    cores = {
        3: core((2, 9, 9), weights(1, (3, 2, 3, 3), -3, 6), Destination(layer=1, pooling=2), padding=(1, 1), threshold_high=8, threshold_low=-8),
        1: core(
            (3, 4, 4), weights(2, (4, 3, 3, 3), -3, 6), 8, threshold_high=9, threshold_low=-20,
            output_decimator_enable=True, output_decimator_interval=0,
        ),
        8: core((4, 2, 2), weights(3, (5, 4, 2, 2), -4, 9), threshold_high=11, threshold_low=-7),
    }  # fmt: skip
    return Recording(chip(cores), events(4, 40, (2, 9, 9), 5000))


def residual(order: str, entries: tuple[int, ...] = (0,)) -> Recording:
    """A block that is skipped by a second destination; its spikes and the skipping ones meet on features 0 to 2 and 2 to 4."""
    skip = Destination(layer=5, feature_shift=2)
    cores = {
        0: core((1, 5, 5), weights(5, (3, 1, 3, 3), -2, 5), 7, skip, stride=(2, 2), padding=(1, 1), threshold_high=4, threshold_low=-4),
        7: core((3, 3, 3), weights(6, (3, 3, 3, 3), -3, 4), 5, padding=(1, 1), threshold_high=5, threshold_low=-9),
        5: core((5, 3, 3), weights(7, (2, 5, 3, 3), -5, 5), padding=(1, 1), threshold_high=6, threshold_low=-6),
    }  # fmt: skip
    return Recording(chip(cores), events(8, 36, (1, 5, 5), 900), options={"order": order, "entries": list(entries)})


def leak() -> Recording:
    """Biases of both signs with both kinds of reset, initial values beyond the bounds, and ticks after the last event."""
    fields = {
        "leak_enable": True,
        "biases": np.array([3, -2, 0]),
        "neurons_initial_value": weights(9, (3, 2, 3), -25, 40),
        "threshold_high": 12,
        "threshold_low": -10,
    }
    cores = {
        6: core((1, 2, 3), weights(10, (3, 1, 1, 1), 2, 7), 2, return_to_zero=True, **fields),
        2: core((3, 2, 3), weights(11, (3, 3, 1, 1), -4, 20), **fields),
    }
    options = {"slow_clock_period_us": 70, "load_window_us": 100, "trace": {"2": [[0, 0, 0], [1, 1, 2]]}}
    return Recording(chip(cores), events(12, 40, (1, 2, 3), 1000), 1500, options)


def sensor() -> Recording:
    """Every block of the sensor, and two destinations."""
    part = DvsLayerConfig(
        merge=True,
        pooling=(4, 2),
        origin=(3, 2),
        cut=(6, 7),
        mirror=(False, True),
        mirror_diagonal=True,
        monitor_enable=True,
        raw_monitor_enable=True,
        destinations=[DvsDestination(layer=4), DvsDestination(layer=2)],
    )
    cores = {
        4: core((1, 6, 4), weights(13, (2, 1, 3, 3), -1, 3), 8, threshold_high=3, threshold_low=-3),
        2: relay((1, 6, 4)),
        8: core((2, 4, 2), weights(14, (2, 2, 1, 1), -2, 3), threshold_high=2, threshold_low=-2),
    }
    return Recording(chip(cores, dvs_layer=part), events(15, 70, (2, 32, 18), 3000))


def readout() -> Recording:
    """Four classes on a chip with the erratum, averaged over 16 periods, of which the run has more."""
    spread = np.zeros((13, 4), int)
    spread[[0, 4, 8, 12], range(4)] = 1
    part = ReadoutConfig(enable=True, monitor_enable=True, readout_pin_monitor_enable=True, threshold=1, output_mode_sel=1)
    cores = {0: relay((4, 1, 1), 5), 5: pointwise((4, 1, 1), spread, 12)}
    p = np.random.default_rng(16).choice(4, 90, p=[0.1, 0.2, 0.5, 0.2])
    times = np.sort(np.random.default_rng(17).integers(0, 300, 90))
    return Recording(chip(cores, readout=part), make_events(0, 0, times, p), 800, {"slow_clock_period_us": 40})


def recordings() -> dict[str, Recording]:
    """By name of file."""
    return {
        "chain": chain(),
        "residual_depth_first": residual("depth_first"),
        "residual_breadth_first": residual("breadth_first"),
        "leak": leak(),
        "sensor": sensor(),
        "readout": readout(),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, recording in recordings().items():
        (FOLDER / f"{name}.json").write_text(to_text(recording), encoding="utf-8")
