"""chipflow chips."""

from hwconfig import chip_names, get_chip
from tests.cli.command_line import WRONG_USE, chipflow, refused


def test_every_chip_and_the_memory_of_every_core_is_listed():
    text = chipflow("chips").out
    for chip in map(get_chip, chip_names()):
        heading = text.index(f"{chip.name}: {chip.description}")
        rows = [line.split() for line in text[heading:].splitlines()]
        for core in chip.cores:
            assert [str(core.id), str(core.kernel_words), str(core.neuron_words), str(core.bias_words)] in [
                row[:4] for row in rows
            ]


def test_json_holds_all_that_is_known_of_a_chip():
    listed = chipflow("chips", "--json").document
    assert listed == [get_chip(name).model_dump(mode="json") for name in chip_names()]


def test_a_command_or_option_that_does_not_exist_is_wrong_use():
    assert "chps" in refused("chps", code=WRONG_USE)
    assert "--jsn" in refused("chips", "--jsn", code=WRONG_USE)
