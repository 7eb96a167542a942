"""The published JSON Schema: it is the one of the code, and it says of files what reading them says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from hwconfig import ChipConfig, FactoryConfig, FactoryCore, json_schema, synthetic_chip
from hwconfig.files import SCHEMA_VERSION
from tests.hwconfig.builders import small_core, two_cores
from tests.hwconfig.strategies import any_configurations

PUBLISHED = Path(__file__).parents[2] / "docs" / "schema" / f"hwconfig-{SCHEMA_VERSION}.json"
VALIDATOR = Draft202012Validator(json_schema())


def document(config: ChipConfig, *, readable: bool = False) -> dict[str, Any]:
    return json.loads(config.to_json(readable=readable))


def test_the_published_schema_is_that_of_the_code():
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json_schema(), "the file format changed: run `make schema`"
    Draft202012Validator.check_schema(json_schema())


@settings(max_examples=40, deadline=None)
@given(config=any_configurations())
def test_every_file_fits_it(config: ChipConfig):
    for readable in (False, True):
        VALIDATOR.validate(document(config, readable=readable))


def test_a_chip_written_out_in_full_and_every_optional_part_fit_it():
    config = ChipConfig(
        chip=synthetic_chip([(4096, 4096, 16)]),
        cnn_layers={0: small_core(weights_kill_bit=small_core().weights > 0)},
        factory_config=FactoryConfig(io_sel=24, cnn_layers={0: FactoryCore(kernel={"clock_pulse": 1})}),
        provenance={"tool": "t", "seed": 1, "options": {"a": [None, 1.5]}},
        suppressed_rules={"memory": "doubtful"},
    )
    VALIDATOR.validate(document(config))


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 1},
        {"format": "other"},
        {"hash": "sha256:xyz"},
        {"colour": "blue"},
        {"readout": {}},
        {"dvs_layer": None},
        {"suppressed_rules": {"memory": 3}},
        {"provenance": {"seed": 1.5}},
        {"cnn_layers": {"0": {"weights": [1]}}},
        {"chip": {"name": "half a chip"}},
    ],
)
def test_other_documents_do_not_fit(change: dict[str, Any]):
    assert not VALIDATOR.is_valid(document(two_cores()) | change)


def test_every_field_has_a_description():
    schema = json_schema()
    parts = {"the file": schema, **schema["$defs"]}
    undescribed = [
        (part, name)
        for part, definition in parts.items()
        for name, field in definition.get("properties", {}).items()
        if "description" not in field and part in hwconfig_parts()
    ]
    assert not undescribed


def hwconfig_parts() -> set[str]:
    """Definitions of the configuration; a chip's description may leave the obvious out."""
    return {name for name in json_schema()["$defs"] if name.endswith(("Config", "Destination", "Dimensions", "Provenance"))}
