"""What all parts of a configuration share: frozen, compared by content, copied with changes, a repr without the defaults."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, TypeVar, cast

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hwconfig.errors import HwconfigError, InvalidConfigError
from hwconfig.messages import one_line_per_error

AnyArray = npt.NDArray[Any]
Part = TypeVar("Part", bound="ConfigPart")


def plain(value: Any) -> Any:
    """numpy's scalars count as Python's."""
    return cast("Any", value).item() if isinstance(value, np.integer | np.bool_) else value


def _encodable(text: str) -> str:
    """Half of a surrogate pair could be held, but neither printed nor written into a file."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not a text: {error}") from None
    return text


def _core_id(value: Any) -> Any:
    """JSON's keys are texts; each id has one spelling, so that no two keys can mean the same core."""
    return int(value) if isinstance(value, str) and _CORE_ID.fullmatch(value) else plain(value)


_CORE_ID = re.compile(r"0|[1-9][0-9]{0,8}")
WORD = np.iinfo(np.int64)  # wider than any register: what a rule should name must be held first
Integer = Annotated[int, BeforeValidator(plain), Field(ge=WORD.min, le=WORD.max)]
CoreId = Annotated[int, BeforeValidator(_core_id), Field(ge=0, le=WORD.max)]
Label = Annotated[str, AfterValidator(_encodable)]
Flag = Annotated[bool, BeforeValidator(plain)]
Pair = Annotated[tuple[Integer, Integer], Field(strict=False)]
FlagPair = Annotated[tuple[Flag, Flag], Field(strict=False)]
Shape = Annotated[tuple[Integer, Integer, Integer], Field(strict=False)]


def _refuse_change(*_: Any, **__: Any) -> NoReturn:
    raise TypeError("a configuration cannot be changed in place: make a changed copy with with_changes() or with_core()")


class FrozenDict(dict[Any, Any]):
    """A dict that cannot be changed, sorted by its keys; it compares as any other dict."""

    def __init__(self, items: Mapping[Any, Any]) -> None:
        super().__init__(sorted(items.items()))

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = cast("Any", _refuse_change)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


class _Explaining(type(BaseModel)):
    """Turns what pydantic says about a call of the class into our own error.

    Only of the call: what pydantic finds while it builds parts of a larger whole keeps its place in there.
    """

    def __call__(cls, *args: Any, **fields: Any) -> Any:
        with _explained(cls):
            return super().__call__(*args, **fields)


@contextmanager
def _explained(part: type[Any]) -> Generator[None]:
    try:
        yield
    except ValidationError as error:
        raise _better(error, part) from None


def _better(error: ValidationError, part: type[BaseModel]) -> HwconfigError:
    """An error of ours that was found on the way, where it is the only one; otherwise all of them, a line each."""
    causes = [item.get("ctx", {}).get("error") for item in error.errors(include_url=False)]
    if len(causes) == 1 and isinstance(causes[0], HwconfigError):
        return causes[0]
    return InvalidConfigError(f"{part.__name__}:\n{one_line_per_error(error, part)}")


class ConfigPart(BaseModel, metaclass=_Explaining):
    """Frozen, compared by content (arrays included), copied with changes by `with_changes`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        strict=True,
        json_schema_serialization_defaults_required=True,  # files leave nothing out
    )

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(same(getattr(self, name), getattr(other, name)) for name in self._compared())

    @classmethod
    def _compared(cls) -> tuple[str, ...]:
        return tuple(cls.model_fields)

    def with_changes(self: Part, **changes: Any) -> Part:
        """A validated copy in which the named fields are replaced; InvalidConfigError where they cannot be."""
        with _explained(type(self)):
            return type(self).model_validate({name: getattr(self, name) for name in type(self).model_fields} | changes)

    def model_copy(self: Part, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Part:
        """As `with_changes`: nothing that was derived from the old contents comes along, and there is nothing to share unsafely."""
        return self.with_changes(**(update or {}))

    def __deepcopy__(self: Part, memo: dict[int, Any] | None = None) -> Part:
        return self

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        for value in self.__dict__.values():
            if isinstance(value, np.ndarray):
                cast("AnyArray", value).flags.writeable = False  # which pickle does not keep

    def is_default(self, name: str) -> bool:
        """Whether a field has the value that it has when it is left out; a required one never has."""
        info = type(self).model_fields[name]
        return not info.is_required() and same(
            getattr(self, name), info.get_default(call_default_factory=True, validated_data={})
        )

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if not self.is_default(name):
                yield name, _Short(cast("AnyArray", value)) if isinstance(value, np.ndarray) else value

    def __str__(self) -> str:
        return repr(self)


class _Short:
    """An array in a repr: its dtype and shape."""

    def __init__(self, array: AnyArray) -> None:
        self._text = f"{array.dtype}{list(array.shape)}"

    def __repr__(self) -> str:
        return self._text


def same(a: Any, b: Any) -> bool:
    """Equality of two field values, arrays by content whatever their dtype."""
    arrays = [cast("AnyArray", value) for value in (a, b) if isinstance(value, np.ndarray)]
    return bool(a == b) if not arrays else len(arrays) == 2 and np.array_equal(arrays[0], arrays[1])
