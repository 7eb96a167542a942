"""Random networks of cores and random streams, for property tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from chipflow.events import EventArray, make_events
from hwconfig import (
    ChipConfig,
    CoreConfig,
    Destination,
    Dimensions,
    DvsDestination,
    DvsLayerConfig,
    ReadoutConfig,
    synthetic_chip,
)

CORES = 9
CHIP = synthetic_chip([(65536, 65536, 1024)] * CORES, features={"kill_bits": True})


@dataclass(frozen=True)
class Case:
    """Everything that one run needs."""

    config: ChipConfig
    entries: tuple[int, ...] | None
    period: int
    events: EventArray
    duration: int | None
    chosen: dict[str, Any] = field(default_factory=dict)

    def options(self, **more: Any) -> dict[str, Any]:
        return {"entries": self.entries, "slow_clock_period_us": self.period, "on_outside": "drop"} | self.chosen | more


@st.composite
def cases(draw: st.DrawFn, plain: bool = False) -> Case:
    """A network of up to nine cores without a loop, entries in any order, and a stream with ties and events outside.

    `plain` leaves out sensor, readout block and kill bits, and all that is not the chip's way.
    """
    config = draw(networks())
    if not plain:
        config = config.with_changes(
            cnn_layers={i: part.with_changes(**draw(kill_bits(part))) for i, part in config.cnn_layers.items()},
            dvs_layer=draw(sensors(config)),
            readout=draw(readouts()),
        )
    ids = config.active_cores
    entries = tuple(draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3, unique=True)))
    if config.dvs_layer.destinations and draw(st.booleans()):
        entries = None
    events = draw(streams(config, sensed=entries is None))
    end = int(events["t"][-1]) if events.size else 0
    duration = draw(st.one_of(st.none(), st.integers(end, end + 60)))
    chosen = draw(others_ways(config)) if not plain else {}
    return Case(config, entries, draw(st.integers(3, 40)), events, duration, chosen)


@st.composite
def others_ways(draw: st.DrawFn, config: ChipConfig) -> dict[str, Any]:
    """Options that change what is computed or reported."""
    neurons = st.tuples(*(st.integers(0, 63) for _ in range(3)))
    traced = draw(st.dictionaries(st.sampled_from(config.active_cores), st.lists(neurons, max_size=3), max_size=2))
    shapes = {core: config.core(core).dimensions.output_shape for core in traced}
    folded = {core: [tuple(np.mod(place, shapes[core]).tolist()) for place in places] for core, places in traced.items()}
    return {
        "order": draw(st.sampled_from(["depth_first", "depth_first", "breadth_first"])),
        "zero_weights": draw(st.sampled_from(["no_synapse", "no_synapse", "synapse"])),
        "decimator_passes": draw(st.sampled_from(["last", "last", "first"])),
        "load_window_us": draw(st.sampled_from([1, 7, 10_000])),
        "trace": folded,
    }


@st.composite
def kill_bits(draw: st.DrawFn, part: CoreConfig) -> dict[str, Any]:
    """Some of a core's weights, biases and neurons."""
    names = {
        "weights_kill_bit": part.weights.shape,
        "biases_kill_bit": part.biases.shape,
        "neurons_value_kill_bit": part.dimensions.output_shape,
    }
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return {name: rng.random(shape) < 0.3 for name, shape in names.items() if not draw(st.integers(0, 5))}


@st.composite
def sensors(draw: st.DrawFn, config: ChipConfig) -> DvsLayerConfig:
    """A region that fits some core, with any pooling and mirrors; or a sensor that is only watched, or not used."""
    watched = {"monitor_enable": draw(st.booleans()), "raw_monitor_enable": draw(st.booleans())}
    merge = draw(st.booleans())
    readers = [core for core, part in config.cnn_layers.items() if _takes(config, core, part, 1 if merge else 2)]
    if not readers or draw(st.booleans()):
        return DvsLayerConfig(cut=(127, 127), **watched)
    first = draw(st.sampled_from(readers))
    size = config.core(first).dimensions.input_shape[1:]
    alike = [core for core in readers if config.core(core).dimensions.input_shape[1:] == size]
    more = draw(st.sampled_from([[], [draw(st.sampled_from(alike))]]))
    diagonal, origin = draw(st.booleans()), (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    height, width = reversed(size) if diagonal else size
    return DvsLayerConfig(
        merge=merge,
        on_channel=draw(st.integers(0, 4)) > 0,
        off_channel=draw(st.integers(0, 4)) > 0,
        pooling=(draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 2, 4]))),
        origin=origin,
        cut=(origin[0] + height - 1, origin[1] + width - 1),
        mirror=(draw(st.booleans()), draw(st.booleans())),
        mirror_diagonal=diagonal,
        destinations=[DvsDestination(layer=core) for core in (first, *more)],
        **watched,
    )


def _takes(config: ChipConfig, core: int, part: CoreConfig, features: int) -> bool:
    """Whether so many features of the sensor are what the core expects, or all it expects comes from cores."""
    fed = any(target.layer == core for other in config.cnn_layers.values() for target in other.enabled_destinations)
    expected = part.dimensions.input_shape[0]
    return features <= expected if fed else features == expected


@st.composite
def readouts(draw: st.DrawFn) -> ReadoutConfig:
    """Mostly off; monitored now and then."""
    return ReadoutConfig(
        enable=draw(st.integers(0, 2)) == 0,
        threshold=draw(st.sampled_from([0, 1, 3])),
        low_pass_filter_disable=draw(st.booleans()),
        low_pass_filter32_not16=draw(st.booleans()),
        output_mode_sel=draw(st.integers(0, 3)),
        output_neuron_num=draw(st.integers(0, 3)),
        override_threshold_max=draw(st.booleans()),
        monitor_enable=draw(st.booleans()),
        readout_pin_monitor_enable=draw(st.booleans()),
    )


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
        "destinations": draw(
            st.sampled_from([[], [], [Destination(layer=CHIP.layers.readout, feature_shift=draw(st.integers(0, 9)))]])
        ),
    }


def _weights(rng: np.random.Generator, shape: tuple[int, ...], reach: int) -> Any:
    weights = rng.integers(-reach, reach, shape, endpoint=reach < 128)
    return np.where(rng.random(shape) < rng.choice([0.0, 0.3]), 0, weights)


def _initial(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int, kind: str) -> Any:
    ends = {"0": (0, 0), "i": (low, high - 1), "w": (-32768, 32767), "c": (high - 3, min(high + 3, 32767))}[kind]
    return rng.integers(*ends, shape, endpoint=True)


@st.composite
def streams(draw: st.DrawFn, config: ChipConfig, sensed: bool = False) -> EventArray:
    """Events in the reach of any core's map and just outside, or of the sensor's region; sometimes addressed one by one."""
    count = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = [max(config.core(core).dimensions.input_shape[axis] for core in config.active_cores) for axis in range(3)]
    if sensed:
        last = config.dvs_layer.last_pixel(CHIP.sensor.size)
        shape = [2, *(min((end + 2) * pool, CHIP.sensor.size) for end, pool in zip(last, config.dvs_layer.pooling, strict=True))]
    over = draw(st.integers(0, 1))
    p, y, x = (rng.integers(-over, size + over, count) for size in shape)
    t = np.sort(rng.integers(0, draw(st.sampled_from([1, 5, 100])), count))
    ids = [*config.active_cores, *([CHIP.layers.sensor] if config.dvs_layer.destinations else [])]
    layer = rng.choice(ids, count) if draw(st.integers(0, 3)) == 0 else None
    return make_events(x, y, t, p, layer)
