"""Random configurations: legal ones that use every field, and any that can be held at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from hwconfig import (
    RULES,
    ChipConfig,
    ChipSpec,
    CoreConfig,
    Destination,
    Dimensions,
    DvsDestination,
    DvsFilterConfig,
    DvsLayerConfig,
    FactoryConfig,
    FactoryCore,
    FactoryDvsFilter,
    FactoryDvsLayer,
    MemoryTiming,
    Provenance,
    ReadoutConfig,
    get_chip,
    synthetic_chip,
)

Shape = tuple[int, int, int]
FLAG = st.booleans()
NAMES = st.sampled_from(["", "", "conv1", "features.0", "größe 3"])


def configurations(chip_names: Sequence[str] = ("speck2e", "speck2f")) -> st.SearchStrategy[ChipConfig]:
    """Legal ones for these chips; blocks that a chip lacks are not used."""
    return st.sampled_from(list(chip_names)).flatmap(lambda name: _legal(get_chip(name)))


@st.composite
def _legal(draw: st.DrawFn, chip: ChipSpec) -> ChipConfig:
    suppressed = draw(_suppressed_rules())
    lows = [-1, -40, -32768, *([0] if "threshold-low" in suppressed else [])]
    ids = draw(st.permutations(chip.core_ids))[: draw(st.integers(0, 5))]
    sensor, fed = draw(_sensor(chip, ids))
    parts: dict[int, dict[str, Any]] = {}
    for i, core in enumerate(ids):
        free = [other for other in ids[:i] if len(parts[other]["destinations"]) < chip.limits.destinations]
        if core in fed:
            shape = sensor.output_shape(chip.sensor.size)
        elif free and draw(st.integers(0, 4)):
            shape = _fed_by(draw, parts[draw(st.sampled_from(free))], core, chip)
        else:
            shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
        parts[core] = draw(_core(chip, core, shape, lows))
    for part in parts.values():
        _to_readout_or_nowhere(draw, part, chip)
    return ChipConfig(
        chip=chip.name,
        cnn_layers={core: CoreConfig(**part) for core, part in parts.items()},
        dvs_layer=sensor,
        dvs_filter=draw(_filter(chip)),
        readout=draw(_readout(chip)),
        factory_config=draw(_factory(chip)),
        suppressed_rules=suppressed,
        provenance=draw(_provenance()),
    )


def _suppressed_rules() -> st.SearchStrategy[dict[str, str]]:
    rules = sorted(name for name, rule in RULES.items() if rule.suppressible)
    return st.dictionaries(st.sampled_from(rules), st.sampled_from(["measured", "as the vendor said"]), max_size=2)


@st.composite
def _sensor(draw: st.DrawFn, chip: ChipSpec, ids: Sequence[int]) -> tuple[DvsLayerConfig, list[int]]:
    """The sensor's part, and the cores it sends to: their maps are small, so its region is."""
    pooling = draw(st.tuples(*[st.sampled_from(chip.sensor.poolings)] * 2))
    fed = draw(st.lists(st.sampled_from(ids), max_size=chip.limits.destinations)) if ids else []
    axes = [_region(draw, chip.sensor.size // pool, 9 if fed else chip.sensor.size) for pool in pooling]
    destinations = [DvsDestination(layer=core) for core in fed]
    if len(fed) < chip.limits.destinations and draw(FLAG):
        destinations.insert(0, DvsDestination(layer=draw(st.integers(0, 12)), enable=False))
    names = ("merge", "on_channel", "off_channel", "mirror_diagonal", "monitor_enable", "raw_monitor_enable")
    part = DvsLayerConfig(
        pooling=pooling,
        origin=(axes[0][0], axes[1][0]),
        cut=None if not fed and draw(FLAG) else (axes[0][1], axes[1][1]),
        mirror=draw(st.tuples(FLAG, FLAG)),
        pass_sensor_events=chip.features.pixels and draw(FLAG),
        destinations=tuple(destinations),
        **{name: draw(FLAG) for name in names},
    )
    return part, fed


def _region(draw: st.DrawFn, size: int, most: int) -> tuple[int, int]:
    """First and last pixel along one axis."""
    first = draw(st.integers(0, size - 1))
    return first, draw(st.integers(first, min(size, first + most) - 1))


def _fed_by(draw: st.DrawFn, part: dict[str, Any], core: int, chip: ChipSpec) -> Shape:
    """The target's input shape, after the source has got a destination there, or both of its destinations."""
    features, height, width = part["dimensions"].output_shape
    pooling = draw(st.sampled_from([size for size in chip.limits.poolings if size <= min(height, width)]))
    shifts = draw(st.lists(st.sampled_from([0, 1, 5]), min_size=1, max_size=chip.limits.destinations - len(part["destinations"])))
    links = [Destination(layer=core, pooling=pooling, feature_shift=shift) for shift in shifts]
    part["destinations"] = [*part["destinations"], *links]
    return features + max(shifts), height // pooling, width // pooling


def _to_readout_or_nowhere(draw: st.DrawFn, part: dict[str, Any], chip: ChipSpec) -> None:
    """Fills a core's free destinations, now and then: with the readout block, or with disabled ones of any contents."""
    if len(part["destinations"]) == chip.limits.destinations or draw(FLAG):
        return
    if chip.features.readout and draw(FLAG):
        part["destinations"] = [
            *part["destinations"],
            Destination(layer=chip.layers.readout, pooling=draw(st.sampled_from([1, 2]))),
        ]
    else:
        numbers = draw(st.tuples(st.integers(0, 12), st.sampled_from(chip.limits.poolings), st.integers(0, 3)))
        off = Destination(layer=numbers[0], pooling=numbers[1], feature_shift=numbers[2], enable=False)
        part["destinations"] = [off, *part["destinations"]]


@st.composite
def _core(draw: st.DrawFn, chip: ChipSpec, core_id: int, shape: Shape, lows: Sequence[int]) -> dict[str, Any]:
    """The fields of a core with this input shape; numbers at the edges of their ranges are likely."""
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, chip.limits.padding)))
    most = min(size + 2 * pad for size, pad in zip(shape[1:], padding, strict=True))
    kernel = draw(st.integers(1, min(most, 4)))
    stride = draw(st.tuples(*[st.sampled_from(chip.limits.strides)] * 2))
    features = draw(st.sampled_from([1, 2, 3, 5]))
    size = Dimensions(kernel_size=kernel, stride=stride, padding=padding, input_shape=shape, output_shape=(features, 1, 1))
    size = size.with_changes(output_shape=(features, *size.expected_map()))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bias = chip.core(core_id).bias_words > 0
    decimates = chip.features.decimator
    arrays = {
        "weights": _spread(rng, (features, shape[0], kernel, kernel), draw(st.sampled_from([1, 128]))),
        "biases": _spread(rng, (features,), draw(st.sampled_from([1, 32768]))) if bias else np.zeros(features, int),
        "neurons_initial_value": _spread(rng, size.output_shape, draw(st.sampled_from([1, 32768]))),
    }
    killed = {"weights_kill_bit": "weights", "biases_kill_bit": "biases", "neurons_value_kill_bit": "neurons_initial_value"}
    kinds = draw(st.lists(st.sampled_from(list(killed)), unique=True)) if chip.features.kill_bits else []
    return {
        **arrays,
        **{kind: _some(rng, arrays[killed[kind]].shape) for kind in kinds},
        "layer_name": draw(NAMES),
        "dimensions": size,
        "threshold_high": draw(st.sampled_from([1, 7, 127, 32767])),
        "threshold_low": draw(st.sampled_from(lows)),
        "return_to_zero": draw(FLAG),
        "leak_enable": bias and draw(FLAG),
        "leak_internal_slow_clk_enable": chip.features.internal_slow_clock and draw(FLAG),
        "monitor_enable": draw(FLAG),
        "input_congestion_balancer_enable": chip.features.congestion_balancer and draw(FLAG),
        "output_decimator_enable": decimates and draw(FLAG),
        "output_decimator_interval": draw(st.integers(0, len(chip.limits.decimator_ratios) - 1)) if decimates else 0,
        "destinations": [],
    }


def _spread(rng: np.random.Generator, shape: tuple[int, ...], reach: int) -> Any:
    """Values from -reach below reach, with both ends likely."""
    return np.where(rng.random(shape) < 0.3, rng.choice([-reach, reach - 1], shape), rng.integers(-reach, reach, shape))


def _some(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Bits of which at least one is set."""
    bits = rng.random(shape) < 0.4
    bits.flat[rng.integers(bits.size)] = True
    return bits


@st.composite
def _filter(draw: st.DrawFn, chip: ChipSpec) -> DvsFilterConfig:
    if not chip.features.event_filter:
        return DvsFilterConfig()
    low_pass = draw(FLAG)
    half = st.integers(0, chip.sensor.filter_half_width)
    return DvsFilterConfig(
        enable=draw(FLAG),
        filter_size=(0, 0) if low_pass else draw(st.tuples(half, half)),
        threshold=draw(st.sampled_from([0, 25, chip.sensor.most_filter_threshold])),
        hot_pixel_filter_enable=not low_pass and draw(FLAG),
        low_pass_mode_enable=low_pass,
        internal_slow_clk=chip.features.internal_slow_clock and draw(FLAG),
    )


@st.composite
def _readout(draw: st.DrawFn, chip: ChipSpec) -> ReadoutConfig:
    if not chip.features.readout:
        return ReadoutConfig()
    names = ("enable", "low_pass_filter_disable", "low_pass_filter32_not16", "override_threshold_max", "monitor_enable")
    return ReadoutConfig(
        readout_configuration_sel=draw(st.integers(0, 3)),
        threshold=draw(st.sampled_from([0, 9, chip.readout.most_count])),
        output_mode_sel=draw(st.integers(0, 3)),
        output_neuron_num=draw(st.integers(0, chip.readout.classes)),
        internal_slow_clk=chip.features.internal_slow_clock and draw(FLAG),
        **{name: draw(FLAG) for name in (*names, "readout_pin_monitor_enable")},
    )


SETTING = st.one_of(st.none(), st.integers(0, 63))
SWITCH = st.one_of(st.none(), FLAG)
TIMING = st.builds(MemoryTiming, **dict.fromkeys(MemoryTiming.model_fields, SETTING))


def _factory(chip: ChipSpec) -> st.SearchStrategy[FactoryConfig]:
    cores = st.dictionaries(st.sampled_from(chip.core_ids), st.builds(FactoryCore, kernel=TIMING, neuron=TIMING), max_size=3)
    dividers = chip.limits.internal_clock_dividers if chip.features.internal_slow_clock else ()
    used = st.builds(
        FactoryConfig,
        io_sel=SETTING,
        internal_slow_clk_divider=st.sampled_from([None, *dividers]),
        fast_output=SWITCH,
        monitor_dual_channel=SWITCH,
        dvs_filter=st.builds(FactoryDvsFilter, **({"filter_clk_enable": SWITCH} if chip.features.event_filter else {})),
        dvs_layer=st.builds(
            FactoryDvsLayer, **dict.fromkeys(FactoryDvsLayer.model_fields if chip.features.pixels else (), SETTING)
        ),
        cnn_layers=cores,
    )
    return st.one_of(st.just(FactoryConfig()), used)


def _provenance() -> st.SearchStrategy[Provenance]:
    values = st.one_of(st.none(), FLAG, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3))
    options = st.dictionaries(st.text(max_size=3), st.one_of(values, st.lists(values, max_size=2)), max_size=2)
    return st.builds(
        Provenance,
        tool=NAMES,
        model_hash=st.sampled_from(["", "sha256:12"]),
        seed=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        options=options,
    )


# --- any that can be held ---

NUMBER = st.one_of(
    st.integers(-2, 20),
    st.sampled_from([127, 128, 32767, 32768, -32769, 65536, 2**31, 2**63 - 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
)
SIZE = st.one_of(st.integers(0, 5), st.integers(-3, 2000), st.sampled_from([65536, 10**6]))
PAIR = st.tuples(SIZE, SIZE)
SHAPE = st.tuples(SIZE, SIZE, SIZE)
CORE_ID = st.one_of(st.integers(0, 12), st.integers(0, 10**6))


def any_configurations() -> st.SearchStrategy[ChipConfig]:
    """Legal ones, legal ones with a few wrong fields, and ones with nothing right; real and synthetic chips."""
    legal = configurations(("speck2e", "speck2f", "speck2b", "speck2cmini", "dynapcnn"))
    return st.one_of(legal, legal.flatmap(_spoilt), _arbitrary())


def _chips() -> st.SearchStrategy[str | ChipSpec]:
    words = st.sampled_from([0, 16, 4096])
    synthetic = st.builds(
        synthetic_chip,
        st.lists(st.tuples(words, words, words), min_size=1, max_size=4),
        like=st.sampled_from(["speck2f", "dynapcnn", "speck2cmini"]),
        limits=st.sampled_from([{}, {"destinations": 3}, {"weight_bits": 4}, {"decimator_ratios": (3,)}]),
        features=st.sampled_from([{}, {"kill_bits": True, "decimator": False}]),
        errata=st.sampled_from([None, [], ["readout-unusable"]]),
    )
    return st.one_of(st.sampled_from(["speck2e", "speck2f", "speck2b", "speck2dmini"]), synthetic)


@st.composite
def _spoilt(draw: st.DrawFn, config: ChipConfig) -> ChipConfig:
    """Another chip below it, or a few fields of one core that are anything."""
    if draw(FLAG):
        config = config.with_changes(chip=draw(_chips()))
    if config.active_cores and draw(FLAG):
        changes = draw(_any_core_fields())
        names = draw(st.lists(st.sampled_from(sorted(changes)), min_size=1, max_size=3))
        config = config.with_core(draw(st.sampled_from(config.active_cores)), **{name: changes[name] for name in names})
    return config


@st.composite
def _arbitrary(draw: st.DrawFn) -> ChipConfig:
    dvs_flags = ("merge", "on_channel", "off_channel", "mirror_diagonal", "pass_sensor_events", "monitor_enable")
    sensor = st.builds(
        DvsLayerConfig,
        pooling=PAIR,
        origin=PAIR,
        cut=st.one_of(st.none(), PAIR),
        mirror=st.tuples(FLAG, FLAG),
        destinations=st.lists(st.builds(DvsDestination, layer=NUMBER, enable=FLAG), max_size=4),
        **dict.fromkeys(dvs_flags, FLAG),
    )
    event_filter = st.builds(
        DvsFilterConfig, enable=FLAG, filter_size=PAIR, threshold=NUMBER, hot_pixel_filter_enable=FLAG, low_pass_mode_enable=FLAG
    )
    readout = st.builds(ReadoutConfig, enable=FLAG, threshold=NUMBER, output_neuron_num=NUMBER, monitor_enable=FLAG)
    timing = st.builds(MemoryTiming, clock_pulse=st.one_of(st.none(), NUMBER))
    factory = st.builds(
        FactoryConfig,
        io_sel=st.one_of(st.none(), NUMBER),
        internal_slow_clk_divider=st.one_of(st.none(), NUMBER),
        cnn_layers=st.dictionaries(CORE_ID, st.builds(FactoryCore, neuron=timing), max_size=2),
    )
    cores = _any_core_fields().map(lambda fields: CoreConfig(**fields))
    return ChipConfig(
        chip=draw(_chips()),
        cnn_layers=draw(st.dictionaries(CORE_ID, cores, max_size=3)),
        dvs_layer=draw(sensor),
        dvs_filter=draw(event_filter),
        readout=draw(readout),
        factory_config=draw(factory),
        suppressed_rules=draw(
            st.dictionaries(st.one_of(st.sampled_from(sorted(RULES)), st.text(max_size=3)), st.just("why not"), max_size=3)
        ),
        provenance=draw(_provenance()),
    )


@st.composite
def _any_core_fields(draw: st.DrawFn) -> dict[str, Any]:
    """All fields of a core; nothing needs to match anything."""
    flags = ("return_to_zero", "leak_enable", "leak_internal_slow_clk_enable", "monitor_enable")
    more = ("input_congestion_balancer_enable", "output_decimator_enable")
    destination = st.builds(Destination, layer=st.one_of(CORE_ID, NUMBER), enable=FLAG, pooling=NUMBER, feature_shift=NUMBER)
    return {
        "layer_name": draw(st.text(max_size=4)),
        "dimensions": Dimensions(
            kernel_size=draw(SIZE), stride=draw(PAIR), padding=draw(PAIR), input_shape=draw(SHAPE), output_shape=draw(SHAPE)
        ),
        "weights": draw(_arrays(4)),
        "biases": draw(_arrays(1)),
        "neurons_initial_value": draw(_arrays(3)),
        "weights_kill_bit": draw(st.one_of(st.none(), _bits(4))),
        "biases_kill_bit": draw(st.one_of(st.none(), _bits(1))),
        "neurons_value_kill_bit": draw(st.one_of(st.none(), _bits(3))),
        "threshold_high": draw(NUMBER),
        "threshold_low": draw(NUMBER),
        "output_decimator_interval": draw(NUMBER),
        "destinations": draw(st.lists(destination, max_size=4)),
        **{name: draw(FLAG) for name in (*flags, *more)},
    }


@st.composite
def _arrays(draw: st.DrawFn, axes: int) -> Any:
    """Small arrays of any shape, empty ones too, whose values may need all of 64 bits."""
    shape = draw(st.lists(st.integers(0, 3), min_size=axes, max_size=axes))
    reach = draw(st.sampled_from([1, 128, 200, 32768, 40_000, 2**62]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.integers(-reach, reach, shape, endpoint=True)


def _bits(axes: int) -> st.SearchStrategy[Any]:
    return _arrays(axes).map(lambda array: array > 0)
