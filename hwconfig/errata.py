"""Known faults of the chips, read from errata.toml; a chip's file lists those it has by name, or describes one of its own."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Grade = Literal["A", "B", "C"]


class Erratum(BaseModel):
    """One fault of a chip."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(min_length=1, description="by which design rules look for it")
    text: str = Field(description="what happens")
    source: str = Field(description="where it is known from")
    grade: Grade = Field(description="A stated by the vendor or seen on silicon, B deduced or relayed, C assumed")


def _read() -> dict[str, Erratum]:
    table = tomllib.loads((resources.files("hwconfig") / "errata.toml").read_text(encoding="utf-8"))
    return {name: Erratum(name=name, **fields) for name, fields in table.items()}


ERRATA: dict[str, Erratum] = _read()


def _by_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in ERRATA:
        raise ValueError(f"unknown erratum {value!r}; known are {', '.join(ERRATA)}, or describe it: name, text, source, grade")
    return ERRATA[value]


KnownOrOwn = Annotated[Erratum, BeforeValidator(_by_name)]
