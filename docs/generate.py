"""MkDocs hook: fills `{{ name }}` and `{{ name argument }}` in pages with what the code itself knows, so that no number is written twice."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

from pydantic import BaseModel

import hwconfig
from hwconfig import ERRATA, RULES, ChipSpec, Rule, chip_names, get_chip
from hwconfig.chip import CoreSpec, Features, LayerIds, Limits, ReadoutSpec, SensorSpec
from hwconfig.files import SCHEMA_VERSION
from hwconfig.vendor_fields import RENAMED

PLACEHOLDER = re.compile(r"\{\{ (\w+)(?: (\w+))? \}\}")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for every page; a name that nobody fills stops the build."""
    return PLACEHOLDER.sub(lambda match: PARTS[match[1]](*filter(None, [match[2]])), markdown)


def chips() -> str:
    """A section with a table of cores for each chip."""
    return "\n\n".join(_chip(spec) for spec in _specs())


def _specs() -> list[ChipSpec]:
    return [get_chip(name) for name in chip_names()]


def _chip(chip: ChipSpec) -> str:
    devices = ", ".join(f"`{device.name}` ({device.vendor_name or 'vendor name not public'})" for device in chip.devices)
    core_fields = [name for name in CoreSpec.model_fields if name != "id"]
    header = ["core", *(_words(name) for name in core_fields), "parallel"]
    rows = [[core.id, *(getattr(core, name) for name in core_fields), core.id in chip.parallel_cores] for core in chip.cores]
    errata = ", ".join(f"`{erratum.name}`" for erratum in chip.errata)
    return "\n\n".join(
        [
            f"### {chip.name}",
            f"{chip.description}. Boards: {devices}. [Errata](#errata): {errata}.",
            _table(header, rows),
            " ".join([f"Synaptic operations per second: {chip.synops_source}.", *chip.notes]),
        ]
    )


def limits() -> str:
    """What any core accepts: one row per limit, one column per chip."""
    return _compared(Limits, "limits", "limit")


def blocks() -> str:
    """Which optional blocks each chip has."""
    return _compared(Features, "features", "block")


def surroundings() -> str:
    """Sensor, readout block and the addresses that are not cores."""
    parts = ((SensorSpec, "sensor"), (ReadoutSpec, "readout"), (LayerIds, "layers"))
    return "\n\n".join(_compared(part, name, name if name != "layers" else "layer id") for part, name in parts)


def power() -> str:
    """What the boards of each chip measure."""
    rows = [
        [
            spec.name,
            rail.channel,
            f"`{rail.name}`",
            f"{rail.volts:g} V",
            f"{spec.power.highest_rate_hz:g}",
            f"{spec.power.offset_w * 1e6:g} uW",
            spec.power.source,
        ]
        for spec in _specs()
        if spec.power
        for rail in spec.power.rails
    ]
    return _table(["chip", "channel", "rail", "nominal", "samples a second, at most", "offset, either way", "source"], rows)


def _compared(part: type[BaseModel], name: str, title: str) -> str:
    rows = [
        [_words(field), *(_text(getattr(getattr(spec, name), field)) for spec in _specs()), info.description or ""]
        for field, info in part.model_fields.items()
    ]
    return _table([title, *(spec.name for spec in _specs()), "meaning"], rows)


def errata() -> str:
    """Every known fault, and which chips have it."""
    rows = [
        [
            f"`{name}`",
            erratum.text,
            ", ".join(spec.name for spec in _specs() if spec.has_erratum(name)),
            erratum.grade,
            erratum.source,
        ]
        for name, erratum in ERRATA.items()
    ]
    return _table(["erratum", "what happens", "chips", "grade", "source"], rows)


def core_fields() -> str:
    """The columns of the chips' tables, explained."""
    described = [(name, field.description) for name, field in CoreSpec.model_fields.items() if field.description]
    parallel = ("parallel", ChipSpec.model_fields["parallel_cores"].description)
    return "\n".join(f"- **{_words(name)}**: {description}" for name, description in [*described, parallel])


def rules() -> str:
    """Every design rule."""
    rows = [
        [f"`{rule.name}`", _standing(rule), f"{rule.sentence}<br>*Way out:* {rule.fix}.", rule.source] for rule in RULES.values()
    ]
    return _table(["rule", "severity, grade", "what must hold", "source"], rows)


def _standing(rule: Rule) -> str:
    """A warning can always be suppressed, an error hardly ever."""
    note = "; can be suppressed" if rule.suppressible and rule.severity == "error" else ""
    return f"{rule.severity}, {rule.grade}{note}"


def renamed() -> str:
    """Fields of the vendor's object that had another name."""
    rows = [
        [f"`{entry.path}`", f"`{entry.older}`", entry.before or "not public: the attribute that exists decides"]
        for entry in RENAMED
    ]
    return _table(["name", "older name", "since version"], rows)


def schema_version() -> str:
    """The schema version of the configuration files that are written."""
    return str(SCHEMA_VERSION)


def model(name: str) -> str:
    """A class of hwconfig that pydantic checks: its docstring, a table of its fields, then its properties and methods."""
    cls = getattr(hwconfig, name)
    rows = [
        [f"`{field}`", f"`{_annotation(cls, field)}`", _field_default(info), _escaped(info.description or "")]
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


def _annotation(cls: type, field: str) -> str:
    """As written in the class or in the one it inherits the field from."""
    return next(own[field] for own in map(inspect.get_annotations, cls.__mro__) if field in own)


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
    """A section; of a group of commands, one for each."""
    if hasattr(command, "commands"):
        return "\n\n".join(_command(f"{name} {inner}", found) for inner, found in command.commands.items())
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
    return (", ".join(map(_text, value)) or "none") if isinstance(value, tuple) else str(value)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [list(header), ["---"] * len(header), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PARTS: dict[str, Callable[..., str]] = {
    "chips": chips,
    "limits": limits,
    "blocks": blocks,
    "surroundings": surroundings,
    "power": power,
    "errata": errata,
    "core_fields": core_fields,
    "rules": rules,
    "renamed": renamed,
    "schema_version": schema_version,
    "model": model,
    "errors": errors,
    "commands": commands,
}
