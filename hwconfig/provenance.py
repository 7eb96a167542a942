"""Where a configuration came from. It travels along, but is no part of its hash or of equality."""

from __future__ import annotations

import json
from typing import Any, cast

from pydantic import Field, field_validator

from hwconfig.parts import ConfigPart, Integer, Label, plain

DEEPEST = 50  # a file is no place for more


class Provenance(ConfigPart):
    """Who made a configuration, from what, and how."""

    tool: Label = Field(default="", description="program and version that made it")
    model_hash: Label = Field(default="", description="hash of the model it was made from")
    seed: Integer | None = Field(default=None, description="seed of the random numbers that took part; None: none did")
    options: dict[str, Any] = Field(default_factory=dict[str, Any], description="options that were given, as JSON values")

    @field_validator("options")
    @classmethod
    def _as_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        """What JSON would make of them, so that a file gives back the same."""
        try:
            text = json.dumps(value, allow_nan=False, default=plain)
            if _depth(value) > DEEPEST:
                raise ValueError(f"they are nested more than {DEEPEST} deep")
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"options must be values that JSON has: {error}") from None
        return json.loads(text)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return _depth(list(cast("dict[Any, Any]", value).values()))
    return 1 + max(map(_depth, cast("list[Any]", value)), default=0) if isinstance(value, list | tuple) else 0
