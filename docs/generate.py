"""MkDocs hook: fills `{{ name }}` and `{{ name argument }}` in pages with what the code itself knows, so that no number is written twice."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

import hwconfig
from hwconfig import RULES, ChipSpec, chip_names, get_chip
from hwconfig.chip import CoreSpec, Limits

PLACEHOLDER = re.compile(r"^\{\{ (\w+)(?: (\w+))? \}\}$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for every page; a name that nobody fills stops the build."""
    return PLACEHOLDER.sub(lambda match: PARTS[match[1]](*filter(None, [match[2]])), markdown)


def chips() -> str:
    """A section with a table of cores for each chip."""
    return "\n\n".join(_chip(get_chip(name)) for name in chip_names())


def _chip(chip: ChipSpec) -> str:
    devices = ", ".join(f"`{device}`" for device in chip.devices)
    core_fields = [name for name in CoreSpec.model_fields if name != "id"]
    header = ["core", *(_words(name) for name in core_fields)]
    rows = [[core.id, *(getattr(core, name) for name in core_fields)] for core in chip.cores]
    sensor, readout = chip.sensor, chip.readout
    return "\n\n".join(
        [
            f"### {chip.name}",
            f"{chip.description}. Boards with it: {devices}.",
            _table(header, rows),
            f"Addresses that are not cores: readout block {chip.layers.readout}, sensor {chip.layers.sensor}. "
            f"The sensor has {sensor.size} x {sensor.size} pixels and pools by {_text(sensor.poolings)}. "
            f"The readout block has {readout.classes} classes; feature {readout.feature_stride} * (n - 1) reaches class n.",
        ]
    )


def limits() -> str:
    """What any core accepts: one row per limit, one column per chip."""
    specs = [get_chip(name) for name in chip_names()]
    rows = [
        [_words(name), *(_text(getattr(spec.limits, name)) for spec in specs), field.description or ""]
        for name, field in Limits.model_fields.items()
    ]
    return _table(["limit", *(spec.name for spec in specs), "meaning"], rows)


def core_fields() -> str:
    """The columns of the chips' tables, explained."""
    described = [(name, field.description) for name, field in CoreSpec.model_fields.items() if field.description]
    return "\n".join(f"- **{_words(name)}**: {description}" for name, description in described)


def rules() -> str:
    """Every design rule with its grade."""
    return _table(["rule", "sentence", "grade"], [[f"`{rule.name}`", rule.sentence, rule.grade] for rule in RULES.values()])


def model(name: str) -> str:
    """A class of hwconfig that pydantic checks: its docstring, a table of its fields, then its properties and methods."""
    cls = getattr(hwconfig, name)
    rows = [
        [f"`{field}`", f"`{cls.__annotations__[field]}`", _field_default(info), _escaped(info.description or "")]
        for field, info in cls.model_fields.items()
    ]
    members = [member for member, value in vars(cls).items() if value.__doc__ and not member.startswith(("_", "model_"))]
    about = [f"::: hwconfig.{name}\n    options: {{ members: false }}", _table(["field", "type", "default", "meaning"], rows)]
    return "\n\n".join(about + [f"::: hwconfig.{name}.{member}\n    options: {{ heading_level: 4 }}" for member in members])


def errors(package: str) -> str:
    """The tree of a package's errors, which their module defines in this order; then each of them."""
    module = importlib.import_module(f"{package}.errors")
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    tree = [f"{'    ' * (len(error.__mro__) - len(own[0].__mro__))}{error.__name__}" for error in own]
    return "\n\n".join(["\n".join(["```text", *tree, "```"]), *(f"::: {module.__name__}.{error.__name__}" for error in own)])


def _field_default(info: Any) -> str:
    if info.is_required():
        return "required"
    return "empty" if info.default_factory else f"`{info.default}`"


def commands() -> str:
    """A section for each command of the command line, with its arguments and options."""
    import typer

    from chipflow.cli import app

    found: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, command) for name, command in found.commands.items())


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join(["chipflow", name, *(p.name.upper() for p in arguments), "[OPTIONS]"])
    rows = [[_spelling(p), _meaning(p), _default(p)] for p in command.params if p.name != "help"]
    return f"### chipflow {name}\n\n{command.help}\n\n```text\n{usage}\n```\n\n{_table(['argument', 'meaning', 'default'], rows)}"


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in parameter.opts + parameter.secondary_opts)


def _meaning(parameter: Any) -> str:
    choices = [f"`{choice}`" for choice in type(parameter.default)] if isinstance(parameter.default, Enum) else []
    return f"{parameter.help} {' or '.join(choices)}".strip()


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.default, bool):
        return f"`{parameter.opts[0]}`" if parameter.default else ""
    return "" if parameter.default is None else f"`{parameter.default}`"


def _escaped(text: str) -> str:
    """`a[b][c]` is no link."""
    return text.replace("[", r"\[")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(_text, value)) if isinstance(value, tuple) else str(value)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [list(header), ["---"] * len(header), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PARTS: dict[str, Callable[..., str]] = {
    "chips": chips,
    "limits": limits,
    "core_fields": core_fields,
    "rules": rules,
    "model": model,
    "errors": errors,
    "commands": commands,
}
