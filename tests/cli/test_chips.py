"""chipflow chips."""

from pathlib import Path

import pytest

from hwconfig import chip_names, get_chip
from tests.cli.command_line import WRONG_USE, chipflow, refused


def test_every_chip_is_listed_with_its_memories_and_boards():
    rows = [line.split() for line in chipflow("chips").out.splitlines()]
    for chip in map(get_chip, chip_names()):
        sums = [sum(getattr(core, f"{kind}_words") for core in chip.cores) for kind in ("kernel", "neuron", "bias")]
        boards = ", ".join(device.name for device in chip.devices).split()
        assert [chip.name, str(len(chip.cores)), *(f"{words:,}" for words in sums), *boards] in rows


@pytest.mark.parametrize("name", chip_names())
def test_one_chip_is_described_in_full(name: str):
    chip = get_chip(name)
    text = chipflow("chips", name).out
    rows = [line.split() for line in text.splitlines()]
    for core in chip.cores:
        words = [f"{getattr(core, kind):,}" for kind in ("kernel_words", "neuron_words", "bias_words", "synops_per_second")]
        assert [str(core.id), *words, "yes" if core.id in chip.parallel_cores else "no"] in rows
    for words in (chip.description, chip.synops_source, *chip.notes, *(erratum.text for erratum in chip.errata)):
        assert words in text
    for device in chip.devices:
        assert device.name in text
    for limit in type(chip.limits).model_fields:
        assert limit.replace("_", " ") in text
    assert chipflow("chips", name, "--json").document == chip.model_dump(mode="json")


def test_a_chip_of_the_users_own():
    Path("mine.toml").write_text('like = "speck2f"\nname = "speck2x"\n[limits]\noutput_size = 99\n')
    text = chipflow("chips", "mine.toml").out
    assert "speck2x" in text
    assert "99" in text
    assert chipflow("chips", "mine.toml", "--json").document["limits"]["output_size"] == 99


def test_a_chip_that_does_not_exist_is_wrong_use():
    assert "known chips are dynapcnn" in refused("chips", "speck9", code=WRONG_USE)
    Path("mine.toml").write_text("cores = 3")
    assert "mine.toml: not a chip description" in refused("chips", "mine.toml", code=WRONG_USE)


def test_json_holds_all_that_is_known_of_the_chips():
    listed = chipflow("chips", "--json").document
    assert listed == [get_chip(name).model_dump(mode="json") for name in chip_names()]


def test_a_command_or_option_that_does_not_exist_is_wrong_use():
    assert "chps" in refused("chps", code=WRONG_USE)
    assert "--jsn" in refused("chips", "--jsn", code=WRONG_USE)
