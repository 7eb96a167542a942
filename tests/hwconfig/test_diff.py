"""Two configurations compared: nothing is missed, nothing is made up, and it reads well."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from hwconfig import (
    ChipConfig,
    Destination,
    Dimensions,
    DvsDestination,
    DvsFilterConfig,
    DvsLayerConfig,
    FactoryConfig,
    FactoryCore,
    InvalidConfigError,
    LayerIds,
    MemoryTiming,
    Provenance,
    get_chip,
)
from hwconfig.diff import ConfigDiff, diff_configs
from hwconfig.parts import ConfigPart
from tests.hwconfig.builders import small_core, two_cores

READOUT = get_chip("speck2f").layers.readout


def chain(places: dict[str, int], **changes: dict[str, Any]) -> ChipConfig:
    """Layers of the given names on the given cores, each leading into the next; `changes` by layer name."""
    names = list(places)
    cores = {}
    for name, following in zip(names, [*names[1:], None], strict=True):
        to = READOUT if following is None else places[following]
        cores[places[name]] = small_core(3, 3, layer_name=name, destinations=(Destination(layer=to),)).with_changes(
            **changes.get(name, {})
        )
    return ChipConfig(chip="speck2f", cnn_layers=cores)


PLACES = {"conv1": 0, "conv2": 3, "conv3": 4}


def text(a: ChipConfig, b: ChipConfig) -> str:
    return str(diff_configs(a, b))


def subjects(diff: ConfigDiff) -> set[str]:
    return {difference.subject for difference in diff.differences}


def with_core_0(**changes: Any) -> ChipConfig:
    return two_cores().with_core(0, **changes)


# every field


def full() -> ChipConfig:
    """A configuration in which every part is there, so that each can change."""
    bits = {
        "weights_kill_bit": np.eye(3, dtype=bool)[None, None].repeat(3, 0).repeat(2, 1),
        "neurons_value_kill_bit": np.ones((3, 4, 4), bool),
    }
    to_readout = Destination(layer=READOUT, feature_shift=1)
    return two_cores(
        cnn_layers={
            0: small_core(layer_name="conv1", destinations=(Destination(layer=3, pooling=2), to_readout), **bits),
            3: small_core(3, 5, 2, layer_name="conv2"),
        },
        dvs_layer=DvsLayerConfig(destinations=(DvsDestination(layer=0),)),
        factory_config=FactoryConfig(cnn_layers={3: FactoryCore(neuron=MemoryTiming(macro_read=2))}),
        suppressed_rules={"memory": "measured"},
        provenance=Provenance(tool="a 1", options={"passes": {"fold": True}, "seeds": [1, 2]}),
    )


def single_changes(value: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """All that can be changed in a value, one thing at a time: the way to it, and the changed copy of the value."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            found = [(path, part) for path, item in single_changes(getattr(value, name)) for part in replaced(value, name, item)]
            assert found, f"this test knows no other value for {type(value).__name__}.{name}"
            yield from (((name, *path), part) for path, part in found)
    elif isinstance(value, dict):
        for key in value:
            yield (key,), {other: item for other, item in value.items() if other != key}
            yield from (((key, *path), value | {key: item}) for path, item in single_changes(value[key]))
    elif isinstance(value, tuple) and not value:
        yield from (((), (other,)) for other in (Destination(layer=1), DvsDestination(layer=1)))
    elif isinstance(value, tuple | list):
        yield (), value[:-1]
        for index, old in enumerate(value):
            for path, item in single_changes(old):
                yield (index, *path), type(value)([*value[:index], item, *value[index + 1 :]])
    elif isinstance(value, np.ndarray):
        yield (), np.concatenate([value, value])
        yield (), np.where(np.arange(value.size).reshape(value.shape) == value.size - 1, 1 - value.astype(int), value)
    elif isinstance(value, bool):
        yield (), not value
    elif isinstance(value, int):
        yield from (((), value + step) for step in (1, -1, 1 << 40))
    elif isinstance(value, float):
        yield (), 2 * value
    elif isinstance(value, str):
        yield (), f"{value}x"
    else:
        assert value is None
        yield from (((), other) for other in (1, True, "x", np.ones(1, bool), np.ones((1, 1, 1), bool), np.ones((1,) * 4, bool)))


def replaced(part: BaseModel, name: str, value: Any) -> list[BaseModel]:
    """The part with another value, if it takes it; the description of a chip is not judged here."""
    if not isinstance(part, ConfigPart):
        return [part.model_copy(update={name: value})]
    try:
        return [part.with_changes(**{name: value})]
    except InvalidConfigError:
        return []


def test_every_single_change_is_found_where_it_is():
    base, seen = full(), set()
    for path, changed in single_changes(base):
        diff = diff_configs(base, changed)
        assert diff.equal == (base == changed) == (path[0] == "provenance"), path
        inside = path[2:] if path[0] == "cnn_layers" and len(path) > 1 else path[1:]
        dotted = ".".join(map(str, inside)) or "core"
        fields = {difference.field for difference in diff.differences}
        assert any(dotted.startswith(field) or field.startswith(dotted) for field in fields), (path, fields)
        assert subjects(diff_configs(changed, base)) == subjects(diff), path
        json.dumps(diff.as_dicts(), allow_nan=False)
        seen.add(path[0])
    assert seen == set(ChipConfig.model_fields)


# any two configurations

NAMES = st.sampled_from(["", "conv1", "conv2", "conv3"])
IDS = st.sampled_from([0, 1, 2, READOUT])


@st.composite
def configs(draw: st.DrawFn) -> ChipConfig:
    """Few choices, so that two draws are sometimes equal; names may be missing, or stand twice."""
    destinations = st.lists(st.builds(Destination, layer=IDS, enable=st.booleans(), pooling=st.integers(1, 2)), max_size=2)
    cores = st.builds(small_core, layer_name=NAMES, threshold_high=st.integers(50, 51), destinations=destinations)
    return ChipConfig(
        chip=draw(st.sampled_from(["speck2e", "speck2f"])),
        cnn_layers=draw(st.dictionaries(st.integers(0, 2), cores, max_size=3)),
        dvs_layer=draw(st.builds(DvsLayerConfig, merge=st.booleans())),
        provenance=draw(st.builds(Provenance, seed=st.sampled_from([None, 1]))),
    )


@given(configs(), configs(), st.sampled_from([None, *ChipConfig.model_fields]))
def test_no_difference_if_and_only_if_equal(a: ChipConfig, b: ChipConfig, only: str | None):
    b = a.with_changes(**{only: getattr(b, only)}) if only else b
    diff, back = diff_configs(a, b), diff_configs(b, a)
    assert diff.equal == (a == b)
    assert subjects(diff) == subjects(back)
    assert (str(diff) == "no difference") == (a == b and a.provenance == b.provenance)
    assert diff == diff_configs(ChipConfig.from_json(a.to_json()), ChipConfig.from_json(b.to_json()))
    assert diff_configs(a, a).differences == ()
    assert json.loads(json.dumps(diff.as_dicts(), allow_nan=False)) == diff.as_dicts()


@given(configs(), configs())
def test_differences_stand_in_order(a: ChipConfig, b: ChipConfig):
    found = diff_configs(a, b).differences
    cores = [d for d in found if (d.core_before, d.core_after) != (None, None)]
    others = ["chip", *(["cores"] if cores else []), "the sensor", "provenance"]
    subject_order = [others.index("cores" if d in cores else d.subject) for d in found]
    assert subject_order == sorted(subject_order)
    ids = [(d.core_before is None, d.core_after if d.core_before is None else d.core_before) for d in cores]
    assert ids == sorted(ids)
    for d in cores:
        names = {a.layer_names.get(d.core_before, ""), b.layer_names.get(d.core_after, "")}  # type: ignore[arg-type]
        assert d.layer in names


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_another_placement_of_the_same_network_differs_in_the_moves_only(first: list[int], second: list[int]):
    names = ["a", "b", "c", "d"]
    a, b = (chain(dict(zip(names, cores, strict=False))) for cores in (first, second))
    moves = {name: (old, new) for name, old, new in zip(names, first, second, strict=False) if old != new}
    diff = diff_configs(a, b)
    assert {d.layer: (d.before, d.after) for d in diff.differences} == moves
    assert {d.field for d in diff.differences} <= {"core"}


# the words


def test_nothing_to_say():
    assert text(two_cores(), two_cores()) == "no difference"
    assert diff_configs(two_cores(), two_cores()).as_dicts() == []


def test_one_line_per_subject():
    a = chain(PLACES)
    weights = a.core(3).weights.astype(int)
    weights[0, 0, 0] += [1, 0, -4]
    b = a.with_core(3, threshold_high=182, weights=weights).with_core(4, leak_enable=True, biases=[1, 0, 0])
    assert text(a, b) == (
        "core 3 (conv2): 2 of 81 weights differ, largest |change| 4; threshold_high 50 -> 182\n"
        "core 4 (conv3): 1 of 3 biases differs, largest |change| 1; leak_enable false -> true"
    )


def test_what_machines_need():
    (difference,) = diff_configs(chain(PLACES), chain(PLACES, conv2={"threshold_high": 182})).as_dicts()
    assert difference == {
        "subject": "core 3 (conv2)",
        "field": "threshold_high",
        "before": 50,
        "after": 182,
        "text": "threshold_high 50 -> 182",
        "core_before": 3,
        "core_after": 3,
        "layer": "conv2",
        "counts": True,
    }


@pytest.mark.parametrize(
    ("ends", "change"),
    [
        ((127, -128), 255),
        ((-(1 << 63), (1 << 63) - 1), (1 << 64) - 1),
        (((1 << 63) - 1, -(1 << 63)), (1 << 64) - 1),
        ((1 << 62, -(1 << 62)), 1 << 63),
    ],
)
def test_changes_of_weights_do_not_wrap(ends: tuple[int, int], change: int):
    a, b = (with_core_0(weights=np.full((3, 2, 3, 3), end)) for end in ends)
    assert text(a, b) == f"core 0: 54 of 54 weights differ, largest |change| {change}"


def test_shapes_instead_of_elements():
    weights = two_cores().core(0).weights
    assert text(two_cores(), with_core_0(weights=np.concatenate([weights, weights[:1]]))) == (
        "core 0: weights shape (3, 2, 3, 3) -> (4, 2, 3, 3)"
    )
    wider = Dimensions(kernel_size=3, stride=(2, 2), padding=(1, 1), input_shape=(2, 8, 8), output_shape=(3, 4, 4))
    assert text(two_cores(), with_core_0(dimensions=wider)) == (
        "core 0: dimensions.stride (1, 1) -> (2, 2); dimensions.input_shape (2, 4, 4) -> (2, 8, 8)"
    )


def test_kill_bits():
    few, other = np.zeros((2, 3, 2, 3, 3), bool)
    few[0, 0] = True
    other[0, 0, 0] = other[1, 1, 1] = True
    none, a, b = with_core_0(), with_core_0(weights_kill_bit=few), with_core_0(weights_kill_bit=other)
    assert text(none, a) == "core 0: weights_kill_bit none -> 9 of 54 synapses killed"
    assert text(a, none) == "core 0: weights_kill_bit 9 of 54 synapses killed -> none"
    assert text(a, b) == "core 0: of 54 synapses 3 newly killed and 6 revived"
    assert text(a, with_core_0(weights_kill_bit=few | other)) == "core 0: of 54 synapses 3 newly killed"
    assert text(none, with_core_0(biases_kill_bit=[0, 1, 0])) == "core 0: biases_kill_bit none -> 1 of 3 biases killed"


# layers that move


def test_a_layer_that_moved():
    a = chain(PLACES)
    b = chain(PLACES | {"conv2": 5}, conv2={"threshold_high": 51})
    assert text(a, b) == "layer conv2: moved from core 3 to core 5; threshold_high 50 -> 51"
    moved = diff_configs(a, b).differences[0]
    assert (moved.field, moved.before, moved.after, moved.core_before, moved.core_after) == ("core", 3, 5, 3, 5)


def test_two_layers_that_change_places():
    assert text(chain(PLACES), chain({"conv1": 3, "conv2": 0, "conv3": 4})) == (
        "layer conv1: moved from core 0 to core 3\nlayer conv2: moved from core 3 to core 0"
    )


def test_a_destination_that_did_not_follow():
    a = chain(PLACES)
    b = chain({"conv1": 0, "conv2": 4, "conv3": 3}, conv1={"destinations": a.core(0).destinations})
    assert text(a, b).startswith("core 0 (conv1): destination 0: to core 3 (conv2) -> core 3 (conv3)\n")


def test_layers_renamed_named_added_and_removed():
    a = chain(PLACES)
    assert text(a, a.with_core(3, layer_name="conv2b")) == "core 3: layer renamed conv2 -> conv2b"
    assert text(a, a.with_core(3, layer_name="")) == "core 3 (conv2): layer name conv2 -> none"
    more = a.with_changes(cnn_layers=a.cnn_layers | {6: small_core(layer_name="aux"), 7: small_core(size=8)})
    added = "core 6 (aux): added: input (2, 4, 4), output (3, 4, 4), kernel 3\ncore 7: added: input (2, 8, 8), output (3, 8, 8), kernel 3"
    assert text(a, more) == added
    assert text(more, a) == added.replace("added", "removed")


def test_another_layer_on_the_core_that_one_left():
    a = chain({"conv1": 0, "conv2": 3})
    b = chain({"conv0": 0, "conv1": 3}, conv1={"destinations": ()})
    shapes = "input (3, 4, 4), output (3, 4, 4), kernel 3"
    assert text(a, b) == (
        "layer conv1: moved from core 0 to core 3; destination 0 removed: to core 3 (conv2)\n"
        f"core 3 (conv2): removed: {shapes}\n"
        f"core 0 (conv0): added: {shapes}"
    )


def placed(**names: str) -> ChipConfig:
    """Equal cores of these names: `core3="conv"`."""
    return ChipConfig(chip="speck2f", cnn_layers={int(core[4:]): small_core(layer_name=name) for core, name in names.items()})


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"core3": "c", "core4": ""}, {"core3": "", "core4": ""}, ["core 3 (c): layer name c -> none"]),
        ({"core3": "c", "core4": ""}, {"core4": "c", "core3": ""}, ["layer c: moved from core 3 to core 4", "core 4: removed", "core 3: added"]),
        ({"core3": "c", "core4": "c"}, {"core4": "c", "core5": "c"}, ["layer c: moved from core 3 to core 5"]),
        ({"core3": "c", "core4": "c"}, {"core5": "c"}, ["layer c: moved from core 3 to core 5", "core 4 (c): removed"]),
        (
            {"core1": "c", "core2": "c"},
            {"core3": "c", "core4": "c"},
            ["layer c: moved from core 1 to core 3", "layer c: moved from core 2 to core 4"],
        ),
        ({"core3": "c", "core4": "d"}, {"core3": "d", "core4": "e"}, ["core 3 (c): removed", "layer d: moved from core 4 to core 3", "core 4 (e): added"]),
        ({"core3": ""}, {"core4": ""}, ["core 3: removed", "core 4: added"]),
    ],
)  # fmt: skip
def test_which_core_is_which(a: dict[str, str], b: dict[str, str], expected: list[str]):
    lines = text(placed(**a), placed(**b)).splitlines()
    assert [line.partition(": input")[0] for line in lines] == expected


# destinations


@pytest.mark.parametrize(
    ("destinations", "expected"),
    [
        ((Destination(layer=4),), "destination 0: to core 3 (conv2) -> core 4 (conv3)"),
        ((Destination(layer=READOUT),), "destination 0: to core 3 (conv2) -> the readout block"),
        ((Destination(layer=7),), "destination 0: to core 3 (conv2) -> core 7 (not configured)"),
        ((Destination(layer=3, pooling=2),), "destination 0: pooling 1 -> 2"),
        (
            (Destination(layer=4, pooling=2), Destination(layer=READOUT, feature_shift=4)),
            "destination 0: to core 3 (conv2) -> core 4 (conv3), pooling 1 -> 2; "
            "destination 1 added: to the readout block, feature_shift 4",
        ),
        ((), "destination 0 removed: to core 3 (conv2)"),
        ((Destination(layer=3, enable=False),), "destination 0: enable true -> false"),
    ],
)
def test_destinations(destinations: tuple[Destination, ...], expected: str):
    a = chain(PLACES)
    assert text(a, a.with_core(0, destinations=destinations)) == f"core 0 (conv1): {expected}"


def test_an_unused_destination_leads_to_no_layer():
    gap = (Destination(layer=0, enable=False), Destination(layer=READOUT))
    a, b = (chain({"conv1": core, "conv2": 3}, conv2={"destinations": gap}) for core in (0, 1))
    assert text(a, b) == "layer conv1: moved from core 0 to core 1"


def test_a_destination_that_a_layer_came_to():
    a = chain({"conv1": 0, "conv2": 3}, conv1={"destinations": (Destination(layer=5),)})
    b = chain({"conv1": 0, "conv2": 5}, conv1={"destinations": (Destination(layer=5),)})
    assert text(a, b).splitlines()[0] == "core 0 (conv1): destination 0: to core 5 (not configured) -> core 5 (conv2)"


def test_the_readout_block_is_the_same_wherever_a_chip_has_it():
    other = get_chip("speck2f").model_copy(update={"name": "other", "layers": LayerIds(readout=READOUT + 1, sensor=READOUT)})
    a = chain(PLACES)
    moved = chain(PLACES, conv3={"destinations": (Destination(layer=READOUT + 1),)})
    assert text(a, moved.with_changes(chip=other)) == "chip: speck2f -> other"
    assert text(a, a.with_changes(chip=other)).splitlines() == [
        "chip: speck2f -> other",
        f"core 4 (conv3): destination 0: to the readout block -> core {READOUT} (not configured)",
    ]


# the rest


def test_the_blocks():
    a = two_cores(dvs_layer=DvsLayerConfig(destinations=(DvsDestination(layer=0),)), suppressed_rules={"memory": "tested"})
    b = a.with_changes(
        dvs_layer=a.dvs_layer.with_changes(mirror=(True, False), destinations=(DvsDestination(layer=3),)),
        dvs_filter=DvsFilterConfig(filter_size=(1, 1)),
        readout=a.readout.with_changes(threshold=5),
        factory_config=FactoryConfig(fast_output=True, cnn_layers={3: FactoryCore(neuron=MemoryTiming(clock_pulse=4))}),
        suppressed_rules={"kernel": "tested"},
        provenance=Provenance(tool="a 1", options={"seeds": [1, 2], "passes": {"fold": True}}),
    )
    assert text(a, b) == (
        "the sensor: mirror (false, false) -> (true, false); destination 0: to core 0 -> core 3\n"
        "the event filter: filter_size (0, 0) -> (1, 1)\n"
        "the readout block: threshold 0 -> 5\n"
        "factory_config: fast_output as the chip has it -> true; cnn_layers.3.neuron.clock_pulse as the chip has it -> 4\n"
        'suppressed rules: kernel now suppressed: "tested"; memory no longer suppressed\n'
        'provenance (does not count): tool "" -> "a 1"; options.passes added: (fold true); options.seeds added: (1, 2)'
    )
    assert text(a, a.with_suppressed_rule("memory", "it fits")) == (
        'suppressed rules: memory suppressed for another reason, "tested" -> "it fits"'
    )


def test_chips():
    chip = get_chip("speck2f")
    assert text(two_cores(), two_cores(chip="speck2e")) == "chip: speck2f -> speck2e"
    smaller = chip.model_copy(
        update={
            "cores": (*chip.cores[1:-1], chip.cores[-1].model_copy(update={"bias_words": 7})),
            "limits": chip.limits.model_copy(update={"padding": 3}),
            "vendor": None,
            "parallel_cores": (),
        }
    )
    first, last = f"cores.{chip.core_ids[0]}", f"cores.{chip.core_ids[-1]}.bias_words"
    found = {d.field: d.text for d in diff_configs(two_cores(), two_cores(chip=smaller)).differences}
    assert list(found) == ["parallel_cores", "limits.padding", "vendor", first, last]
    assert found["limits.padding"] == f"limits.padding {chip.limits.padding} -> 3"
    assert found["vendor"].endswith(" -> none")
    assert found[first].startswith(f"{first} removed: (id {chip.core_ids[0]}, ")
    assert found[last] == f"{last} {chip.cores[-1].bias_words} -> 7"
