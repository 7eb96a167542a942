"""Known faults of the chips, read from errata.toml; a chip lists the names of those it has."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

Grade = Literal["A", "B", "C"]


class Erratum(BaseModel):
    """One fault: what happens, where it is known from, and how surely (A stated by the vendor, B deduced or relayed, C assumed)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    text: str
    source: str
    grade: Grade


def _read() -> dict[str, Erratum]:
    table = tomllib.loads((resources.files("hwconfig") / "errata.toml").read_text(encoding="utf-8"))
    return {name: Erratum(name=name, **fields) for name, fields in table.items()}


ERRATA: dict[str, Erratum] = _read()


def _known(name: str) -> str:
    if name not in ERRATA:
        raise ValueError(f"unknown erratum {name!r}; known are {', '.join(ERRATA)}")
    return name


ErratumName = Annotated[str, AfterValidator(_known)]
