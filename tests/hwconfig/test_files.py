"""Configurations in files: round trips, hashes, damage."""

from __future__ import annotations

import base64
import json
import time
import timeit
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hwconfig_speed import full_config
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


def test_readable_files_hold_lists_a_row_a_line():
    config = two_cores(provenance={"options": {"a": ("], [", (1, 2))}})
    text = config.to_json(readable=True)
    weights = config.core(0).weights
    assert json.loads(text)["cnn_layers"]["0"]["weights"] == weights.tolist()
    assert f"\n    [{', '.join(map(str, weights[0, 0, 1]))}],\n" in text
    assert ChipConfig.from_json(text).provenance.options == {"a": ("], [", (1, 2))}
    assert len(text.splitlines()) < 250


def test_an_edited_file_can_be_read_as_it_is(tmp_path: Path):
    path = tmp_path / "edited.json"
    path.write_text(two_cores().to_json().replace('"threshold_high": 50', '"threshold_high": 51'))
    config = ChipConfig.load(path, accept_edit=True)
    assert config.core(0).threshold_high == 51
    config.save(path)
    assert ChipConfig.load(path) == config


@pytest.mark.parametrize("shape", [[300_000_000, 1, 1], [2**40, 2**40, 2**40]])
def test_an_array_that_claims_to_be_huge_gets_no_room(shape: list[int]):
    document = json.loads(two_cores().to_json())
    document["cnn_layers"]["0"]["neurons_initial_value"]["shape"] = shape
    with pytest.raises(ConfigFileError, match="more elements than any chip's memory"):
        ChipConfig.from_json(json.dumps(document))


def test_bytes_behind_an_array_are_noticed():
    document = json.loads(two_cores().to_json())
    packed = document["cnn_layers"]["0"]["weights"]
    packed["data"] = base64.b64encode(base64.b64decode(packed["data"]) + b"more").decode()
    with pytest.raises(ConfigFileError, match="does not hold"):
        ChipConfig.from_json(json.dumps(document))


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path):
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    two_cores().save(link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert ChipConfig.load(target) == two_cores()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"nowhere/config\.json"):
        two_cores().save(tmp_path / "nowhere" / "config.json")


@pytest.mark.slow
def test_a_full_chip_is_validated_saved_and_loaded_in_time(tmp_path: Path):
    """Seconds of the processor, the best of several: machines do other things as well. The benchmark takes wall time."""
    config, path = full_config(), tmp_path / "full.json"
    actions = {
        "validate": (0.05, config.violations),
        "save": (0.2, lambda: config.with_changes().save(path)),
        "load": (0.2, lambda: ChipConfig.load(path)),
        "save readable": (0.2, lambda: config.with_changes().save(path, readable=True)),
        "load readable": (0.2, lambda: ChipConfig.load(path)),
    }
    for name, (limit, action) in actions.items():
        best = min(timeit.repeat(action, timer=time.process_time, number=1, repeat=7))
        assert best < limit, f"{name} took {1e3 * best:.0f} ms"


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
    made = {"tool": "chipflow 1", "model_hash": "sha256:1", "seed": 2**64 - 1, "options": {"a": (1, None, {"b": 2.5})}}
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
        ('{"format": "hwconfig", "chip": "speck2e", "chip": "speck2f"}', "the key 'chip' stands twice"),
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


def test_pydantics_own_json_is_read_too():
    config = two_cores(factory_config={"cnn_layers": {3: {"kernel": {"clock_pulse": 1}}}})
    assert ChipConfig.model_validate_json(config.model_dump_json()) == config


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
