"""Where a configuration came from. It travels along, but is no part of its hash or of equality."""

from __future__ import annotations

import json
from typing import Annotated, Any, cast

import numpy as np
from pydantic import BeforeValidator, Field, field_validator

from hwconfig.parts import WORD, ConfigPart, FrozenDict, Label, plain

Seed = Annotated[int, BeforeValidator(plain), Field(ge=WORD.min, le=np.iinfo(np.uint64).max)]
DEEPEST = 50  # a file is no place for more


def _json_value(value: Any) -> Any:
    number = plain(value)
    if number is value:
        raise TypeError(f"a {type(value).__name__} is not one")
    return number


def _frozen(value: Any) -> Any:
    """Lists become tuples, so that nothing in a configuration can be changed in place."""
    if isinstance(value, dict):
        return FrozenDict({name: _frozen(item) for name, item in cast("dict[str, Any]", value).items()})
    return tuple(map(_frozen, cast("list[Any]", value))) if isinstance(value, list) else value


class Provenance(ConfigPart):
    """Who made a configuration, from what, and how."""

    tool: Label = Field(default="", description="program and version that made it")
    model_hash: Label = Field(default="", description="hash of the model it was made from")
    seed: Seed | None = Field(default=None, description="seed of the random numbers that took part; None: none did")
    options: dict[str, Any] = Field(default_factory=lambda: FrozenDict({}), description="options that were given, as JSON values")

    @field_validator("options")
    @classmethod
    def _as_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        """What JSON would make of them, so that a file gives back the same."""
        try:
            text = json.dumps(value, allow_nan=False, default=_json_value)
            if _depth(value) > DEEPEST:
                raise ValueError(f"they are nested more than {DEEPEST} deep")
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"options must be values that JSON has: {error}") from None
        return _frozen(json.loads(text))


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return _depth(list(cast("dict[Any, Any]", value).values()))
    return 1 + max(map(_depth, cast("list[Any]", value)), default=0) if isinstance(value, list | tuple) else 0
