"""What differs between two configurations, core by core, in words a person reads and in values a program reads.

Layers are paired by name as far as both configurations name them, then cores by id. A layer that moved is one difference;
destinations that follow it are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby, zip_longest
from typing import Any

from hwconfig.chip import ChipSpec
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig
from hwconfig.diff_words import (
    ABSENT,
    Change,
    Targets,
    change_words,
    changes,
    destination_words,
    pair_cores,
    plain_value,
    target_words,
    words,
)
from hwconfig.sensor_config import DvsLayerConfig
from hwconfig.subjects import FILTER, READOUT, SENSOR, core_words


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes:
        subject: "core 3 (conv2)", "layer conv2" (one that moved), "the sensor", "the event filter", "the readout block",
            "factory_config", "chip", "suppressed rules" or "provenance".
        field: dotted name of the field inside the subject; "core" where a layer was moved, added or removed.
        before, after: the two values as JSON has them; None for arrays, and for what is not there.
        text: the same in words, without the subject.
        core_before, core_after: ids of the core; None where the configuration has none, or where it is about something else.
        layer: name of the user's layer, the later one if it was renamed, "" where it has none.
        counts: whether it makes the configurations unequal; what is said of their provenance does not.
    """

    subject: str
    field: str
    before: Any
    after: Any
    text: str
    core_before: int | None = None
    core_after: int | None = None
    layer: str = ""
    counts: bool = True

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


@dataclass(frozen=True)
class ConfigDiff:
    """All differences: of the chip, of the cores by id, of the sensor and the other blocks, of rules and provenance."""

    differences: tuple[Difference, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the two configurations are equal; their provenance may differ."""
        return not any(difference.counts for difference in self.differences)

    def as_dicts(self) -> list[dict[str, Any]]:
        """One plain dict per difference, for JSON."""
        return [asdict(difference) for difference in self.differences]

    def __str__(self) -> str:
        """One line per subject."""
        lines = [
            _line(tuple(group)) for _, group in groupby(self.differences, lambda d: (d.subject, d.core_before, d.core_after))
        ]
        return "\n".join(lines) or "no difference"


def _line(group: tuple[Difference, ...]) -> str:
    note = "" if group[0].counts else " (does not count)"
    return f"{group[0].subject}{note}: {'; '.join(_said_once(group))}"


def _said_once(group: tuple[Difference, ...]) -> Iterator[str]:
    """The texts; what differs in one destination becomes one text, which names the destination once."""
    for title, parts in groupby(group, lambda difference: difference.text.partition(": ")[0]):
        texts = [difference.text.removeprefix(f"{title}: ") for difference in parts]
        yield f"{title}: {', '.join(texts)}" if texts != [title] else title


def diff_configs(a: ChipConfig, b: ChipConfig) -> ConfigDiff:
    """What has to be changed in configuration `a` to make it `b`; print it, or read its `differences`."""
    return ConfigDiff(tuple(_differences(a, b)))


def _differences(a: ChipConfig, b: ChipConfig) -> Iterator[Difference]:
    targets = Targets(a, b, pair_cores(a, b))
    for name in ChipConfig.model_fields:
        if name == "chip":
            yield from _chip(a.chip, b.chip)
        elif name == "cnn_layers":
            yield from _cores(targets)
        else:
            yield from _part(SUBJECTS.get(name, _Subject(name)), name, getattr(a, name), getattr(b, name), targets)


@dataclass(frozen=True)
class _Subject:
    """What a difference is about, and how its changes are worded."""

    name: str
    core_before: int | None = None
    core_after: int | None = None
    layer: str = ""
    counts: bool = True
    wording: Callable[[Change], str] = change_words

    def difference(self, field: str, before: Any, after: Any, text: str) -> Difference:
        place = self.core_before, self.core_after, self.layer, self.counts
        return Difference(self.name, field, plain_value(before), plain_value(after), text, *place)

    def changed(self, change: Change, default_field: str = "") -> Difference:
        return self.difference(change.field or default_field, change.before, change.after, self.wording(change))


def _rule_words(change: Change) -> str:
    if change.before is ABSENT:
        return f"{change.field} now suppressed: {words(change.after)}"
    if change.after is ABSENT:
        return f"{change.field} no longer suppressed"
    return f"{change.field} suppressed for another reason, {words(change.before)} -> {words(change.after)}"


SUBJECTS = {
    "dvs_layer": _Subject(SENSOR),
    "dvs_filter": _Subject(FILTER),
    "readout": _Subject(READOUT),
    "factory_config": _Subject("factory_config", wording=partial(change_words, none="as the chip has it")),
    "suppressed_rules": _Subject("suppressed rules", wording=_rule_words),
    "provenance": _Subject("provenance", counts=False),
}


def _chip(a: ChipSpec, b: ChipSpec) -> Iterator[Difference]:
    """Two chips of different names differ in so much that the names say it all."""
    subject = _Subject("chip")
    if a.name != b.name:
        yield subject.difference("name", a.name, b.name, f"{a.name} -> {b.name}")
    else:
        yield from map(subject.changed, changes(a, b))


def _cores(targets: Targets) -> Iterator[Difference]:
    a, b, pairs = targets.a.cnn_layers, targets.b.cnn_layers, targets.pairs
    for core_id, core in a.items():
        if core_id in pairs:
            yield from _core(core_id, pairs[core_id], targets)
        else:
            subject = _Subject(core_words(core_id, core.layer_name), core_id, None, core.layer_name)
            yield subject.difference("core", core_id, None, f"removed: {_shapes(core)}")
    for core_id in sorted(b.keys() - set(pairs.values())):
        core = b[core_id]
        subject = _Subject(core_words(core_id, core.layer_name), None, core_id, core.layer_name)
        yield subject.difference("core", None, core_id, f"added: {_shapes(core)}")


def _shapes(core: CoreConfig) -> str:
    size = core.dimensions
    return f"input {size.input_shape}, output {size.output_shape}, kernel {size.kernel_size}"


def _core(before: int, after: int, targets: Targets) -> Iterator[Difference]:
    a, b = targets.a.core(before), targets.b.core(after)
    old, new = a.layer_name, b.layer_name
    subject = _Subject("", before, after, new or old)
    if before != after:
        subject = replace(subject, name=f"layer {new}")
        yield subject.difference("core", before, after, f"moved from core {before} to core {after}")
    else:
        renamed = old != new and old and new  # then neither is the core's name in both directions
        subject = replace(subject, name=core_words(before, "" if renamed else subject.layer))
        if old != new:
            text = f"layer renamed {old} -> {new}" if renamed else f"layer name {old or 'none'} -> {new or 'none'}"
            yield subject.difference("layer_name", old, new, text)
    yield from _fields(subject, a, b, targets)


def _part(subject: _Subject, name: str, a: Any, b: Any, targets: Targets) -> Iterator[Difference]:
    if isinstance(a, DvsLayerConfig):
        yield from _fields(subject, a, b, targets)
    else:
        yield from (subject.changed(change, name) for change in changes(a, b))


def _fields(
    subject: _Subject, a: CoreConfig | DvsLayerConfig, b: CoreConfig | DvsLayerConfig, targets: Targets
) -> Iterator[Difference]:
    for name in type(a).model_fields:
        if name == "destinations":
            for index, (before, after) in enumerate(zip_longest(a.destinations, b.destinations, fillvalue=ABSENT)):
                yield from _destination(subject, index, before, after, targets)
        elif name != "layer_name":
            yield from map(subject.changed, changes(getattr(a, name), getattr(b, name), (name,)))


def _destination(subject: _Subject, index: int, before: Any, after: Any, targets: Targets) -> Iterator[Difference]:
    field, title = f"destinations.{index}", f"destination {index}"
    if before is ABSENT:
        yield subject.difference(field, before, after, f"{title} added: {destination_words(targets.b, after)}")
    elif after is ABSENT:
        yield subject.difference(field, before, after, f"{title} removed: {destination_words(targets.a, before)}")
    else:
        unused = not before.enable and not after.enable and before.layer == after.layer  # whatever layer is there now
        if not unused and not targets.same(before.layer, after.layer):
            text = f"{title}: to {target_words(targets.a, before.layer)} -> {target_words(targets.b, after.layer)}"
            yield subject.difference(f"{field}.layer", before.layer, after.layer, text)
        for change in changes(before, after):
            if change.path != ("layer",):
                text = f"{title}: {change_words(change)}"
                yield subject.difference(".".join((field, *change.path)), change.before, change.after, text)
