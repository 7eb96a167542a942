"""A strict stand-in for the vendor's package, written from the hardware facts (sections 2 and 6.4) and from nothing of ours.

Attributes have types and ranges; names that do not exist can be neither read nor set; destinations are fixed arrays. Defaults that
are not public are odd on purpose, so that a field that was not written shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


@dataclass(frozen=True)
class Kind:
    """How an attribute is made, checked when set, and written as JSON."""

    default: Callable[[], Any]
    check: Callable[[Any], Any]


def number(low: int, high: int, default: int) -> Kind:
    return Kind(lambda: default, lambda value: _integer(value, low, high))


def byte(default: int = 0) -> Kind:
    return number(0, 255, default)


def word(default: int = 0) -> Kind:
    return number(-32768, 32767, default)


def flag(default: bool = False) -> Kind:
    return Kind(lambda: default, _bool)


def nested(axes: int, check: Callable[[Any], Any]) -> Kind:
    """Lists in lists; empty as they come."""
    return Kind(list, lambda value: _nested(value, axes, check))


def struct(make: type[Strict]) -> Kind:
    return Kind(make, lambda value: _instance(value, make))


def array(make: type[Strict], size: int) -> Kind:
    """A fixed array: its elements can be changed, their number cannot."""
    return Kind(lambda: Fixed(make() for _ in range(size)), lambda value: Fixed(_elements(value, make, size)))


def _integer(value: Any, low: int, high: int) -> int:
    if type(value) is not int:
        raise TypeError(f"incompatible type {type(value).__name__}, an int is needed")
    if not low <= value <= high:
        raise ValueError(f"{value} is outside of {low} to {high}")
    return value


def _bool(value: Any) -> bool:
    if type(value) not in (bool, int):
        raise TypeError(f"incompatible type {type(value).__name__}, a bool is needed")
    return bool(_integer(int(value), 0, 1))


def _nested(value: Any, axes: int, check: Callable[[Any], Any]) -> Any:
    if type(value) is not list:
        raise TypeError(f"incompatible type {type(value).__name__}, a list is needed")
    return [_nested(item, axes - 1, check) if axes > 1 else check(item) for item in value]


def _instance(value: Any, make: type[Strict]) -> Strict:
    if type(value) is not make:
        raise TypeError(f"incompatible type {type(value).__name__}, a {make.__name__} is needed")
    return value


def _elements(value: Any, make: type[Strict], size: int) -> Iterable[Strict]:
    if len(value) != size:
        raise ValueError(f"{len(value)} elements, needed are {size}")
    return [_instance(item, make) for item in value]


class Fixed:
    """A fixed array."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Any:
        return self._items[index]


class Strict:
    """Base of all classes of the stand-in: only the attributes in KINDS, each checked by its kind."""

    KINDS: Mapping[str, Kind] = {}

    def __init__(self) -> None:
        object.__setattr__(self, "_values", {name: kind.default() for name, kind in self.KINDS.items()})

    def __getattribute__(self, name: str) -> Any:
        kinds = type(self).KINDS
        return object.__getattribute__(self, "_values")[name] if name in kinds else object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.KINDS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._values[name] = self.KINDS[name].check(value)

    def __dir__(self) -> list[str]:
        return ["KINDS", "to_json", "from_json", *self.KINDS]

    def to_json(self) -> str:
        return json.dumps(_as_data(self))

    def from_json(self, text: str) -> None:
        raise NotImplementedError


def _as_data(value: Any) -> Any:
    if isinstance(value, Strict):
        return {name: _as_data(getattr(value, name)) for name in value.KINDS}
    return [_as_data(item) for item in value] if isinstance(value, Fixed | list) else value


@dataclass(frozen=True)
class Chip:
    """What sets a chip's module apart (hardware facts, section 6.4)."""

    configuration: str = "SpeckConfiguration"
    layer: str = "CnnLayerConfig"
    cores: int = 9
    kill_bits: bool = False
    internal_clock: bool = True
    balancer_and_decimator: bool = True
    filter_and_readout: bool = True
    mirrored: bool = False


CHIPS = {
    "speck2e": Chip(mirrored=True),  # sinabs issue 166
    "speck2f": Chip(),
    "speck2b": Chip(kill_bits=True, internal_clock=False, balancer_and_decimator=False),
    "speck2cMini": Chip(cores=5, balancer_and_decimator=False),
    "speck2dMini": Chip(cores=5, balancer_and_decimator=False),
    "dynapcnn": Chip(
        "DynapcnnConfiguration", "CNNLayerConfig", kill_bits=True, internal_clock=False, balancer_and_decimator=False,
        filter_and_readout=False,
    ),
}  # fmt: skip

Changes = Mapping[str, Mapping[str, Kind | None]]


def samna(*names: str, version: str = "0.48.6", changes: Changes | None = None) -> Any:
    """The package with the modules of these chips (none named: speck2e and speck2f).

    Args:
        names: the chips' modules.
        version: `__version__`.
        changes: class name -> attribute -> its kind, or None for an attribute that this version lacks.
    """
    modules = {name: chip_module(name, CHIPS[name], changes or {}) for name in names or ("speck2e", "speck2f")}
    return SimpleNamespace(__name__="samna", __version__=version, **modules)


def chip_module(name: str, chip: Chip, changes: Changes) -> Any:
    """The module of one chip."""
    classes: dict[str, type[Strict]] = {}

    def define(cls: str, **kinds: Kind) -> type[Strict]:
        changed = {attribute: kind for attribute, kind in (kinds | dict(changes.get(cls, {}))).items() if kind is not None}
        classes[cls] = type(cls, (Strict,), {"KINDS": changed, "__module__": f"samna.{name}.configuration"})
        return classes[cls]

    def flags(*attributes: str) -> dict[str, Kind]:
        return {attribute: flag() for attribute in attributes}

    def pair(default: int) -> Kind:
        return struct(define(f"Vec2_unsigned_char_{default}", x=byte(default), y=byte(default)))

    clock = "internal_slow_clk"
    shape = define("CnnShape", size=pair(1), feature_count=number(0, 65535, 1))
    dimensions = define(
        "CnnLayerDimensions",
        kernel_size=byte(1), stride=pair(1), padding=pair(0), input_shape=struct(shape), output_shape=struct(shape),
    )  # fmt: skip
    destination = define("CnnLayerDestination", enable=flag(), layer=byte(7), pooling=byte(4), feature_shift=number(0, 65535, 9))
    weight, state = (lambda value: _integer(value, -128, 127)), (lambda value: _integer(value, -32768, 32767))
    kill_bits = {
        "weights_kill_bit": nested(4, _bool), "biases_kill_bit": nested(1, _bool), "neurons_value_kill_bit": nested(3, _bool),
    }  # fmt: skip
    layer = define(
        chip.layer,
        dimensions=struct(dimensions),
        weights=nested(4, weight),
        biases=nested(1, state),
        neurons_initial_value=nested(3, state),
        threshold_high=word(1111),
        threshold_low=word(-2222),
        destinations=array(destination, 2),
        **flags("return_to_zero", "leak_enable", "monitor_enable"),
        **(kill_bits if chip.kill_bits else {}),
        **(flags(f"leak_{clock}_enable") if chip.internal_clock else {}),
        **(flags("input_congestion_balancer_enable", "output_decimator_enable") if chip.balancer_and_decimator else {}),
        **({"output_decimator_interval": number(0, 7, 5)} if chip.balancer_and_decimator else {}),
    )
    flag_pair = struct(define("Vec2_bool", x=flag(chip.mirrored), y=flag(chip.mirrored)))
    sensor = define(
        "DvsLayerConfig",
        pooling=pair(1), origin=pair(0), cut=pair(127), mirror=flag_pair, mirror_diagonal=flag(chip.mirrored),
        pass_sensor_events=flag(True), on_channel=flag(True), off_channel=flag(True),
        destinations=array(define("DvsLayerDestination", enable=flag(), layer=byte(6)), 2),
        **flags("merge", "monitor_enable", "raw_monitor_enable"),
    )  # fmt: skip
    own_clock = {clock: flag(True)} if chip.internal_clock else {}
    event_filter = define(
        "DvsFilterConfig",
        filter_size=pair(3), threshold=number(0, 65535, 33),
        **flags("enable", "hot_pixel_filter_enable", "low_pass_mode_enable"), **own_clock,
    )  # fmt: skip
    readout = define(
        "ReadoutConfig",
        readout_configuration_sel=number(0, 3, 1), threshold=number(0, 65535, 44),
        output_mode_sel=number(0, 3, 2), output_neuron_num=number(0, 15, 5),
        **flags("enable", "low_pass_filter_disable", "low_pass_filter32_not16", "override_threshold_max"),
        **flags("monitor_enable", "readout_pin_monitor_enable"), **own_clock,
    )  # fmt: skip
    currents = (*(f"current_out{i}" for i in (1, 2, 3, 4)), *(f"current_control_p{i}" for i in (0, 3, 4, 5, 6, 7)))
    timing = define("MemoryTiming", clock_pulse=byte(202), clock_setup=byte(203), macro_read=byte(204))
    factory = define(
        "FactoryConfig",
        io_sel=byte(200), internal_slow_clk_divider=byte(201),
        dvs_filter=struct(define("FactoryDvsFilter", filter_clk_enable=flag())),
        dvs_layer=struct(define("FactoryDvsLayer", **{name: byte(205) for name in currents})),
        cnn_layers=array(define("FactoryCnnLayer", kernel=struct(timing), neuron=struct(timing)), chip.cores),
        **flags("fast_output", "monitor_dual_channel"),
    )  # fmt: skip
    blocks = {"dvs_filter": struct(event_filter), "readout": struct(readout)} if chip.filter_and_readout else {}
    define(
        chip.configuration,
        cnn_layers=array(layer, chip.cores), dvs_layer=struct(sensor), factory_config=struct(factory), **blocks,
    )  # fmt: skip
    return SimpleNamespace(configuration=SimpleNamespace(**classes))


def older(version: str = "0.30.2", *names: str) -> Any:
    """A version of before `output_mode_sel` had its name."""
    return samna(*names, version=version, changes={"ReadoutConfig": {"output_mode_sel": None, "output_mod_sel": number(0, 3, 2)}})
