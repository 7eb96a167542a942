"""Random networks of cores and random streams, for property tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from chipflow.events import EventArray, make_events
from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions, synthetic_chip

CORES = 9
CHIP = synthetic_chip([(65536, 65536, 1024)] * CORES)


@dataclass(frozen=True)
class Case:
    """Everything that one run needs."""

    config: ChipConfig
    entries: tuple[int, ...]
    period: int
    events: EventArray
    duration: int | None

    def options(self, **more: Any) -> dict[str, Any]:
        return {"entries": self.entries, "slow_clock_period_us": self.period, "on_outside": "drop"} | more


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A network of up to nine cores without a loop, entries in any order, and a stream with ties and events outside."""
    config = draw(networks())
    ids = config.active_cores
    entries = tuple(draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3, unique=True)))
    events = draw(streams(config))
    end = int(events["t"][-1]) if events.size else 0
    duration = draw(st.one_of(st.none(), st.integers(end, end + 60)))
    return Case(config, entries, draw(st.integers(3, 40)), events, duration)


@st.composite
def networks(draw: st.DrawFn) -> ChipConfig:
    """Cores with other cores as sources, several of them, twice the same one, or none, on shuffled core ids."""
    count = draw(st.integers(1, CORES))
    ids = draw(st.permutations(range(CORES)))[:count]
    parts: dict[int, dict[str, Any]] = {}
    for i, core in enumerate(ids):
        free = [other for other in ids[:i] if len(parts[other]["destinations"]) < 2]
        parent = draw(st.sampled_from([*free, free[-1]])) if free and draw(st.integers(0, 5)) else None
        shape = _fed_by(draw, parts[parent], core) if parent is not None else draw(shapes())
        if parent is not None:
            _also_fed_by(draw, [parts[other] for other in free], core, shape)
        parts[core] = draw(cores(shape))
    return ChipConfig(chip=CHIP, cnn_layers={core: CoreConfig(**part) for core, part in parts.items()})


def _fed_by(draw: st.DrawFn, part: dict[str, Any], core: int) -> tuple[int, int, int]:
    features, height, width = part["dimensions"].output_shape
    pooling = draw(st.sampled_from([size for size in (1, 2, 4) if size <= min(height, width)]))
    shift = draw(st.sampled_from([0, 0, 0, 1, 3]))
    off = [Destination(layer=core, enable=False)] if not part["destinations"] and draw(st.booleans()) else []
    part["destinations"] = [*part["destinations"], *off, Destination(layer=core, pooling=pooling, feature_shift=shift)]
    return features + shift, height // pooling, width // pooling


def _also_fed_by(draw: st.DrawFn, free: list[dict[str, Any]], core: int, shape: tuple[int, int, int]) -> None:
    """More destinations into the same core, of those whose maps fit."""
    for part in free:
        features, height, width = part["dimensions"].output_shape
        fitting = [pool for pool in (1, 2, 4) if (height // pool, width // pool) == shape[1:]]
        if len(part["destinations"]) < 2 and fitting and features <= shape[0] and draw(st.integers(0, 3)):
            shift = draw(st.integers(0, shape[0] - features))
            link = Destination(layer=core, pooling=draw(st.sampled_from(fitting)), feature_shift=shift)
            part["destinations"] = [*part["destinations"], link]


def shapes() -> st.SearchStrategy[tuple[int, int, int]]:
    sides = st.one_of(st.sampled_from([1, 2, 4]), st.integers(1, 7))  # equal maps are likely, so that streams can merge
    return st.tuples(st.integers(1, 3), sides, sides)


@st.composite
def cores(draw: st.DrawFn, shape: tuple[int, int, int]) -> dict[str, Any]:
    """The fields of a core with this input shape; numbers at the edges of their ranges are likely."""
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    most = min(size + 2 * pad for size, pad in zip(shape[1:], padding, strict=True))
    kernel = draw(st.integers(1, min(most, 5)))
    stride = draw(st.tuples(st.sampled_from([1, 1, 2, 4]), st.sampled_from([1, 1, 2, 4, 8])))
    features = draw(st.sampled_from([1, 2, 3, 9]))
    size = Dimensions(kernel_size=kernel, stride=stride, padding=padding, input_shape=shape, output_shape=(features, 1, 1))
    size = size.with_changes(output_shape=(features, *size.expected_map()))
    high = draw(st.sampled_from([1, 2, 7, 7, 40, 127, 32700, 32767]))
    low = draw(st.sampled_from([-1, -7, -40, -32768]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return {
        "dimensions": size,
        "weights": _weights(rng, (features, shape[0], kernel, kernel), draw(st.sampled_from([1, 3, 8, 128]))),
        "biases": rng.integers(-draw(st.sampled_from([1, 9, 32768])), draw(st.sampled_from([1, 9, 32768])), features),
        "neurons_initial_value": _initial(rng, size.output_shape, low, high, draw(st.sampled_from("0iwcc"))),
        "threshold_high": high,
        "threshold_low": low,
        "return_to_zero": draw(st.booleans()),
        "leak_enable": draw(st.booleans()),
        "monitor_enable": draw(st.sampled_from([True, True, True, False])),
        "output_decimator_enable": draw(st.sampled_from([False, False, True])),
        "output_decimator_interval": draw(st.integers(0, 2)),
        "destinations": draw(st.sampled_from([[], [], [], [Destination(layer=CHIP.layers.readout)]])),
    }


def _weights(rng: np.random.Generator, shape: tuple[int, ...], reach: int) -> Any:
    weights = rng.integers(-reach, reach, shape, endpoint=reach < 128)
    return np.where(rng.random(shape) < rng.choice([0.0, 0.3]), 0, weights)


def _initial(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int, kind: str) -> Any:
    ends = {"0": (0, 0), "i": (low, high - 1), "w": (-32768, 32767), "c": (high - 3, min(high + 3, 32767))}[kind]
    return rng.integers(*ends, shape, endpoint=True)


@st.composite
def streams(draw: st.DrawFn, config: ChipConfig) -> EventArray:
    """Events in the reach of any core's map and just outside; sometimes addressed to single cores."""
    count = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = [max(config.core(core).dimensions.input_shape[axis] for core in config.active_cores) for axis in range(3)]
    over = draw(st.integers(0, 1))
    p, y, x = (rng.integers(-over, size + over, count) for size in shape)
    t = np.sort(rng.integers(0, draw(st.sampled_from([1, 5, 100])), count))
    layer = rng.choice(config.active_cores, count) if draw(st.integers(0, 3)) == 0 else None
    return make_events(x, y, t, p, layer)
