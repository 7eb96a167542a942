import numpy as np
import pytest
from pydantic import ValidationError

from hwconfig import ChipFileError, UnknownChipError, chip_names, get_chip
from tests.hwconfig.builders import small_core, two_cores


def test_reads_as_spelled():
    config = two_cores()
    assert config.core(3).threshold_high == 50
    assert config.active_cores == (0, 3)
    assert "speck2f" in repr(config)
    with pytest.raises(KeyError, match=r"\[0, 3\]"):
        config.core(4)


def test_arrays_are_copies_that_cannot_be_written():
    weights = np.zeros((3, 2, 3, 3), np.int32)
    core = small_core(weights=weights)
    weights[:] = 1
    assert not core.weights.any()
    with pytest.raises(ValueError, match="read-only"):
        core.weights[:] = 1


@pytest.mark.parametrize("weights", [np.zeros((3, 2, 3, 3)), np.zeros((3, 2, 3), int), [[1], [2, 3]]])
def test_wrong_arrays_are_refused(weights):
    with pytest.raises(ValidationError):
        small_core(weights=weights)


def test_chips():
    assert chip_names() == ("speck2e", "speck2f")
    chip = get_chip("speck2f")
    assert sum(core.neuron_words for core in chip.cores) == 327_680
    assert chip.limits.weight_range == (-128, 127)
    with pytest.raises(UnknownChipError, match="speck2e, speck2f"):
        get_chip("speck3")


def test_a_broken_chip_file_names_the_field(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("name = 3\n")
    with pytest.raises(ChipFileError, match="limits"):
        get_chip(path)
