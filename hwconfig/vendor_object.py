"""The vendor's configuration object as a tree of parts: found by name whatever the version, and compared with a new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwconfig.chip import ChipSpec
from hwconfig.errors import VendorError
from hwconfig.vendor_fields import attribute_name, known_paths


@dataclass(frozen=True)
class Part:
    """A part of the vendor's object, and what is needed to speak about it.

    Attributes:
        element: the vendor's; None where its version lacks the part.
        chip: the whole object's.
        package, version: of the vendor's package.
        path: dotted from the top, without indices; "" is the whole.
        subject: the part in words.
    """

    element: Any
    chip: ChipSpec
    package: str
    version: str
    path: str = ""
    subject: str = ""

    @property
    def label(self) -> str:
        """Package and version."""
        return f"{self.package} {self.version or '(unknown version)'}"

    def below(self, name: str) -> str:
        """Path of an attribute of this part."""
        return f"{self.path}.{name}" if self.path else name

    def child(self, name: str) -> Part:
        """The attribute that is called so today."""
        path = self.below(name)
        element = getattr(self.element, attribute_name(self.element, path, self.version), None)
        return replace(self, element=element, path=path, subject=f"{self.subject}, {name}" if self.subject else name)

    def items(self) -> list[Part]:
        """The elements of a list or fixed array; none where the vendor lacks it."""
        elements = () if self.element is None else self.element  # by index, as the vendor's arrays are used in its scripts
        return [replace(self, element=elements[i], subject=f"{self.subject}[{i}]") for i in range(len(elements))]

    def cores(self) -> list[Part]:
        """The elements of cnn_layers, which are cores in words."""
        inside = f"{self.subject}, " if self.subject else ""
        return [replace(core, subject=f"{inside}core {i}") for i, core in enumerate(self.child("cnn_layers").items())]

    def core(self, core_id: int, layer_name: str = "") -> Part:
        """One core; VendorError where the vendor has no such."""
        cores = self.cores()
        if core_id >= len(cores):
            raise VendorError(f"core {core_id}: the object of {self.label} has {len(cores)} cores; move the layer to one of them")
        core = cores[core_id]
        return replace(core, subject=f"{core.subject} ({layer_name})") if layer_name else core

    def locate(self, path: str) -> tuple[Any, str] | None:
        """The object below this part that has the attribute, and its name there; None where the vendor lacks it."""
        *owners, last = path.split(".")
        part = self
        for owner in owners:
            part = part.child(owner)
        name = attribute_name(part.element, part.below(last), self.version)
        return (part.element, name) if hasattr(part.element, name) else None


def refuse_unknown(whole: Part, fresh: Part) -> None:
    """VendorError with every attribute that a configuration does not know and that has not a new object's value."""
    found = list(_unknown(whole, fresh, known_paths(whole.chip)))
    if found:
        raise VendorError(
            f"{whole.label}: its object says what a configuration of {whole.chip.name} has no place for:\n"
            + "\n".join(f"  {line}" for line in found)
            + "\nset these to what a new object has, or use a version of hwconfig that knows them"
        )


def _unknown(part: Part, fresh: Part, known: Mapping[str, set[str]]) -> Iterator[str]:
    names = sorted(known.get(part.path, ()))
    own = {attribute_name(part.element, part.below(name), part.version) for name in names}
    for name in sorted(set(attributes(part.element)) - own):
        value, default = (plain(getattr(owner.element, name, None)) for owner in (part, fresh))
        if value != default:
            yield f"{part.subject + ': ' if part.subject else ''}{name} is {value!r}, a new object has {default!r}"
    for name in names:
        if part.below(name) in known:
            for inner, new in _pairs(part, fresh, name):
                yield from _unknown(inner, new, known)


def _pairs(part: Part, fresh: Part, name: str) -> list[tuple[Part, Part]]:
    """Each object under this name, with its like in the new object."""

    def parts(owner: Part) -> list[Part]:
        if name == "cnn_layers":
            return owner.cores()
        return owner.child(name).items() if name == "destinations" else [owner.child(name)]

    found, new = parts(part), parts(fresh)
    if len(found) != len(new):
        raise VendorError(
            f"{part.label}: {part.below(name)} has {len(found)} elements, a new object has {len(new)}; restore them"
        )
    return list(zip(found, new, strict=True))


def attributes(element: Any) -> list[str]:
    """Public attributes without methods."""
    return [name for name in dir(element) if not name.startswith("_") and not callable(getattr(element, name))]


def plain(value: Any) -> Any:
    """Something to compare and to show: plain values, or the JSON text of what has one."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if value is None or isinstance(value, bool | float | str):
        return value
    if hasattr(value, "__index__"):  # enumerations too
        return int(value)
    if hasattr(value, "to_json"):
        return value.to_json()
    if hasattr(value, "__getitem__"):
        return [plain(item) for item in value]
    return {name: plain(getattr(value, name)) for name in attributes(value)}
