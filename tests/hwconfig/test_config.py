"""Configurations in Python."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

import hwconfig
from hwconfig import (
    ChipConfig,
    CoreConfig,
    Destination,
    Dimensions,
    DvsDestination,
    DvsLayerConfig,
    FactoryConfig,
    FactoryCore,
    InvalidConfigError,
    Provenance,
    ReadoutConfig,
    UnknownChipError,
)
from hwconfig.parts import ConfigPart
from tests.hwconfig.builders import small_core, two_cores


def test_reads_as_spelled():
    config = two_cores()
    assert config.core(3).threshold_high == 50
    assert config.active_cores == (0, 3)
    with pytest.raises(KeyError, match=r"\[0, 3\]"):
        config.core(4)


def test_short_reprs():
    assert repr(two_cores()).startswith("ChipConfig(speck2f, cores [0, 3], sha256:")
    assert repr(small_core(layer_name="conv1", destinations=[Destination(layer=3)])) == (
        "CoreConfig('conv1', (2, 4, 4) -> (3, 4, 4), kernel 3, threshold 50, to [3])"
    )
    assert repr(DvsLayerConfig(merge=True)) == "DvsLayerConfig(merge=True)"
    assert repr(Destination(layer=3, pooling=2)) == "Destination(layer=3, pooling=2)"


def test_copies_with_changes_are_checked_and_leave_the_original():
    config = two_cores()
    changed = config.with_core(3, threshold_high=182)
    assert (config.core(3).threshold_high, changed.core(3).threshold_high) == (50, 182)
    assert changed != config
    assert changed.with_core(3, threshold_high=50) == config
    with pytest.raises(InvalidConfigError, match="thresholdhigh"):
        config.with_core(3, thresholdhigh=3)


def test_nothing_can_be_written_into():
    with pytest.raises(ValidationError, match="frozen"):
        two_cores().core(3).threshold_high = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.cnn_layers.pop(0),
        lambda config: config.cnn_layers.update({1: small_core()}),
        lambda config: operator.setitem(config.cnn_layers, 0, small_core()),
        lambda config: config.suppressed_rules.clear(),
    ],
)
def test_nor_into_its_dicts(change: Any):
    config = two_cores()
    before = config.hash
    with pytest.raises(TypeError, match=r"with_changes\(\) or with_core\(\)"):
        change(config)
    assert config.with_changes().hash == before


def test_copies_of_all_kinds_are_equal_and_as_unwritable():
    config = two_cores().with_suppressed_rule("memory", "doubtful")
    before = config.hash
    for copied in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config)), config.model_copy()):
        assert copied == config
        assert copied.hash == before
        assert not copied.core(0).weights.flags.writeable
        with pytest.raises(TypeError):
            copied.cnn_layers.clear()
    assert config.model_copy(update={"suppressed_rules": {}}).hash == two_cores().hash


def test_arrays_are_copies_that_cannot_be_written():
    weights = np.zeros((3, 2, 3, 3), np.int32)
    core = small_core(weights=weights)
    weights[:] = 1
    assert not core.weights.any()
    assert core.weights.dtype == np.int8
    with pytest.raises(ValueError, match="read-only"):
        core.weights[:] = 1


@pytest.mark.parametrize(
    "weights",
    [
        np.zeros((3, 2, 3, 3)),
        np.zeros((3, 2, 3), int),
        [[1], [2, 3]],
        np.zeros((3, 2, 3, 3), bool),
        np.full((3, 2, 3, 3), 2**63, np.uint64),
    ],
)
def test_wrong_arrays_are_refused(weights: Any):
    with pytest.raises(InvalidConfigError):
        small_core(weights=weights)


def test_numbers_beyond_their_words_are_held_for_the_rules():
    core = small_core(weights=np.full((3, 2, 3, 3), 70_000))
    assert core.weights.dtype == np.int64
    assert core.weights.max() == 70_000


@pytest.mark.parametrize("bits", [np.full((3, 2, 3, 3), 2), np.full((3, 2, 3, 3), 0.5), np.zeros((3, 2, 3), bool)])
def test_wrong_kill_bits_are_refused(bits: Any):
    with pytest.raises(InvalidConfigError):
        small_core(weights_kill_bit=bits)


def test_kill_bits_may_be_zeros_and_ones():
    core = small_core(weights_kill_bit=np.eye(3, dtype=int)[None, None].repeat(3, 0).repeat(2, 1))
    assert core.weights_kill_bit is not None
    assert core.weights_kill_bit.dtype == np.bool_
    assert list(core.kill_bits) == ["weights_kill_bit"]


def test_errors_are_our_own_and_say_what_a_field_is():
    with pytest.raises(UnknownChipError, match="known chips are"):
        ChipConfig(chip="speck9")
    with pytest.raises(InvalidConfigError) as caught:
        Dimensions(kernel_size="3", stride=1, paddding=(1, 1), input_shape=(1, 4, 4), output_shape=(1, 2, 2))
    text = str(caught.value)
    for words in ("Dimensions:", "kernel_size", "found '3'", "it is: (y, x), in pixels", "did you mean padding?"):
        assert words in text
    assert "pydantic" not in text
    with pytest.raises(InvalidConfigError, match=r"dimensions\.kernel_size"):
        CoreConfig(dimensions={"kernel_size": None}, weights=[], threshold_high=1, threshold_low=-1)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, pytest.param(10**5000, id="endless")])
def test_numbers_wider_than_any_register_are_refused(number: int):
    with pytest.raises(InvalidConfigError, match="threshold_high"):
        small_core(threshold_high=number)


def test_a_convolutions_map_follows():
    size = Dimensions.convolution((2, 9, 8), 4, 3, stride=(2, 1), padding=(0, 1))
    assert size.output_shape == (4, 4, 8)
    assert size.expected_map() == size.output_shape[1:]


def test_a_core_can_be_added():
    config = two_cores().with_core(5, small_core(), threshold_high=7)
    assert config.active_cores == (0, 3, 5)
    assert config.core(5).threshold_high == 7


def test_kill_bits_of_which_none_is_set_say_nothing():
    assert small_core(weights_kill_bit=np.zeros((3, 2, 3, 3), bool)) == small_core()


def test_a_name_that_cannot_be_printed_is_refused():
    with pytest.raises(InvalidConfigError, match="layer_name"):
        small_core(layer_name="half \ud800")


def test_core_ids_are_not_negative():
    with pytest.raises(InvalidConfigError, match="cnn_layers"):
        ChipConfig(chip="speck2f", cnn_layers={-1: small_core()})


def test_numpys_numbers_count_as_pythons():
    assert ChipConfig(chip="speck2f", cnn_layers={np.int64(3): small_core()}).active_cores == (3,)
    assert Provenance(seed=np.int64(3)).seed == 3
    size = Dimensions(
        kernel_size=np.int64(3), stride=[np.int8(2), 1], input_shape=np.array([2, 4, 4]).tolist(), output_shape=(3, 1, 2)
    )
    core = small_core(dimensions=size, threshold_high=np.int16(7), leak_enable=np.bool_(True))
    assert type(core.threshold_high) is int
    assert core.leak_enable is True
    assert size.stride == (2, 1)


@pytest.mark.parametrize(
    "changes", [{"threshold_high": 3.0}, {"threshold_high": True}, {"threshold_high": "3"}, {"leak_enable": 1}]
)
def test_wrong_types_are_refused(changes: dict[str, Any]):
    with pytest.raises(InvalidConfigError):
        small_core(**changes)


def test_biases_and_states_left_out_are_zeros():
    core = small_core()
    assert (core.biases.shape, core.neurons_initial_value.shape) == ((3,), (3, 4, 4))
    assert not core.has_bias
    assert core.with_changes(leak_enable=True).has_bias
    with pytest.raises(InvalidConfigError, match="more neurons than any chip"):
        CoreConfig(
            dimensions=Dimensions(kernel_size=1, input_shape=(1, 1, 1), output_shape=(10**9, 10**9, 1)),
            weights=np.zeros((1, 1, 1, 1), int),
            threshold_high=1,
            threshold_low=-1,
        )


def test_destinations_left_as_they_are_do_not_count():
    off = Destination(layer=0, enable=False)
    assert small_core(destinations=[Destination(layer=3), off]) == small_core(destinations=[Destination(layer=3)])
    assert len(small_core(destinations=[off, Destination(layer=3), off]).destinations) == 2
    assert DvsLayerConfig(destinations=[DvsDestination(layer=0, enable=False)]) == DvsLayerConfig()


def test_the_sensor_neither_pools_nor_shifts():
    with pytest.raises(InvalidConfigError, match="DvsDestination"):
        DvsLayerConfig(destinations=[Destination(layer=0)])


def test_a_region_to_the_end_is_spelled_out_for_the_chip():
    assert two_cores().dvs_layer.cut == (127, 127)
    assert two_cores(dvs_layer=DvsLayerConfig(pooling=(2, 4))).dvs_layer.cut == (63, 31)
    assert two_cores(dvs_layer=DvsLayerConfig(cut=(127, 127))) == two_cores()


def test_factory_settings_of_a_core_that_say_nothing_do_not_count():
    assert FactoryConfig(cnn_layers={3: FactoryCore()}) == FactoryConfig()


def test_selectors_have_four_settings():
    with pytest.raises(InvalidConfigError, match="output_mode_sel"):
        ReadoutConfig(output_mode_sel=4)


NESTED: Any = []
for _ in range(60):
    NESTED = [NESTED]


@pytest.mark.parametrize("options", [{"x": float("nan")}, {"x": {1, 2}}, {"x": np.zeros(2)}, {"x": NESTED}])
def test_provenance_holds_what_json_holds(options: dict[str, Any]):
    with pytest.raises(InvalidConfigError, match="JSON"):
        Provenance(options=options)


def test_provenance_takes_numpys_numbers():
    assert Provenance(options={"a": np.int64(3)}).options == {"a": 3}


def test_provenance_cannot_be_changed_in_place():
    config = two_cores(provenance={"options": {"a": {"b": [1]}}})
    with pytest.raises(TypeError):
        config.provenance.options["a"] = 3
    with pytest.raises(TypeError):
        config.provenance.options["a"]["b"] = 3
    assert config.provenance.options == {"a": {"b": (1,)}}


def test_what_json_lacks_is_named():
    with pytest.raises(InvalidConfigError, match="a ndarray is not one"):
        Provenance(options={"a": np.zeros(2)})


def test_layers_are_named():
    config = two_cores().with_core(3, layer_name="features.conv2")
    assert config.layer_names == {3: "features.conv2"}
    assert config != two_cores()


PARTS = [value for value in vars(hwconfig).values() if isinstance(value, type) and issubclass(value, ConfigPart)]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_field_is_described(part: type[BaseModel]):
    assert part.__doc__
    assert [name for name, info in part.model_fields.items() if not info.description] == []


# What the vendor's object has (hardware facts, section 2), so that nothing is left out.
ATTRIBUTES = {
    "core": (
        CoreConfig,
        "dimensions weights biases neurons_initial_value weights_kill_bit biases_kill_bit neurons_value_kill_bit leak_enable "
        "leak_internal_slow_clk_enable return_to_zero threshold_high threshold_low monitor_enable destinations "
        "input_congestion_balancer_enable output_decimator_enable output_decimator_interval",
    ),
    "sensor": (
        DvsLayerConfig,
        "merge on_channel off_channel pooling origin cut mirror mirror_diagonal pass_sensor_events monitor_enable "
        "raw_monitor_enable destinations",
    ),
    "filter": (
        hwconfig.DvsFilterConfig,
        "enable filter_size threshold hot_pixel_filter_enable low_pass_mode_enable internal_slow_clk",
    ),
    "readout": (
        ReadoutConfig,
        "enable readout_configuration_sel threshold low_pass_filter_disable low_pass_filter32_not16 output_mode_sel "
        "output_neuron_num override_threshold_max monitor_enable readout_pin_monitor_enable internal_slow_clk",
    ),
    "factory": (
        FactoryConfig,
        "io_sel internal_slow_clk_divider fast_output monitor_dual_channel dvs_filter dvs_layer cnn_layers",
    ),
    "chip": (ChipConfig, "cnn_layers dvs_layer dvs_filter readout factory_config"),
}


@pytest.mark.parametrize("which", ATTRIBUTES)
def test_every_attribute_of_the_vendors_object_has_its_name(which: str):
    part, names = ATTRIBUTES[which]
    ours = {"core": {"layer_name"}, "chip": {"chip", "suppressed_rules", "provenance"}}.get(which, set())
    assert set(part.model_fields) == set(names.split()) | ours
