"""The vendor's object: what is written where, what comes back, and what is refused."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from pydantic import BaseModel

from hwconfig import (
    ChipConfig,
    DesignRuleError,
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
    ReadoutConfig,
    UnknownChipError,
    VendorError,
    chip_names,
    get_chip,
    synthetic_chip,
    vendor_fields,
)
from hwconfig.vendor import from_vendor, to_vendor
from hwconfig.vendor_fields import TABLES, Renamed, attribute_name
from tests.hwconfig.builders import small_core, two_cores
from tests.hwconfig.strategies import configurations
from tests.hwconfig.vendor_standin import CHIPS, Changes, byte, flag, number, older, samna, struct

SAMNA = samna(*CHIPS)
EVERY_CHIP = chip_names()


def without_what_has_no_place(config: ChipConfig) -> ChipConfig:
    """No layer names nor suppressed rules; switches of the factory settings that are off, as in a new object, say nothing."""
    factory = config.factory_config
    event_filter = factory.dvs_filter.with_changes(filter_clk_enable=factory.dvs_filter.filter_clk_enable or None)
    return config.with_changes(
        cnn_layers={i: core.with_changes(layer_name="") for i, core in config.cnn_layers.items()},
        suppressed_rules={},
        factory_config=factory.with_changes(
            fast_output=factory.fast_output or None,
            monitor_dual_channel=factory.monitor_dual_channel or None,
            dvs_filter=event_filter,
        ),
    )


@settings(max_examples=80, deadline=None)
@given(config=configurations(EVERY_CHIP))
def test_what_is_written_is_read_back(config: ChipConfig) -> None:
    assert from_vendor(to_vendor(config, SAMNA)) == without_what_has_no_place(config)


@settings(max_examples=20, deadline=None)
@given(config=configurations(("speck2e", "speck2f", "speck2b")))
def test_what_was_read_is_written_the_same(config: ChipConfig) -> None:
    obj = to_vendor(config, SAMNA)
    assert to_vendor(from_vendor(obj).with_changes(suppressed_rules=config.suppressed_rules), SAMNA).to_json() == obj.to_json()


# --- the quirks one by one, in numbers ---

WEIGHTS = [[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]]  # [1 out][2 in][y][x]


def one_core(chip: str = "speck2f", **changes: Any) -> ChipConfig:
    """A core whose axes all differ: input 2 x 5 x 3 (y x x), stride (2, 1), padding (1, 0), so that the map is 1 x 3 x 2."""
    size = Dimensions(kernel_size=2, stride=(2, 1), padding=(1, 0), input_shape=(2, 5, 3), output_shape=(1, 3, 2))
    fields = {
        "dimensions": size, "weights": WEIGHTS, "biases": [-300], "neurons_initial_value": [[[1, 2], [3, 4], [5, 6]]],
        "threshold_high": 9, "threshold_low": -9, "layer_name": "conv1",
    }  # fmt: skip
    return ChipConfig(chip=chip, cnn_layers={4: small_core(**fields | changes)})


def test_axes_of_arrays_and_shapes() -> None:
    core = to_vendor(one_core(), SAMNA).cnn_layers[4]
    assert core.weights == [[[[1, 3], [2, 4]], [[5, 7], [6, 8]]]]
    assert core.neurons_initial_value == [[[1, 3, 5], [2, 4, 6]]]
    assert core.biases == [-300]
    size = core.dimensions
    assert (size.stride.x, size.stride.y, size.padding.x, size.padding.y, size.kernel_size) == (1, 2, 0, 1, 2)
    assert (size.input_shape.feature_count, size.input_shape.size.x, size.input_shape.size.y) == (2, 3, 5)
    assert (size.output_shape.feature_count, size.output_shape.size.x, size.output_shape.size.y) == (1, 2, 3)
    assert (core.threshold_high, core.threshold_low) == (9, -9)


def test_kill_bits_where_the_chip_has_them() -> None:
    killed = one_core("speck2b", neurons_value_kill_bit=[[[0, 1], [0, 0], [0, 0]]])
    core = to_vendor(killed, SAMNA).cnn_layers[4]
    assert core.neurons_value_kill_bit == [[[False, False, False], [True, False, False]]]
    assert core.weights_kill_bit == [[[[False, False], [False, False]], [[False, False], [False, False]]]]
    assert core.biases_kill_bit == [False]
    assert not hasattr(to_vendor(one_core(), SAMNA).cnn_layers[4], "weights_kill_bit")


def test_the_sensor() -> None:
    part = DvsLayerConfig(pooling=(1, 2), origin=(3, 4), cut=(10, 20), mirror=(True, False))
    sensor = to_vendor(ChipConfig(chip="speck2e", dvs_layer=part), SAMNA).dvs_layer
    assert (sensor.pooling.x, sensor.pooling.y) == (2, 1)
    assert (sensor.origin.x, sensor.origin.y, sensor.cut.x, sensor.cut.y) == (4, 3, 20, 10)
    assert (sensor.mirror.x, sensor.mirror.y) == (False, True)


def test_defaults_are_written_over_the_vendors() -> None:
    """The Speck2e's own default mirrors the sensor; its unused destinations say something, too."""
    fresh = SAMNA.speck2e.configuration.SpeckConfiguration()
    assert fresh.dvs_layer.mirror.x
    assert fresh.dvs_layer.mirror_diagonal
    obj = to_vendor(two_cores(chip="speck2e"), SAMNA)
    assert (obj.dvs_layer.mirror.x, obj.dvs_layer.mirror.y, obj.dvs_layer.mirror_diagonal) == (False, False, False)
    assert (obj.dvs_layer.cut.x, obj.dvs_layer.cut.y) == (127, 127)
    used, unused = (obj.cnn_layers[0].destinations[i] for i in (0, 1))
    assert (used.enable, used.layer, used.pooling, used.feature_shift) == (True, 3, 2, 0)
    assert (unused.enable, unused.layer, unused.pooling, unused.feature_shift) == (False, 0, 1, 0)
    assert (obj.dvs_layer.destinations[0].enable, obj.dvs_layer.destinations[0].layer) == (False, 0)
    assert (obj.readout.threshold, obj.readout.output_mode_sel, obj.dvs_filter.filter_size.x) == (0, 3, 0)


def test_cores_that_are_not_configured_stay_as_they_are() -> None:
    fresh = SAMNA.speck2f.configuration.SpeckConfiguration()
    obj = to_vendor(two_cores(), SAMNA)
    same = [obj.cnn_layers[i].to_json() == fresh.cnn_layers[i].to_json() for i in range(9)]
    assert same == [False, True, True, False, True, True, True, True, True]
    assert from_vendor(fresh).cnn_layers == {}


def test_factory_settings() -> None:
    """What is None is not written; what has the vendor's default is None when read."""
    factory = FactoryConfig(
        io_sel=24, internal_slow_clk_divider=None, fast_output=False,
        dvs_layer=FactoryDvsLayer(current_out1=2, current_out2=205),
        cnn_layers={0: FactoryCore(neuron=MemoryTiming(clock_pulse=16, macro_read=204))},
    )  # fmt: skip
    obj = to_vendor(ChipConfig(chip="speck2f", factory_config=factory), SAMNA).factory_config
    assert (obj.io_sel, obj.internal_slow_clk_divider, obj.fast_output) == (24, 201, False)
    assert (obj.dvs_layer.current_out1, obj.dvs_layer.current_out2, obj.dvs_layer.current_out3) == (2, 205, 205)
    assert (obj.cnn_layers[0].neuron.clock_pulse, obj.cnn_layers[0].neuron.clock_setup) == (16, 203)
    assert from_vendor(to_vendor(ChipConfig(chip="speck2f", factory_config=factory), SAMNA)).factory_config == FactoryConfig(
        io_sel=24,
        dvs_layer=FactoryDvsLayer(current_out1=2),
        cnn_layers={0: FactoryCore(neuron=MemoryTiming(clock_pulse=16))},
    )


def test_an_object_filled_by_hand() -> None:
    """As in the vendor's scripts: ones for bools, no biases, what is not needed left alone. It is read, not judged."""
    obj = SAMNA.speck2f.configuration.SpeckConfiguration()
    obj.cnn_layers[2].weights = [[[[1, 2], [3, 4]]]]
    obj.cnn_layers[2].dimensions.kernel_size = 2
    obj.cnn_layers[2].destinations[0].enable = 1
    config = from_vendor(obj)
    assert config.chip.name == "speck2f"
    assert config.active_cores == (2,)
    assert config.core(2).weights.tolist() == [[[[1, 3], [2, 4]]]]
    assert config.core(2).biases.shape == (0,)
    assert config.core(2).neurons_initial_value.shape == (0, 0, 0)
    assert config.core(2).destinations[0] == Destination(layer=7, pooling=4, feature_shift=9)
    assert config.dvs_filter.threshold == 33
    assert not config.violations().ok


def test_numbers_for_bools_and_bools_for_numbers() -> None:
    module = samna(changes={"ReadoutConfig": {"enable": byte()}, "MemoryTiming": {"macro_read": flag()}})
    obj = module.speck2f.configuration.SpeckConfiguration()
    obj.readout.enable = 1
    obj.factory_config.cnn_layers[3].kernel.macro_read = True
    config = from_vendor(obj)
    assert config.readout.enable is True
    assert config.factory_config.cnn_layers[3].kernel.macro_read == 1
    obj.readout.enable = 2
    with pytest.raises(VendorError, match=r"readout\.enable"):
        from_vendor(obj)


# --- chips and packages ---


@pytest.mark.parametrize("chip", EVERY_CHIP)
def test_the_chip_is_known_from_the_object(chip: str) -> None:
    config = one_core(chip)
    obj = to_vendor(config, SAMNA)
    assert from_vendor(obj).chip == get_chip(chip)
    assert from_vendor(obj, chip) == from_vendor(obj, get_chip(chip)) == from_vendor(obj)


def test_a_chip_of_another_name() -> None:
    mine = get_chip("speck2f").model_copy(update={"name": "mine"})
    obj = to_vendor(two_cores(chip=mine), SAMNA)
    assert type(obj).__module__ == "samna.speck2f.configuration"
    assert from_vendor(obj, mine) == two_cores(chip=mine)


def test_a_chip_that_the_vendor_does_not_have() -> None:
    config = ChipConfig(chip=synthetic_chip([(4096, 4096, 64)]), cnn_layers={0: small_core()})
    with pytest.raises(VendorError, match=r"synthetic: .*dynapcnn, speck2b, .*, speck2e, speck2f"):
        to_vendor(config, SAMNA)


@pytest.mark.parametrize("module", [samna(), SimpleNamespace(__name__="samna", __version__="0.48.6", speck2b=None)])
def test_a_package_without_the_chip(module: Any) -> None:
    with pytest.raises(
        VendorError, match=r"speck2b: samna 0\.48\.6 has no speck2b\.configuration.*from 0\.46 on.*speck2e and speck2f"
    ):
        to_vendor(one_core("speck2b"), module)


def test_what_is_no_package_at_all() -> None:
    with pytest.raises(VendorError, match=r"the vendor's package \(unknown version\) has no speck2f"):
        to_vendor(two_cores(), object())


def test_an_object_whose_chip_cannot_be_told() -> None:
    cls = SAMNA.speck2f.configuration.SpeckConfiguration
    for where in ("mine.speck2fBoards", "samna.speck2e.speck2f"):
        stranger = type("SpeckConfiguration", (cls,), {"__module__": where})()
        with pytest.raises(VendorError, match="chip="):
            from_vendor(stranger)
        assert from_vendor(stranger, "speck2f") == from_vendor(cls())
    with pytest.raises(UnknownChipError, match="speck9"):
        from_vendor(cls(), "speck9")


@pytest.mark.parametrize("obj", [SAMNA.speck2f.configuration.CnnLayerConfig(), object()])
def test_what_is_no_whole_configuration(obj: Any) -> None:
    with pytest.raises(VendorError, match="cnn_layers"):
        from_vendor(obj, "speck2f")


def test_values_that_no_configuration_can_hold() -> None:
    obj = SAMNA.speck2f.configuration.SpeckConfiguration()
    obj.cnn_layers[2].weights = [[[[1]], [[1, 2]]]]
    with pytest.raises(VendorError, match=r"cnn_layers\.2\.weights"):
        from_vendor(obj)


def test_an_illegal_configuration_is_not_written() -> None:
    config = two_cores().with_core(0, threshold_low=0).with_core(3, weights=np.full((5, 3, 3, 3), 128))
    with pytest.raises(DesignRuleError, match="value-range") as caught:
        to_vendor(config, SAMNA)
    assert {violation.rule for violation in caught.value.report.errors} == {"threshold-low", "value-range"}
    legal = two_cores().with_core(0, threshold_low=0).with_suppressed_rule("threshold-low", "measured: it works")
    assert to_vendor(legal, SAMNA).cnn_layers[0].threshold_low == 0


def test_a_value_that_the_package_does_not_take() -> None:
    """No rule judges a disabled destination; nothing may be cut to size in silence."""
    config = two_cores().with_core(
        0, layer_name="conv1", destinations=[Destination(layer=999, enable=False), Destination(layer=3, pooling=2)]
    )
    assert config.violations().ok
    with pytest.raises(VendorError, match=r"core 0 \(conv1\), destinations\[0\]: samna 0\.48\.6 does not take this layer: 999"):
        to_vendor(config, SAMNA)


# --- versions ---


def test_an_older_name() -> None:
    config = two_cores(readout=ReadoutConfig(output_mode_sel=1))
    obj = to_vendor(config, older())
    assert obj.readout.output_mod_sel == 1
    assert from_vendor(obj) == config
    assert to_vendor(config, SAMNA).readout.output_mode_sel == 1


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("0.29", "old"),
        ("0.9.38", "old"),
        ("0.30", "new"),
        ("0.30.0", "new"),
        ("0.46.1.dev3", "new"),
        ("unknown", "old"),
        ("", "old"),
    ],
)
def test_a_known_version_decides(monkeypatch: pytest.MonkeyPatch, version: str, name: str) -> None:
    """Numbers are compared as numbers; where there are none, the attribute that exists decides."""
    monkeypatch.setattr(vendor_fields, "RENAMED", (Renamed("readout.new", older="old", before="0.30.0"),))
    assert attribute_name(SimpleNamespace(old=1), "readout.new", version) == name
    assert attribute_name(SimpleNamespace(old=1), "dvs_filter.new", version) == "new"


def test_the_version_of_a_package_that_is_loaded_stands_in_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "samna", SAMNA)
    with pytest.raises(VendorError, match=r"samna 0\.48\.6: a CnnLayerConfig"):
        from_vendor(SAMNA.speck2f.configuration.CnnLayerConfig())


LACKS: Changes = {
    "CnnLayerConfig": {"output_decimator_enable": None},
    "CnnLayerDestination": {"feature_shift": None},
    "DvsLayerConfig": {"mirror_diagonal": None},
    "SpeckConfiguration": {"dvs_filter": None},
    "FactoryConfig": {"dvs_filter": None},
}


def test_a_field_that_the_version_lacks_and_nobody_uses() -> None:
    obj = to_vendor(two_cores(), samna(changes=LACKS))
    assert not hasattr(obj, "dvs_filter")
    assert from_vendor(obj) == two_cores()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (two_cores().with_core(3, layer_name="fc", output_decimator_enable=True), "core 3 (fc): output_decimator_enable is True"),
        (
            two_cores().with_core(0, destinations=[Destination(layer=3, pooling=2, feature_shift=1, enable=False)]),
            "core 0, destinations[0]: feature_shift is 1",
        ),
        (two_cores(dvs_layer=DvsLayerConfig(mirror_diagonal=True)), "dvs_layer: mirror_diagonal is True"),
        (two_cores(dvs_filter=DvsFilterConfig(filter_size=(1, 2))), "dvs_filter: filter_size is (1, 2)"),
        (
            two_cores(factory_config=FactoryConfig(dvs_filter=FactoryDvsFilter(filter_clk_enable=False))),
            "factory_config: dvs_filter.filter_clk_enable is False",
        ),
    ],
)
def test_a_field_that_the_version_lacks_and_somebody_uses(config: ChipConfig, message: str) -> None:
    with pytest.raises(VendorError, match=re.escape(f"{message}, but the object of samna 0.31.2 has no such attribute; leave")):
        to_vendor(config, samna(version="0.31.2", changes=LACKS))


def test_a_field_that_must_be_written() -> None:
    with pytest.raises(VendorError, match=r"core 0: weights is an array .* has no such attribute"):
        to_vendor(two_cores(), samna(changes={"CnnLayerConfig": {"weights": None}}))


def test_fewer_cores_and_destinations_than_the_chip_has() -> None:
    wide = get_chip("speck2f").model_copy(update={"limits": get_chip("speck2f").limits.model_copy(update={"destinations": 3})})
    destinations = [Destination(layer=i, pooling=2, enable=i == 3) for i in (1, 2, 3)]
    with pytest.raises(VendorError, match=r"core 0: 3 destinations, the object of samna 0\.48\.6 has 2"):
        to_vendor(two_cores(chip=wide).with_core(0, destinations=destinations), SAMNA)
    many = get_chip("speck2f").model_copy(update={"cores": synthetic_chip([(16384, 16384, 64)] * 12).cores})
    with pytest.raises(VendorError, match=r"core 11: the object of samna 0\.48\.6 has 9 cores"):
        to_vendor(ChipConfig(chip=many, cnn_layers={11: small_core()}), SAMNA)


NEWER = samna(
    changes={
        "SpeckConfiguration": {"bypass": flag()},
        "CnnLayerConfig": {"parallel_ram": byte(3)},
        "CnnLayerDimensions": {"dilation": number(1, 8, 1)},
        "CnnLayerDestination": {"delay": byte(0)},
        "FactoryConfig": {"extra": struct(SAMNA.speck2f.configuration.MemoryTiming)},
    }
)


def test_unknown_attributes_with_the_vendors_default() -> None:
    assert from_vendor(to_vendor(two_cores(), NEWER)) == two_cores()


def test_unknown_attributes_with_another_value() -> None:
    """All of them at once, wherever they are, cores that are not configured included."""
    obj = to_vendor(two_cores(), NEWER)
    obj.bypass = True
    obj.cnn_layers[8].parallel_ram = 4
    obj.cnn_layers[0].dimensions.dilation = 2
    obj.cnn_layers[0].destinations[1].delay = 5
    obj.factory_config.extra.clock_pulse = 6
    with pytest.raises(VendorError, match="of speck2f has no place for") as caught:
        from_vendor(obj)
    lines = str(caught.value).splitlines()[1:-1]
    assert [line.strip().partition(", a new")[0] for line in lines] == [
        "bypass is True",
        "core 0, destinations[1]: delay is 5",
        "core 0, dimensions: dilation is 2",
        "core 8: parallel_ram is 4",
        """factory_config: extra is '{"clock_pulse": 6, "clock_setup": 203, "macro_read": 204}'""",
    ]


def test_attributes_of_blocks_that_the_chip_lacks() -> None:
    obj = SAMNA.speck2f.configuration.SpeckConfiguration()
    obj.cnn_layers[1].output_decimator_enable = True
    with pytest.raises(VendorError, match="core 1: output_decimator_enable is True, a new object has False"):
        from_vendor(obj, "speck2b")


# --- the table ---


def leaves(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Dotted names of all fields that are no models themselves."""
    names: set[str] = set()
    for name, info in model.model_fields.items():
        inner = isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        names |= leaves(info.annotation, f"{prefix}{name}.") if inner else {prefix + name}  # type: ignore[arg-type]
    return names


def test_every_field_stands_in_the_table() -> None:
    models = {
        "cnn_layers": type(small_core()), "cnn_layers.destinations": Destination, "dvs_layer": DvsLayerConfig,
        "dvs_layer.destinations": DvsDestination, "dvs_filter": DvsFilterConfig, "readout": ReadoutConfig,
        "factory_config": FactoryConfig, "factory_config.cnn_layers": FactoryCore,
    }  # fmt: skip
    elsewhere = {"layer_name", "destinations", "cnn_layers"}  # no place; tables of their own
    assert {part: {field.name for field in fields} for part, fields in TABLES.items()} == {
        part: leaves(model) - elsewhere for part, model in models.items()
    }


def test_the_module_of_one_chip_is_not_the_package():
    with pytest.raises(VendorError, match=r"give the vendor's whole package"):
        to_vendor(two_cores(), SAMNA.speck2f)
