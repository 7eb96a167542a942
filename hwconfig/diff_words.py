"""Which values differ between two configurations, which cores belong together, and how a person reads it.

The walk follows the fields that the parts have, so a field added later is compared without a word here; only what reads
badly by name and value (arrays, what exists on one side only) has words of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from pydantic import BaseModel

from hwconfig.arrays import AnyArray
from hwconfig.config import ChipConfig
from hwconfig.destinations import Target
from hwconfig.parts import same
from hwconfig.subjects import READOUT, core_words

ABSENT: Final[Any] = object()  # stands for what only the other side has; None is a value

NOUNS = {"neurons_initial_value": "initial values"}  # of an array's elements; others go by the name of the field
KILLED = {"weights_kill_bit": "synapses", "biases_kill_bit": "biases", "neurons_value_kill_bit": "neurons"}


@dataclass(frozen=True)
class Change:
    """One value that differs: the way to it, and both sides, `ABSENT` where a side has none."""

    path: tuple[str, ...]
    before: Any
    after: Any

    @property
    def field(self) -> str:
        """The dotted way to it."""
        return ".".join(self.path)


def changes(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[Change]:
    """The innermost values that differ; at least one if and only if the two are not the same."""
    if same(before, after):
        return
    inner = [change for key, x, y in _entries(before, after) for change in changes(x, y, (*path, key))]
    yield from inner or [Change(path, before, after)]


def _entries(before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """What two values of the same kind consist of, side by side; nothing for plain values, arrays and unlike kinds."""
    if isinstance(before, BaseModel) and type(before) is type(after):
        yield from ((name, getattr(before, name), getattr(after, name)) for name in type(before).model_fields)
        return
    x, y = _by_key(before), _by_key(after)
    if x is not None and y is not None:
        for key in sorted(x.keys() | y.keys()):
            yield str(key), _value(x, y, key), _value(y, x, key)


def _by_key(value: Any) -> Mapping[Any, Any] | None:
    """A mapping as it is, a tuple of parts by their ids or else by index; None for everything else."""
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value)
    if not isinstance(value, tuple):
        return None
    items = cast("tuple[Any, ...]", value)
    if not all(isinstance(item, BaseModel) for item in items):
        return None
    return {getattr(item, "id", index): item for index, item in enumerate(items)}


def _value(side: Mapping[Any, Any], other: Mapping[Any, Any], key: Any) -> Any:
    """A side without a part that can be left out has that part as it is when left out."""
    if key in side:
        return side[key]
    value = other[key]
    if not isinstance(value, BaseModel) or any(info.is_required() for info in type(value).model_fields.values()):
        return ABSENT
    return type(value)()


def plain_value(value: Any) -> Any:
    """As JSON has it; None for arrays and for what is not there."""
    if value is ABSENT or isinstance(value, np.ndarray):
        return None
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, tuple | list):
        return [plain_value(item) for item in cast("tuple[Any, ...]", value)]
    return value


def words(value: Any, none: str = "none") -> str:
    """A plain value as a person reads it; `none` says what None means here."""
    if value is None:
        return none
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, BaseModel):
        return words({name: getattr(value, name) for name in type(value).model_fields}, none)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return f"({', '.join(f'{key} {words(item, none)}' for key, item in items)})"
    if isinstance(value, tuple | list):
        return f"({', '.join(words(item, none) for item in cast('tuple[Any, ...]', value))})"
    return str(value)


def change_words(change: Change, none: str = "none") -> str:
    """'threshold_high 123 -> 182', '17 of 20480 weights differ, largest |change| 4', 'cores.9 added: ...'."""
    before, after = change.before, change.after
    if isinstance(before, np.ndarray) or isinstance(after, np.ndarray):
        return _array_words(change.field, cast("AnyArray | None", before), cast("AnyArray | None", after))
    if before is ABSENT:
        return f"{change.field} added: {words(after, none)}"
    if after is ABSENT:
        return f"{change.field} removed: {words(before, none)}"
    return f"{change.field} {words(before, none)} -> {words(after, none)}".lstrip()


def _array_words(field: str, before: AnyArray | None, after: AnyArray | None) -> str:
    """How two unlike arrays differ, of which one may be missing: in shape, or else in how many elements."""
    if not isinstance(before, np.ndarray) or not isinstance(after, np.ndarray):
        return f"{field} {_in_short(field, before)} -> {_in_short(field, after)}"
    if before.shape != after.shape:
        return f"{field} shape {before.shape} -> {after.shape}"
    if field in KILLED:
        counts = (np.count_nonzero(after & ~before), "newly killed"), (np.count_nonzero(before & ~after), "revived")
        return f"of {before.size} {KILLED[field]} {' and '.join(f'{n} {what}' for n, what in counts if n)}"
    differ = np.count_nonzero(before != after)
    verb = "differs" if differ == 1 else "differ"
    return f"{differ} of {before.size} {NOUNS.get(field, field)} {verb}, largest |change| {_largest_change(before, after)}"


def _in_short(field: str, array: AnyArray | None) -> str:
    if not isinstance(array, np.ndarray):
        return "none"
    if field in KILLED:
        return f"{np.count_nonzero(array)} of {array.size} {KILLED[field]} killed"
    return f"shape {array.shape}"


def _largest_change(before: AnyArray, after: AnyArray) -> int:
    """Exact even between the ends of int64: a difference that is not negative and below 2^64 survives the wrap of uint64."""
    high, low = np.maximum(before, after), np.minimum(before, after)
    return int((high.astype(np.uint64) - low.astype(np.uint64)).max())


def pair_cores(a: ChipConfig, b: ChipConfig) -> dict[int, int]:
    """Which core of `a` is which of `b`.

    First those with the same layer's name on the same core, then those with the same name by ascending id, then what is left by id.
    """
    names, later = _names(a), _names(b)
    pairs = {core: core for core, name in names.items() if name and later.get(core) == name}
    for name in dict.fromkeys(filter(None, names.values())):
        left = [core for core in names if names[core] == name and core not in pairs]
        taken = set(pairs.values())
        pairs |= zip(left, [core for core in later if later[core] == name and core not in taken], strict=False)
    taken = set(pairs.values())
    return pairs | {core: core for core in names if core in later and core not in pairs and core not in taken}


def _names(config: ChipConfig) -> dict[int, str]:
    return {core_id: core.layer_name for core_id, core in config.cnn_layers.items()}


@dataclass(frozen=True)
class Targets:
    """What destinations lead to in two configurations; `pairs` as from `pair_cores`."""

    a: ChipConfig
    b: ChipConfig
    pairs: Mapping[int, int]

    def same(self, before: int, after: int) -> bool:
        """Whether two destinations lead to the same layer, moved or not, to the readout block, or to the same unused core."""
        to_readout = [_is_readout(self.a, before), _is_readout(self.b, after)]
        if any(to_readout):
            return all(to_readout)
        return self.pairs.get(before, before) == after and (before in self.pairs or after not in self.pairs.values())


def _is_readout(config: ChipConfig, target: int) -> bool:
    return target == config.chip.layers.readout and target not in config.cnn_layers


def target_words(config: ChipConfig, target: int) -> str:
    """Where a destination leads to, by the names in its own configuration."""
    if _is_readout(config, target):
        return READOUT
    core = config.cnn_layers.get(target)
    return f"core {target} (not configured)" if core is None else core_words(target, core.layer_name)


def destination_words(config: ChipConfig, destination: Target) -> str:
    """Its target, and what is not as usual."""
    texts = [f"to {target_words(config, destination.layer)}"]
    for name, info in type(destination).model_fields.items():
        value = getattr(destination, name)
        if name != "layer" and value != info.default:
            texts.append(f"{name} {words(value)}")
    return ", ".join(texts)
