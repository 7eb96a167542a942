"""Turns pydantic's errors into lines that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError


def one_line_per_error(error: ValidationError, part: type[BaseModel] | None = None) -> str:
    """One indented line per wrong field: where it is, what is wrong, what was found, and what the field of `part` is."""
    fields = {} if part is None else part.model_fields
    lines: list[str] = []
    for item in error.errors(include_url=False):
        where = ".".join(str(step) for step in item["loc"]) or "(whole)"
        name = str(item["loc"][0]) if item["loc"] else ""
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1 and fields:
            lines.append(f"  {where}: there is no such field; {_instead(name, fields)}")
            continue
        problem = item["msg"].removeprefix("Value error, ")
        told = item["type"] in ("missing", "extra_forbidden") or "found" in problem
        found = "" if told else f", found {_short(item['input'])}"
        meaning = fields[name].description if name in fields else None
        lines.append(f"  {where}: {problem}{found}" + (f"; it is: {meaning}" if meaning else ""))
    return "\n".join(lines)


def _instead(name: str, fields: Mapping[str, Any]) -> str:
    close = get_close_matches(name, fields)
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(fields)}"


def _short(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python does not print numbers of thousands of digits
        return f"a {type(value).__name__} too long to print"
    return text if len(text) <= 60 else text[:57] + "..."
