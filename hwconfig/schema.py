"""The JSON Schema of configuration files."""

from __future__ import annotations

from typing import Any

from hwconfig.chip import ChipSpec
from hwconfig.config import ChipConfig
from hwconfig.files import FORMAT, SCHEMA_VERSION


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the files that this version writes, compact and readable arrays alike.

    It says what a file looks like; what a chip accepts is for the design rules.
    """
    schema = ChipConfig.model_json_schema(mode="serialization")
    chip = ChipSpec.model_json_schema(mode="serialization")
    parts = chip.pop("$defs") | {"ChipSpec": chip} | schema["$defs"]
    properties: dict[str, Any] = {
        "format": {"const": FORMAT},
        "schema_version": {"const": SCHEMA_VERSION},
        "hash": {"type": "string", "pattern": "^sha256:[0-9a-f]+$", "description": "of the contents, without provenance"},
        **schema["properties"],
        "chip": {
            "anyOf": [{"type": "string"}, {"$ref": "#/$defs/ChipSpec"}],
            "description": "the name of a known chip, or the description of another one",
        },
    }
    return schema | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Configuration file of hwconfig, schema version {SCHEMA_VERSION}",
        "properties": properties,
        "required": list(properties),
        "$defs": parts,
    }
