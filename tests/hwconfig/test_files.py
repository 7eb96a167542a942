import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwconfig import ChipConfig, ConfigFileError, EditedConfigError, synthetic_chip
from hwconfig.files import write_text
from tests.hwconfig.builders import small_core, two_cores


@pytest.mark.parametrize("readable", [False, True])
def test_round_trip(readable):
    config = two_cores(provenance={"seed": 3})
    again = ChipConfig.from_json(config.to_json(readable=readable))
    assert again == config
    assert again.hash == config.hash
    assert again.provenance == {"seed": 3}
    assert again.core(0).weights.dtype == np.int8


def test_a_synthetic_chip_travels_with_the_file():
    config = ChipConfig(chip=synthetic_chip([(4096, 4096, 0)]), cnn_layers={0: small_core()})
    assert ChipConfig.from_json(config.to_json()).chip == config.chip


def test_provenance_changes_neither_hash_nor_equality():
    assert two_cores(provenance={"a": 1}) == two_cores()
    assert two_cores(provenance={"a": 1}).hash == two_cores().hash


def test_any_change_of_contents_changes_hash_and_equality():
    config = two_cores()
    weights = config.core(0).weights.copy()
    weights[1, 0, 2, 1] += 1
    for other in (config.with_core(0, weights=weights), config.with_core(3, threshold_high=51)):
        assert other != config
        assert other.hash != config.hash


def test_an_edited_file_is_refused():
    document = json.loads(two_cores().to_json(readable=True))
    document["cnn_layers"]["0"]["threshold_high"] = 51
    with pytest.raises(EditedConfigError, match="--accept-edit"):
        ChipConfig.from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "truncated"),
        ("[]", "top level"),
        ('{"format": "other"}', "foreign"),
        ('{"format": "hwconfig", "schema_version": 99}', "99"),
        ('{"format": "hwconfig", "schema_version": 1, "chip": "speck9"}', "known chips are"),
        ('{"format": "hwconfig", "schema_version": 1, "chip": "speck2f", "cnn_layer": {}}', "cnn_layer"),
    ],
)
def test_what_is_not_a_configuration_says_why(text, message):
    with pytest.raises(ConfigFileError, match=message):
        ChipConfig.from_json(text)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_truncations_and_flipped_characters_never_pass_silently(data):
    config = two_cores()
    text = config.to_json()
    at = data.draw(st.integers(0, len(text) - 2))
    if data.draw(st.booleans()):
        damaged = text[:at]
    else:
        damaged = text[:at] + chr(data.draw(st.integers(32, 126))) + text[at + 1 :]
    with contextlib.suppress(ConfigFileError):
        assert ChipConfig.from_json(damaged) == config


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "config.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
