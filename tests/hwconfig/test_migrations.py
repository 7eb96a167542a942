"""Files of older schema versions, kept as they were written, are still read."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwconfig import ChipConfig, ConfigFileError, DvsDestination, EditedConfigError, Provenance, get_chip
from hwconfig.files import SCHEMA_VERSION
from tests.hwconfig.builders import small_core

GOLDEN = Path(__file__).parent / "golden"


def document() -> dict[str, Any]:
    return json.loads((GOLDEN / "config_v1.json").read_text())


@pytest.mark.parametrize("name", ["config_v1.json", "config_v1_readable.json"])
def test_version_1(name: str):
    config = ChipConfig.load(GOLDEN / name)
    assert config.chip == get_chip("speck2f")
    assert config.core(3).biases.tolist() == [1, -2, 3, 0, 4000]
    np.testing.assert_array_equal(config.core(0).weights, small_core().weights)
    assert config.dvs_layer.destinations == (DvsDestination(layer=0),)
    assert (config.dvs_layer.origin, config.dvs_layer.cut, config.readout.threshold) == ((3, 5), (6, 8), 7)
    assert config.provenance == Provenance(tool="chipflow 0.1.0", options={"quantization": "default", "time_step_us": 1000})
    assert config.suppressed_rules == {}


def test_it_is_written_in_the_newest_version():
    config = ChipConfig.load(GOLDEN / "config_v1.json")
    again = config.to_json()
    assert json.loads(again)["schema_version"] == SCHEMA_VERSION
    assert ChipConfig.from_json(again) == config


def test_a_chip_that_was_written_out_in_full():
    config = ChipConfig.load(GOLDEN / "config_v1_synthetic_chip.json")
    assert (config.chip.name, len(config.chip.cores), config.active_cores) == ("synthetic", 12, tuple(range(12)))
    assert config.chip.features == get_chip("speck2f").features
    assert config.violations().ok


def test_the_zlib_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    """The old hash was of the packed text, which another zlib packs otherwise."""
    pack = zlib.compress
    monkeypatch.setattr(zlib, "compress", lambda raw: pack(raw, 1))
    assert ChipConfig.load(GOLDEN / "config_v1.json").active_cores == (0, 3)


def test_an_edit_of_an_old_file_is_noticed():
    edited = document()
    edited["cnn_layers"]["3"]["threshold_high"] += 1
    with pytest.raises(EditedConfigError):
        ChipConfig.from_json(json.dumps(edited))


def test_a_new_field_in_an_old_file_is_refused():
    edited = document()
    edited["cnn_layers"]["3"]["layer_name"] = "conv1"
    with pytest.raises(ConfigFileError, match=r"core 3 .*layer_name"):
        ChipConfig.from_json(json.dumps(edited))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (part, value)
        for part in ("cnn_layers", "dvs_layer", "chip")
        for value in (None, 3, "x", [1], {"0": 3}, {"destinations": [3]})
    ]
    + [("provenance", value) for value in (None, 3, "x", [1])],  # which was a table of anything
)
def test_whatever_stands_in_an_old_file_there_is_a_message(part: str, value: Any):
    with pytest.raises(ConfigFileError):
        ChipConfig.from_json(json.dumps(document() | {part: value}))


def test_a_sensor_that_pools_towards_a_core_is_refused():
    edited = document()
    edited["dvs_layer"]["destinations"][0]["pooling"] = 2
    with pytest.raises(ConfigFileError, match="neither pools nor shifts"):
        ChipConfig.from_json(json.dumps(edited))
