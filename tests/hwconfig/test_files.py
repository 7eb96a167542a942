"""Configurations in files: round trips, hashes, damage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwconfig import ChipConfig, ConfigFileError, EditedConfigError, synthetic_chip
from hwconfig.files import SCHEMA_VERSION, write_text
from tests.hwconfig.builders import small_core, two_cores


@pytest.mark.parametrize("readable", [False, True])
def test_round_trip(readable: bool):
    config = two_cores(provenance={"seed": 3})
    again = ChipConfig.from_json(config.to_json(readable=readable))
    assert again == config
    assert again.hash == config.hash
    assert again.provenance.seed == 3
    assert again.core(0).weights.dtype == np.int8


def test_save_and_load(tmp_path: Path):
    path = tmp_path / "config.json"
    config = two_cores()
    config.save(path, readable=True)
    assert ChipConfig.load(path) == config
    assert list(tmp_path.iterdir()) == [path]
    assert oct(path.stat().st_mode & 0o777) == oct(0o666 & ~umask())


def umask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_readable_files_hold_lists():
    document = json.loads(two_cores().to_json(readable=True))
    weights = two_cores().core(0).weights
    assert document["cnn_layers"]["0"]["weights"] == weights.tolist()


def test_the_hash_is_of_contents_and_not_of_their_spelling():
    """Packed or readable, with another order of keys, with wider integers: the same."""
    config = two_cores()
    document = json.loads(config.to_json(readable=True))
    turned = json.dumps(dict(reversed(document.items())), indent=None)
    assert ChipConfig.from_json(turned).hash == config.hash
    wide = config.with_core(0, weights=config.core(0).weights.astype(np.int64))
    assert wide.hash == config.hash


def test_the_hash_does_not_move_between_releases():
    """A golden value: whoever changes it makes every file so far look edited, and needs a new schema version."""
    assert two_cores().hash == "sha256:449d0a403627f878ddc2785f8bb63ee18dcd7e169a79a129fc1fcdd26dad4844"


def test_a_synthetic_chip_travels_with_the_file():
    config = ChipConfig(chip=synthetic_chip([(4096, 4096, 0)]), cnn_layers={0: small_core()})
    assert ChipConfig.from_json(config.to_json()).chip == config.chip


def test_provenance_changes_neither_hash_nor_equality():
    made = {"tool": "chipflow 1", "model_hash": "sha256:1", "seed": 3, "options": {"a": [1, None, {"b": 2.5}]}}
    config = two_cores(provenance=made)
    assert config == two_cores()
    assert config.hash == two_cores().hash
    assert ChipConfig.from_json(config.to_json()).provenance.options == made["options"]


def test_any_change_of_contents_changes_hash_and_equality():
    config = two_cores()
    weights = config.core(0).weights.copy()
    weights[1, 0, 2, 1] += 1
    for other in (
        config.with_core(0, weights=weights),
        config.with_core(3, threshold_high=51),
        config.with_core(3, layer_name="other"),
        config.with_suppressed_rule("memory", "doubtful"),
        config.with_changes(factory_config={"io_sel": 1}),
    ):
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
        ("[" * 100_000, "truncated"),
        ('{"format": NaN}', "NaN is not a JSON number"),
        ('{"format": "other"}', "foreign"),
        ('{"format": "hwconfig", "schema_version": 99}', rf"schema version 99, this version reads up to {SCHEMA_VERSION}"),
        ('{"format": "hwconfig", "schema_version": true}', "positive integer"),
        ('{"format": "hwconfig", "schema_version": 2, "chip": "speck9"}', "known chips are"),
        ('{"format": "hwconfig", "schema_version": 2, "chip": "speck2f", "cnn_layer": {}}', "cnn_layer"),
        ('{"format": "hwconfig", "schema_version": 2, "chip": "speck2f", "cnn_layers": {"x": {}}}', "cnn_layers"),
    ],
)
def test_what_is_not_a_configuration_says_why(text: str, message: str):
    with pytest.raises(ConfigFileError, match=message):
        ChipConfig.from_json(text)


@pytest.mark.parametrize("key", ["03", "+3", " 3", "-3", "3.0", "\u0663", "3" * 5000])
def test_a_core_has_one_spelling(key: str):
    """Else two keys could mean the same core, and one of them would be lost."""
    text = two_cores().to_json().replace(' "3": {', f' "{key}": {{')
    with pytest.raises(ConfigFileError, match="cnn_layers"):
        ChipConfig.from_json(text)


def test_a_file_cannot_make_its_reader_open_another(tmp_path: Path):
    """A path is a fine chip in Python, but not in a file."""
    secret = tmp_path / "secret.toml"
    secret.write_text("password = 'pass'")
    text = json.dumps({"format": "hwconfig", "schema_version": SCHEMA_VERSION, "chip": str(secret)})
    with pytest.raises(ConfigFileError, match="unknown chip") as caught:
        ChipConfig.from_json(text)
    assert "password" not in str(caught.value)


def test_load_names_the_file(tmp_path: Path):
    with pytest.raises(ConfigFileError, match=r"nowhere.json: No such file"):
        ChipConfig.load(tmp_path / "nowhere.json")
    path = tmp_path / "bytes.json"
    path.write_bytes(b"\xff\xff")
    with pytest.raises(ConfigFileError, match=r"bytes.json: not a configuration file"):
        ChipConfig.load(path)
    path.write_text(two_cores().to_json().replace('"threshold_high": 50', '"threshold_high": 51'))
    with pytest.raises(EditedConfigError, match=r"bytes.json: the configuration was edited"):
        ChipConfig.load(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "config.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
