"""Chips: those that ship, and a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwconfig import (
    ERRATA,
    ChipConfig,
    ChipFileError,
    ChipSpec,
    UnknownChipError,
    chip_names,
    get_chip,
    synthetic_chip,
)
from tests.hwconfig.builders import small_core

NINE = ("dynapcnn", "speck2b", "speck2e", "speck2f")
MINIS = ("speck2cmini", "speck2dmini")


def test_the_chips_that_ship():
    assert chip_names() == ("dynapcnn", "speck2b", "speck2cmini", "speck2dmini", "speck2e", "speck2f")
    with pytest.raises(UnknownChipError, match="speck2e, speck2f"):
        get_chip("speck3")


@pytest.mark.parametrize("name", NINE)
def test_nine_cores(name: str):
    chip = get_chip(name)
    assert sum(core.neuron_words for core in chip.cores) == 327_680
    assert sum(core.kernel_words for core in chip.cores) == 272 * 1024
    assert sum(core.bias_words for core in chip.cores) == 9 * 1024
    assert chip.parallel_cores == ((0, 1) if name in ("speck2e", "speck2f") else ())
    assert [core.synops_per_second for core in chip.cores] == [100_000_000] + [30_000_000] * 8


@pytest.mark.parametrize("name", MINIS)
def test_five_cores(name: str):
    chip = get_chip(name)
    assert [core.bias_words for core in chip.cores] == [0, 0, 0, 1024, 1024]
    assert [core.synops_per_second for core in chip.cores] == [100_000_000] + [30_000_000] * 4
    assert "not public" in " ".join(chip.notes)
    assert [(core.kernel_words // 1024, core.neuron_words // 1024) for core in chip.cores] == [
        (16, 64), (32, 32), (32, 32), (64, 16), (16, 16)
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_what_is_no_path_is_an_unknown_chip(name: str):
    with pytest.raises(UnknownChipError, match="known chips are"):
        get_chip(name)


def test_what_differs_between_the_chips():
    has = {name: get_chip(name).features for name in chip_names()}
    assert [name for name, features in has.items() if features.kill_bits] == ["dynapcnn", "speck2b"]
    assert [name for name, features in has.items() if not features.pixels] == ["dynapcnn"]
    assert [name for name, features in has.items() if features.decimator and features.congestion_balancer] == [
        "speck2e",
        "speck2f",
    ]
    assert [name for name, features in has.items() if not features.internal_slow_clock] == ["dynapcnn", "speck2b"]
    assert {name for name in chip_names() if get_chip(name).has_erratum("readout-channel-map")} == {"speck2e", "speck2f"}
    assert get_chip("speck2b").has_erratum("readout-unusable")


@pytest.mark.parametrize("name", chip_names())
def test_every_chip_is_marked_as_the_sources_are(name: str):
    chip = get_chip(name)
    assert chip.name == name
    assert "second-hand" in chip.synops_source
    assert chip.devices
    assert chip.limits.weight_range == (-128, 127)
    assert {erratum.name for erratum in chip.errata} <= set(ERRATA)
    assert chip.vendor is not None


def test_devices_as_their_users_and_as_the_vendor_call_them():
    named = {device.name: device.vendor_name for name in chip_names() for device in get_chip(name).devices}
    assert named["speck2fdevkit"] == "Speck2fDevKit"
    assert named["speck2fmodule"] == "Speck2fModuleDevKit"
    assert named["speck2edevkit"] == "Speck2eDevKit"
    assert named["dynapcnndevkit"] == "DynapcnnDevKit"
    assert sum(len(get_chip(name).devices) for name in chip_names()) == len(named)


@pytest.mark.parametrize(
    ("feature", "on_2f", "on_2c"),
    [(0, 1, 1), (1, None, 2), (4, 2, 5), (14, None, 15), (56, 15, None), (60, None, None), (-4, None, None)],
)
def test_the_class_of_a_feature(feature: int, on_2f: int | None, on_2c: int | None):
    assert get_chip("speck2f").readout.class_of(feature) == on_2f
    assert get_chip("speck2cmini").readout.class_of(feature) == on_2c


# --- a user's own file ---


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_says_only_what_differs(tmp_path: Path):
    path = written(tmp_path, 'like = "speck2f"\nname = "speck2x"\n[limits]\noutput_size = 128\n[features]\nkill_bits = true\n')
    chip, model = get_chip(path), get_chip("speck2f")
    assert chip.limits == model.limits.model_copy(update={"output_size": 128})
    assert chip.features.kill_bits
    assert chip.cores == model.cores
    assert get_chip(str(path)) == chip


def test_a_whole_file_is_as_good_as_a_built_in_one(tmp_path: Path):
    """The Speck2f's own file under another name is another chip; a configuration carries it along."""
    text = (Path(__file__).parents[2] / "hwconfig" / "chips" / "speck2f.toml").read_text()
    chip = get_chip(written(tmp_path, text.replace('name = "speck2f"', 'name = "twin"', 1)))
    assert chip.model_copy(update={"name": "speck2f"}) == get_chip("speck2f")
    config = ChipConfig(chip=chip, cnn_layers={3: small_core(monitor_enable=True)})
    assert config.violations().violations == ()
    assert ChipConfig.from_json(config.to_json()).chip == chip
    assert ChipConfig(chip=tmp_path / "mine.toml", cnn_layers=config.cnn_layers) == config


def test_an_erratum_of_its_own(tmp_path: Path):
    fault = '{ name = "my-bug", text = "Core 4 is dead.", source = "our bench", grade = "B" }'
    chip = get_chip(written(tmp_path, f'like = "speck2f"\nname = "speck2x"\nerrata = ["threshold-low-zero", {fault}]\n'))
    assert [erratum.name for erratum in chip.errata] == ["threshold-low-zero", "my-bug"]
    assert chip.has_erratum("my-bug")
    config = ChipConfig(chip=chip, cnn_layers={3: small_core()})
    assert ChipConfig.from_json(config.to_json()).chip == chip


@pytest.mark.parametrize("board", ["speck2fdevkit", "speck2fmodule:1", "dynapcnndevkit:0"])
def test_a_board_stands_for_its_chip(board: str):
    assert get_chip(board) == get_chip("dynapcnn" if "dynap" in board else "speck2f")


def test_like_follows_paths_beside_the_file(tmp_path: Path):
    written(tmp_path, 'like = "speck2cmini"\nname = "first"\n[limits]\npadding = 9\n', "first.toml")
    chip = get_chip(written(tmp_path, 'like = "first.toml"\nname = "second"\n[limits]\nkernel_size = 20\n', "second.toml"))
    assert (chip.limits.padding, chip.limits.kernel_size, len(chip.cores)) == (9, 20, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 3\n", ["mine.toml", "name", "limits: Field required"]),
        ("name = \n", ["mine.toml", "not a TOML file"]),
        ('like = "speck2f"\n', ["mine.toml", "name of its own"]),
        ('like = "speck9"\nname = "x"\n', ["speck9", "known chips are"]),
        ('like = "mine.toml"\nname = "x"\n', ["circle", "mine.toml -> "]),
        ("like = 3\nname = 'x'\n", ["mine.toml", "found 3"]),
        ('like = "speck2f"\nname = "x"\n[limits]\noutput_size = -1\nspeed = 3\n', ["limits.output_size", "limits.speed"]),
        ('like = "speck2f"\nname = "x"\nerrata = ["slow"]\n', ["errata.0", "'slow'", "threshold-low-zero"]),
        ('like = "speck2f"\nname = "x"\n[limits]\nstrides = []\npoolings = [0]\n', ["limits.strides", "limits.poolings.0"]),
        ('like = "speck2f"\nname = "x"\n[layers]\nreadout = 13\n', ["readout 13 and sensor 13"]),
        ('like = "speck2f"\nname = "x"\nparallel_cores = [9]\n', ["parallel_cores are [9]"]),
        ('like = "speck2f"\nname = "x"\n[limits]\ndecimator_ratios = []\n', ["decimator_ratios is empty"]),
        ('like = "speck2f"\nname = "x"\n[layers]\nreadout = 3\n', ["readout 3", "from the core ids"]),
    ],
)
def test_a_wrong_file_is_named_with_all_that_is_wrong(tmp_path: Path, text: str, words: list[str]):
    with pytest.raises((ChipFileError, UnknownChipError)) as caught:
        get_chip(written(tmp_path, text))
    for word in words:
        assert word in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ChipFileError, match="not a TOML file"):
        get_chip(path)


# --- synthetic chips ---


def test_synthetic_chips_say_what_differs():
    chip = synthetic_chip([(4096, 8192, 16)] * 20, limits={"output_size": 256}, features={"kill_bits": True}, name="big")
    assert isinstance(chip, ChipSpec)
    assert (chip.name, len(chip.cores), chip.limits.output_size, chip.features.kill_bits) == ("big", 20, 256, True)
    assert chip.vendor is None
    assert not {chip.layers.readout, chip.layers.sensor} & set(chip.core_ids)
    with pytest.raises(ChipFileError, match=r"limits\.colour"):
        synthetic_chip([(1, 1, 1)], limits={"colour": 3})


def test_a_core_that_does_not_exist_is_named():
    with pytest.raises(KeyError, match="has no core 9"):
        get_chip("speck2f").core(9)
