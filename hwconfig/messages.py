"""Turns pydantic's errors into lines that a person can act on."""

from pydantic import ValidationError


def one_line_per_error(error: ValidationError) -> str:
    """One indented line per wrong field: where it is, what is wrong, what was found."""
    lines: list[str] = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"]) or "(whole)"
        found = "" if item["type"] in ("missing", "extra_forbidden") else f", found {_short(item['input'])}"
        lines.append(f"  {where}: {item['msg']}{found}")
    return "\n".join(lines)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
